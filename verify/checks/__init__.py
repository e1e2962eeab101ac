"""The registry of checks. Each check is one claim with a stable id.

A check is a function ``(context) -> Report``. Its docstring is what ``optim-verify explain ID`` prints:
what is claimed, how it is tried, and which real bugs it has in mind.
"""

from __future__ import annotations

import difflib
import fnmatch
import importlib
import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from verify.errors import UsageError

if TYPE_CHECKING:
    from verify.checks.context import Context, Report
    from verify.outcome import Outcome
    from verify.program import Program

ALL_DTYPES = ("float64", "float32", "complex64", "complex128", "bfloat16", "float16")
FORMULA_DTYPES = ("float64", "float32", "complex64", "complex128")
LOW_DTYPES = ("bfloat16", "float16")
FAMILIES = (
    "rule",
    "groups",
    "state",
    "binding",
    "contract",
    "parity",
    "symmetry",
    "determinism",
    "precision",
    "performance",
)


# what an optimizer may lack without being wrong
CAPABILITIES = (
    "state_dict",
    "add_param_group",
    "closure",
    "pickle",
    "tensor_lr",
    "complex",
    "sparse",
    "compile",
    "separate",
)


@dataclass(frozen=True)
class Check:
    """One claim.

    Args:
        id: stable, ``family.name``.
        claim: one sentence that is true of a right optimizer.
        run: tries to refute it.
        dtypes: dtypes it speaks of.
        implementations: implementations it is tried on; None means all.
        needs: what the subject must have or be able to: ``"rule"``, or one of CAPABILITIES.
        kind: the kind of rule that it speaks of, where that is not single steps (see UpdateRule.kind).
        judge: judges one program, so that a finding can be shrunk and replayed; None means the lock-step oracle.
    """

    id: str
    claim: str
    run: Callable[[Context], Report] = field(repr=False)
    dtypes: tuple[str, ...] = ALL_DTYPES
    implementations: tuple[str, ...] | None = None
    needs: tuple[str, ...] = ()
    kind: str = ""
    judge: Callable[[Context, Program], Outcome] | None = field(default=None, repr=False)

    @property
    def explanation(self) -> str:
        return inspect.cleandoc(self.run.__doc__ or "")


CHECKS: dict[str, Check] = {}


def check(id: str, claim: str, **kwargs) -> Callable:
    """Register a check; a duplicate id or a function without explanation is an error."""

    def register(function: Callable[[Context], Report]) -> Callable[[Context], Report]:
        if id in CHECKS:
            raise ValueError(f"two checks are called {id!r}")
        if id.partition(".")[0] not in FAMILIES:
            raise ValueError(f"check {id!r} belongs to no family of {FAMILIES}")
        if not function.__doc__:
            raise ValueError(f"check {id!r} explains nothing")
        CHECKS[id] = Check(id, claim, function, **kwargs)
        return function

    return register


# Known without importing torch, so that the command line can check its arguments at once.
IDS = (
    "rule.step",
    "rule.state",
    "rule.arguments",
    "rule.counter",
    "rule.tails",
    "rule.layouts",
    "rule.nonfinite",
    "rule.reductions",
    "rule.sparse",
    "rule.power",
    "rule.direction",
    "rule.curvature",
    "rule.line_search",
    "rule.evaluations",
    "rule.stopping",
    "rule.max_eval",
    "rule.undefined",
    "rule.resized",
    "rule.mistakes",
    "groups.hyperparameters",
    "groups.edits",
    "groups.late",
    "groups.meetings",
    "groups.order",
    "groups.split",
    "groups.bystander",
    "groups.empty",
    "groups.absent",
    "groups.live",
    "groups.arguments",
    "state.round_trip",
    "state.complete",
    "state.copies",
    "state.independence",
    "state.dtypes",
    "state.late_gradients",
    "state.untouched",
    "state.keys",
    "binding.replaced",
    "binding.anew",
    "binding.regrouped",
    "binding.storage",
    "binding.groups",
    "contract.side_effects",
    "contract.construction",
    "contract.validation",
    "contract.closure",
    "contract.grad_mode",
    "contract.hooks",
    "contract.gradients",
    "contract.parameters",
    "contract.state",
    "contract.sparse",
    "contract.repr",
    "contract.zero_grad",
    "contract.schedulers",
    "contract.grad_scaler",
    "contract.compile",
    "contract.neighbours",
    "contract.lr_types",
    "contract.tensor_lr",
    "contract.memory",
    "parity.implementations",
    "parity.default",
    "parity.layouts",
    "parity.maximize",
    "parity.complex",
    "parity.slices",
    "symmetry.scaling",
    "symmetry.sign",
    "symmetry.translation",
    "symmetry.permutation",
    "determinism.repeat",
    "determinism.processes",
    "determinism.threads",
    "precision.step",
    "precision.state",
    "precision.state_dtype",
    "performance.step",
)


MODULES = (
    "rule",
    "arguments",
    "power",
    "quasi_newton",
    "meetings",
    "default_path",
    "shapes",
    "reductions",
    "sparse",
    "groups",
    "live",
    "state",
    "restored",
    "keys",
    "binding",
    "contract",
    "parity",
    "symmetry",
    "determinism",
    "precision",
    "performance",
)


def all_checks() -> dict[str, Check]:
    """Every check by id, in the order of IDS."""
    for module in MODULES:
        importlib.import_module(f"verify.checks.{module}")
    if tuple(sorted(CHECKS)) != tuple(sorted(IDS)):
        raise ValueError(f"IDS and the registered checks differ: {set(CHECKS) ^ set(IDS)}")
    return {id: CHECKS[id] for id in IDS}


def select(patterns: Iterable[str]) -> list[str]:
    """Ids that match any of the patterns (ids or globs such as ``rule*``); no pattern means all.

    Raises:
        UsageError: a pattern matches nothing.
    """
    patterns = list(patterns)
    chosen: set[str] = set()
    for pattern in patterns:
        found = [id for id in IDS if fnmatch.fnmatchcase(id, pattern)]
        if not found:
            near = difflib.get_close_matches(pattern, IDS, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"the checks are {', '.join(IDS)}"
            raise UsageError(f"no check is called {pattern!r}; {hint}")
        chosen.update(found)
    return [id for id in IDS if not patterns or id in chosen]
