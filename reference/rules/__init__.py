"""The known rules by name, and rules from a user's file."""

from __future__ import annotations

import difflib
import importlib.util
import sys
import traceback
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

from reference.quasi_newton import QUASI_NEWTON
from reference.rule import RuleError, UpdateRule
from reference.rules.adabelief import ADABELIEF, ADABELIEF_EPS_NOT_KEPT, ADABELIEF_RECTIFIED
from reference.rules.adabound import ADABOUND, ADABOUND_PAPER
from reference.rules.adadelta import ADADELTA
from reference.rules.adafactor import ADAFACTOR, ADAFACTOR_PAPER
from reference.rules.adagrad import ADAGRAD
from reference.rules.adam import ADAM, ADAM_EPS_HAT, ADAMW
from reference.rules.adamax import ADAMAX
from reference.rules.adamp import ADAMP, SGDP
from reference.rules.adan import ADAN, ADAN_PAPER
from reference.rules.ademamix import ADEMAMIX, ADEMAMIX_SCHEDULED
from reference.rules.adopt import ADOPT, ADOPT_CLIPPED
from reference.rules.aggmo import AGGMO
from reference.rules.asgd import ASGD
from reference.rules.came import CAME
from reference.rules.cautious import CAUTIOUS_ADAMW, CAUTIOUS_ADAMW_MEAN, CAUTIOUS_LION, CAUTIOUS_LION_MEAN
from reference.rules.diffgrad import DIFFGRAD, DIFFGRAD_EPS_HAT
from reference.rules.lamb import LAMB, LAMB_CLAMPED
from reference.rules.lars import LARS, LARS_LR_OUTSIDE
from reference.rules.lion import LION
from reference.rules.madgrad import MADGRAD, MADGRAD_SHIFTED
from reference.rules.muon import MUON
from reference.rules.nadam import NADAM
from reference.rules.novograd import NOVOGRAD
from reference.rules.qhm import QHADAM, QHADAM_WEIGHTED, QHM
from reference.rules.radam import RADAM
from reference.rules.rmsprop import RMSPROP
from reference.rules.rprop import RPROP
from reference.rules.schedule_free import SCHEDULE_FREE_ADAMW, SCHEDULE_FREE_ADAMW_SCALED, SCHEDULE_FREE_SGD
from reference.rules.sgd import GRADIENT_DESCENT, HEAVY_BALL, SGD
from reference.rules.sgdw import SGDW, SGDW_SCHEDULED
from reference.rules.sparse_adam import SPARSE_ADAM
from reference.rules.stable_adamw import ADAMW_CLIPPED, STABLE_ADAMW
from reference.rules.tiger import TIGER
from reference.rules.yogi import YOGI, YOGI_CORRECTED

RULES: dict[str, UpdateRule] = {
    rule.name: rule
    for rule in (
        GRADIENT_DESCENT,
        SGD,
        HEAVY_BALL,
        ADAM,
        ADAM_EPS_HAT,
        ADAMW,
        SPARSE_ADAM,
        ADAMAX,
        NADAM,
        RADAM,
        ADAGRAD,
        ADADELTA,
        RMSPROP,
        RPROP,
        ASGD,
        LION,
        SGDW,
        SGDW_SCHEDULED,
        AGGMO,
        QHM,
        QHADAM,
        QHADAM_WEIGHTED,
        ADABELIEF,
        ADABELIEF_EPS_NOT_KEPT,
        ADABELIEF_RECTIFIED,
        ADABOUND,
        ADABOUND_PAPER,
        YOGI,
        YOGI_CORRECTED,
        DIFFGRAD,
        DIFFGRAD_EPS_HAT,
        ADAN,
        ADAN_PAPER,
        ADEMAMIX,
        ADEMAMIX_SCHEDULED,
        ADOPT,
        ADOPT_CLIPPED,
        TIGER,
        MADGRAD,
        MADGRAD_SHIFTED,
        SCHEDULE_FREE_SGD,
        SCHEDULE_FREE_ADAMW,
        SCHEDULE_FREE_ADAMW_SCALED,
        LARS,
        LARS_LR_OUTSIDE,
        LAMB,
        LAMB_CLAMPED,
        NOVOGRAD,
        ADAFACTOR,
        ADAFACTOR_PAPER,
        CAME,
        MUON,
        STABLE_ADAMW,
        ADAMW_CLIPPED,
        CAUTIOUS_ADAMW,
        CAUTIOUS_ADAMW_MEAN,
        CAUTIOUS_LION,
        CAUTIOUS_LION_MEAN,
        SGDP,
        ADAMP,
    )
}


def near(name: str, known: Iterable[str]) -> str:
    """The part of an error message that names a near match, or nothing."""
    lowered = {k.lower(): k for k in known}
    match = difflib.get_close_matches(name.lower(), lowered, 1)
    return f"; did you mean {lowered[match[0]]!r}?" if match else ""


def get_rule(name: str) -> UpdateRule:
    """A known rule.

    Raises:
        RuleError: no rule has this name; the message names a near match and all rules.
    """
    known = RULES | QUASI_NEWTON
    if name not in known:
        raise RuleError(f"no rule is called {name!r}{near(name, known)} (known: {', '.join(known)})")
    return known[name]


def rule_for_torch_class(dotted: str) -> UpdateRule | None:
    """The rule that a class such as ``"torch.optim.Adam"`` claims, or None."""
    return next((rule for rule in (RULES | QUASI_NEWTON).values() if dotted in rule.torch), None)


def load_rule(spec: str) -> UpdateRule:
    """A known rule by name, or the rule ``NAME`` of a user's file by ``path/to/file.py:NAME``.

    Every choice of options of a user's rule is built, so that an undefined symbol or a missing
    assignment is found here and not in the middle of a run.

    Raises:
        RuleError: one sentence saying what is wrong with the name, the file or the rule.
    """
    path, colon, name = spec.rpartition(":")
    if not colon or not path.endswith(".py"):
        if spec.endswith(".py"):
            raise RuleError(f"say which rule of {spec!r} is meant: {spec}:NAME")
        return get_rule(spec)
    rule = _named(_run(Path(path)), name, path)
    for options in rule.choices():
        _build(rule, options, path)
    return rule


def _run(path: Path) -> ModuleType:
    """Execute a rule file as a module of its own."""
    try:
        code = compile(path.read_bytes(), str(path), "exec")
    except OSError as error:
        what = "there is no rule file" if not path.exists() else "cannot read the rule file"
        why = "" if not path.exists() else f": {error.strerror}"
        raise RuleError(f"{what} {str(path)!r}{why}") from None
    except SyntaxError as error:
        raise RuleError(f"rule file {str(path)!r} has a syntax error in line {error.lineno}: {error.msg}") from None
    except ValueError as error:  # null bytes
        raise RuleError(f"rule file {str(path)!r} is no Python source: {error}") from None
    module_name = f"_rule_file_{path.stem}"
    spec = importlib.util.spec_from_loader(module_name, loader=None, origin=str(path))
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    module.__file__ = str(path)
    sys.modules[module_name] = module  # dataclasses look their module up
    try:
        exec(code, module.__dict__)
    except (Exception, SystemExit) as error:
        raise RuleError(f"rule file {str(path)!r} failed{_where(error, path)}") from error
    finally:
        del sys.modules[module_name]
    return module


def _named(module: ModuleType, name: str, path: str) -> UpdateRule:
    found = {k: r for k, r in vars(module).items() if isinstance(r, UpdateRule)}
    if not hasattr(module, name):
        has = f"its rules: {', '.join(found)}" if found else "it defines no UpdateRule"
        raise RuleError(f"rule file {path!r} has no {name!r}{near(name, found)} ({has})")
    rule = getattr(module, name)
    if not isinstance(rule, UpdateRule):
        raise RuleError(f"{name!r} in rule file {path!r} is of type {type(rule).__name__}, not UpdateRule")
    return rule


def _build(rule: UpdateRule, options, path: str) -> None:
    try:
        rule.step(options)
    except RuleError as error:
        raise RuleError(f"rule file {path!r}: {error}") from None
    except Exception as error:
        chosen = ", ".join(f"{k}={v}" for k, v in options.items())
        raise RuleError(
            f"rule file {path!r}: the equations of rule {rule.name!r} failed"
            f"{f' with {chosen}' if chosen else ''}{_where(error, Path(path))}"
        ) from error


def _where(error: BaseException, path: Path) -> str:
    """Line of the user's file in which an exception came up, and the exception in one line."""
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == str(path)]
    first = str(error).splitlines()[:1]
    what = f"{type(error).__name__}: {first[0]}" if first else type(error).__name__
    return f"{f' in line {lines[-1]}' if lines else ''}: {what}"
