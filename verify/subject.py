"""The optimizer under test: how to import it, build it and read its state.

A subject is found by ``module.Class``, ``module:attribute`` or ``path/to/file.py:Class``. Its
constructor's signature is matched with the rule's hyperparameters by torch's names, so nothing has to
be subclassed; odd names are mapped.
"""

from __future__ import annotations

import contextlib
import difflib
import importlib
import importlib.util
import inspect
import numbers
import pickle
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from verify.errors import UsageError, one_line

if TYPE_CHECKING:
    import torch

    from reference.rule import UpdateRule

IMPLEMENTATIONS = ("for-loop", "foreach", "fused", "differentiable", "capturable", "compiled")
_SWITCHES = ("foreach", "fused", "differentiable", "capturable")
# what somebody else's code may raise; KeyboardInterrupt is left to whoever pressed Ctrl-C
SUBJECT_ERRORS = (Exception, SystemExit, GeneratorExit)


@dataclass(frozen=True)
class Subject:
    """What is under test and how its arguments are called.

    Args:
        target: ``"module.Class"``, ``"module:attribute"``, ``"path/to/file.py:Class"``, or a class or
            factory function itself. It is called as ``target(params, **arguments)``.
        rule: name of the rule it claims, ``"path/to/rule.py:NAME"``, or ``"none"`` for its behaviour alone; torch's
            own classes know theirs.
        arguments: further constructor arguments, passed as they are.
        names: constructor argument for a hyperparameter or option, e.g. ``{"beta1": "b1"}`` or
            ``{"beta1": "betas[0]"}``.
        state_keys: state key for a state variable, e.g. ``{"exp_avg": "m"}``; ``""`` means that it
            cannot be seen and is to be carried by the reference.
        low_precision_state: state variables that are meant to be kept in a lower dtype.
        lacks: capabilities that it does not have (see :data:`verify.checks.CAPABILITIES`).
    """

    target: str | Callable[..., Any]
    rule: str | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    state_keys: Mapping[str, str] = field(default_factory=dict)
    low_precision_state: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """Its name in reports."""
        if isinstance(self.target, str):
            return self.target
        module = getattr(self.target, "__module__", "")
        name = getattr(self.target, "__qualname__", type(self.target).__name__)
        return f"{module}.{name}".removeprefix("__main__.")

    @property
    def slug(self) -> str:
        """Its name as a folder name."""
        return re.sub(r"[^A-Za-z0-9_.-]+", "-", self.title).strip("-.") or "subject"

    def by_name(self) -> Subject:
        """The same subject with the shortest name under which it can be imported as its target, if it has one."""
        name = getattr(self.target, "__qualname__", "")
        module = getattr(self.target, "__module__", None) or "__main__"
        if isinstance(self.target, str) or module == "__main__" or not name.isidentifier():
            return self
        parts = module.split(".")
        for count in range(1, len(parts) + 1):
            package = ".".join(parts[:count])
            if getattr(sys.modules.get(package), name, None) is self.target:
                return replace(self, target=f"{package}.{name}")
        return self

    def __reduce__(self):
        # a class of a notebook, or a function in a function, has no name that another process could import
        import cloudpickle

        return _unpacked, (cloudpickle.dumps(vars(self)),)


def _unpacked(fields: bytes) -> Subject:
    return Subject(**pickle.loads(fields))


def _nearest(name: str, known, verb: str = "") -> str:
    """A near match; without one all that is known, if a verb says how it is known."""
    known = [k for k in known if not k.startswith("_")]
    near = difflib.get_close_matches(name, known, 1, 0.6)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; it {verb} {', '.join(sorted(known)) or 'none'}" if verb else ""


def _module_from_file(path: Path):
    try:
        found = path.is_file()
        others = [] if found else [p.stem for p in path.parent.glob("*.py")]
    except OSError as error:
        raise UsageError(f"cannot read {str(path)!r}: {error.strerror}") from None
    if not found:
        raise UsageError(f"there is no file {str(path)!r}{_nearest(path.stem, others)}")
    name = f"optim_verify_subject_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise UsageError(f"{str(path)!r} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    folder = str(path.parent.resolve())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        raise UsageError(f"importing {str(path)!r} failed: {_syntax(error)}") from None
    except SUBJECT_ERRORS as error:
        raise UsageError(f"importing {str(path)!r} failed with {one_line(error)}") from None
    return module


def _syntax(error: SyntaxError) -> str:
    where = f" in line {error.lineno}" if error.lineno else ""
    file = f" of {error.filename!r}" if error.filename and where else ""
    return f"invalid Python{where}{file}: {error.msg}"


def _import(name: str):
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(error.name + ".")):
            return None
        raise UsageError(f"importing {name!r} failed with {one_line(error)}") from None
    except SyntaxError as error:
        raise UsageError(f"importing {name!r} failed: {_syntax(error)}") from None
    except SUBJECT_ERRORS as error:
        raise UsageError(f"importing {name!r} failed with {one_line(error)}") from None


def _nearest_module(name: str, attribute: str) -> str:
    """A hint about the first part of a dotted module name that does not exist."""
    import pkgutil

    parent: Any = None
    for part in name.split("."):
        path = None if parent is None else getattr(parent, "__path__", [])
        names = [m.name for m in pkgutil.iter_modules(path)]
        if parent is None:
            names += sys.builtin_module_names
        if part not in names:
            prefix = "" if parent is None else parent.__name__ + "."
            if parent is not None and hasattr(parent, part):
                return f"; {part!r} is no module, so write {prefix[:-1]}:{name.removeprefix(prefix)}.{attribute}"
            near = difflib.get_close_matches(part, names, 1, 0.66)
            return f"; did you mean {prefix + near[0]!r}?" if near else ""
        parent = _import(part if parent is None else f"{parent.__name__}.{part}")
        if parent is None:
            return ""
    return ""


def resolve(target: str) -> Callable[..., Any]:
    """The object that a target string names.

    Raises:
        UsageError: nothing of that name can be imported, or it cannot be called.
    """
    file, colon, attribute = target.rpartition(":")
    if colon and file.endswith(".py") and attribute:
        owner, where = _module_from_file(Path(file)), f"{file!r}"
    elif target.endswith(".py"):
        raise UsageError(f"say which class of {target!r} is meant, as {target}:ClassName")
    else:
        module_name, _, attribute = (file, colon, attribute) if colon else target.rpartition(".")
        if not re.fullmatch(r"\w+(\.\w+)*", module_name) or not attribute:
            raise UsageError(f"{target!r} is no target; write module.Class, module:attribute or path/to/file.py:Class")
        owner, where = _import(module_name), f"module {module_name!r}"
        if owner is None:
            hint = _nearest_module(module_name, attribute) or (
                "; is it installed, and is the folder that holds it the current one?"
            )
            raise UsageError(f"there is no module {module_name!r} to take {attribute!r} from{hint}")
    for part in attribute.split("."):
        try:
            owner = getattr(owner, part)
        except AttributeError:
            raise UsageError(f"{where} has no {part!r}{_nearest(part, dir(owner))}") from None
        except SUBJECT_ERRORS as error:
            raise UsageError(f"taking {part!r} from {where} failed with {one_line(error)}") from None
    if not callable(owner):
        raise UsageError(f"{target!r} is {type(owner).__name__}, not a class or a function that builds an optimizer")
    return owner


@dataclass(frozen=True)
class Argument:
    """Where a hyperparameter goes: a constructor argument, or an entry of a tuple."""

    name: str
    index: int | None = None

    @classmethod
    def parse(cls, text: str) -> Argument:
        match = re.fullmatch(r"([^\W\d]\w*)(?:\[(\d\d?)\])?", text)
        if not match:
            raise UsageError(f"{text!r} is no argument; write a name such as lr, or betas[0]")
        return cls(match[1], int(match[2]) if match[2] else None)

    def overlaps(self, other: Argument) -> bool:
        """Whether setting one would change the other."""
        return self.name == other.name and (self.index == other.index or None in (self.index, other.index))


def _with_options_given(rule: UpdateRule, subject: Subject) -> UpdateRule:
    """The rule whose options are by default as the user's constructor arguments have them."""
    given: dict[str, bool] = {}
    for option in (o for o in rule.options if not o.of_shape):
        name = subject.names.get(option.name)
        for argument in [name] if name else [*option.arguments, option.name]:
            value = subject.arguments.get(argument)
            for on, meant in enumerate(option.values):
                if type(value) is type(meant) and value == meant and argument in subject.arguments:
                    given[option.name] = bool(on)
    if all(given.get(o.name, o.default) == o.default for o in rule.options):
        return rule
    options = tuple(replace(o, default=given.get(o.name, o.default)) for o in rule.options)
    return replace(rule, options=options, _steps={})


class LoadedSubject:
    """A subject with its constructor matched to a rule.

    Raises:
        UsageError: it cannot be imported, is no optimizer, or needs arguments nobody gave.
    """

    def __init__(self, subject: Subject, rule: UpdateRule, factory: Callable[..., Any]):
        self.subject = subject
        self.rule = _with_options_given(rule, subject)
        self.factory = factory
        self.parameters = _signature(self.factory, subject)
        self.takes_anything = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in self.parameters.values())
        self.hyperparameters: dict[str, Argument] = {}
        self.options: dict[str, str] = {}
        self.fixed: dict[str, float] = {}
        # whether it takes no dense gradients: all that it is given are sparse then (see find_sparse_alone)
        self.sparse_alone = False
        # what has been found out about it (verify.matrix_precision)
        self.matrix_precisions: dict[tuple[str, ...], Any] = {}
        self._match()

    # -- matching ----------------------------------------------------------------------------

    def _has(self, argument: str) -> bool:
        return argument in self.parameters and argument not in self.subject.arguments

    def _may_hold(self, argument: str) -> bool:
        """Whether an argument may be a number or a choice: the default of some is an object that only they know."""
        if not self._has(argument):
            return False
        default = self.parameters[argument].default
        plain = isinstance(default, numbers.Number | tuple | list)
        return plain or default is None or default is inspect.Parameter.empty

    def _match(self) -> None:
        subject, rule = self.subject, self.rule
        choices = [o for o in rule.options if not o.of_shape]
        known = {*(h.name for h in rule.hyperparameters), *(o.name for o in choices)}
        for name in subject.names:
            if name not in known:
                raise UsageError(
                    f"rule {rule.name!r} has no hyperparameter or option {name!r}{_nearest(name, known, 'has')}"
                )
        states = {s.name for s in rule.state} | {"step"}
        for name in subject.state_keys:
            if name not in states:
                raise UsageError(f"rule {rule.name!r} has no state variable {name!r}{_nearest(name, states, 'has')}")
        for name in subject.arguments:
            if name not in self.parameters and not self.takes_anything:
                raise UsageError(
                    f"{subject.title} takes no argument {name!r}{_nearest(name, self.parameters, 'takes')}"
                )
        for name, text in subject.names.items():
            if Argument.parse(text).name in subject.arguments:
                raise UsageError(f"the argument {text!r} is named as {name!r} and given a value too; do one of the two")
        for h in rule.hyperparameters:
            given = subject.names.get(h.name)
            candidates = [given] if given else [*h.arguments, h.name]
            parsed = [Argument.parse(c) for c in candidates]
            holds = self._has if given else self._may_hold
            found = next((a for a in parsed if holds(a.name)), None)
            if found is None and self.takes_anything and (given or h.absent is None):
                # **kwargs may take it; the constructor will say when it does not
                found = next((a for a in parsed if a.name not in subject.arguments), None)
            if found:
                self.hyperparameters[h.name] = found
            elif given:
                raise UsageError(
                    f"{subject.title} takes no argument {Argument.parse(given).name!r}"
                    f"{_nearest(given, self.parameters, 'takes')}"
                )
            elif (value := self._value_given(candidates)) is not None:
                self.fixed[h.name] = value
            elif h.absent is not None:
                self.fixed[h.name] = h.absent
            else:
                self._missing(h, candidates)
        for o in choices:
            given = subject.names.get(o.name)
            candidates = [given] if given else [*o.arguments, o.name]
            if o.as_none:
                candidates = [c for c in candidates if self._is_none(Argument.parse(c))]
            holds = self._has if given or o.as_none else self._may_hold
            found_name = next((c for c in candidates if holds(Argument.parse(c).name)), None)
            if found_name is None and given and self.takes_anything and given not in subject.arguments:
                found_name = given
            if found_name:
                self.options[o.name] = found_name
            elif given:
                raise UsageError(
                    f"{subject.title} takes no argument {given!r}{_nearest(given, self.parameters, 'takes')}"
                )
        self._names_are_distinct()
        taken = self._taken()
        for name, p in list(self.parameters.items())[1:]:
            if name in taken and p.kind is inspect.Parameter.POSITIONAL_ONLY:
                raise UsageError(
                    f"{subject.title} takes {name!r} by position only; wrap it in a function that takes it by name"
                )
            required = p.default is inspect.Parameter.empty and p.kind in (
                inspect.Parameter.POSITIONAL_OR_KEYWORD,
                inspect.Parameter.KEYWORD_ONLY,
            )
            if required and name not in taken and name not in subject.arguments:
                raise UsageError(
                    f"{subject.title} needs the argument {name!r}, which rule {rule.name!r} does not know; "
                    f"give it as --arg {name}=VALUE, or name the hyperparameter that it is with --name"
                )

    def _is_none(self, argument: Argument) -> bool:
        """Whether a constructor's own default of an argument, or of an entry of a tuple, is None."""
        default = (
            self.parameters[argument.name].default if argument.name in self.parameters else inspect.Parameter.empty
        )
        if argument.index is None or default is inspect.Parameter.empty:
            return default is None
        entries = self._default_entries(argument.name)
        return argument.index < len(entries) and entries[argument.index] is None

    def _taken(self) -> set[str]:
        """Constructor arguments that a part of the rule stands for."""
        return {a.name for a in self.hyperparameters.values()} | {Argument.parse(a).name for a in self.options.values()}

    def _names_are_distinct(self) -> None:
        found = self.hyperparameters | {name: Argument.parse(a) for name, a in self.options.items()}
        for name, text in self.subject.names.items():
            for other, a in found.items():
                if other != name and a.overlaps(found[name]):
                    raise UsageError(f"{name!r} and {other!r} cannot both be the argument {text!r}")

    def _value_given(self, candidates: list[str]) -> float | None:
        """A hyperparameter that the user fixed with an explicit constructor argument."""
        for argument in map(Argument.parse, candidates):
            value = self.subject.arguments.get(argument.name)
            if argument.index is not None:
                whole = value if isinstance(value, tuple | list) else ()
                value = whole[argument.index] if argument.index < len(whole) else None
            if isinstance(value, int | float) and not isinstance(value, bool):
                return float(value)
        return None

    def _missing(self, h, candidates: list[str]) -> None:
        names = [n for n in list(self.parameters)[1:]]
        near = difflib.get_close_matches(h.name, names, 1)
        for argument in map(Argument.parse, candidates):
            if argument.name in self.subject.arguments:
                value = self.subject.arguments[argument.name]
                raise UsageError(
                    f"rule {self.rule.name!r} needs a number for {h.name!r}, and --arg {argument.name}={value!r} "
                    f"holds none; leave it out, or give one for {candidates[0]!r}"
                )
        if not names:
            raise UsageError(
                f"{self.subject.title} takes nothing but {next(iter(self.parameters))!r}; it must build an optimizer "
                f"from parameters and {candidates[0]!r}, which rule {self.rule.name!r} needs"
            )
        example = near[0] if near else "ARGUMENT"
        raise UsageError(
            f"rule {self.rule.name!r} needs {h.name!r} (usually the argument {candidates[0]!r}), and "
            f"{self.subject.title} takes {', '.join(names)}; "
            f"say which one it is with --name {h.name}={example}"
        )

    @property
    def lacks(self) -> frozenset[str]:
        """Capabilities that it is declared not to have, or that its rule does without."""
        return frozenset((*self.subject.lacks, *self.rule.lacks))

    @property
    def chooses_by_default(self) -> bool:
        """Whether the constructor picks an implementation where none is asked for, as torch's do with foreach=None."""
        return any(self._has(s) and self.parameters[s].default is None for s in _SWITCHES)

    @property
    def implementations(self) -> tuple[str, ...]:
        """Implementations that the constructor offers; the first is always there."""
        offered = [i for i in _SWITCHES if self._has(i)]
        return ("for-loop", *offered)

    @property
    def unmatched(self) -> dict[str, Any]:
        """Constructor arguments with a default that no part of the rule stands for."""
        taken = self._taken()
        return {
            name: p.default
            for name, p in list(self.parameters.items())[1:]
            if name not in taken and name not in self.subject.arguments and p.default is not inspect.Parameter.empty
        }

    # -- building ----------------------------------------------------------------------------

    def constructor_arguments(self, values: Mapping[str, float], options: Mapping[str, bool]) -> dict[str, Any]:
        """Keyword arguments for hyperparameters and options by the rule's names."""
        arguments: dict[str, Any] = {}
        integers = {h.name for h in self.rule.hyperparameters if h.integer}
        for name, value in values.items():
            argument = self.hyperparameters.get(name)
            if argument is None:
                continue
            self._put(arguments, argument, int(value) if name in integers else value)
        choices = {o.name: o for o in self.rule.options}
        for name, value in options.items():
            if name not in self.options:
                continue
            if not choices[name].as_none:
                arguments[self.options[name]] = self.option_value(name, value)
            elif value:
                self._put(arguments, Argument.parse(self.options[name]), None)
        return arguments

    def _put(self, arguments: dict[str, Any], argument: Argument, value: Any) -> None:
        if argument.index is None:
            arguments[argument.name] = value
            return
        entries = list(arguments.get(argument.name, self._default_entries(argument.name)))
        entries += [None] * (argument.index + 1 - len(entries))
        entries[argument.index] = value
        arguments[argument.name] = tuple(entries)

    def ended_by(self, name: str) -> tuple[str, ...]:
        """Options that None makes, in the argument that holds this hyperparameter: a number in its place ends them."""
        argument = self.hyperparameters.get(name)
        made = (o.name for o in self.rule.options if o.as_none and o.name in self.options)
        return tuple(o for o in made if Argument.parse(self.options[o]) == argument)

    def option_value(self, name: str, on: bool) -> Any:
        """What the constructor argument of an option is given."""
        return next(o for o in self.rule.options if o.name == name).values[bool(on)]

    @property
    def small_shape(self) -> tuple[int, ...]:
        """A shape that it takes a parameter of."""
        return (2,) * (self.rule.dimensions or 1)

    def _default_entries(self, name: str) -> tuple:
        default = self.parameters[name].default if name in self.parameters else None
        return tuple(default) if isinstance(default, tuple | list) else ()

    def build(
        self,
        groups: list[dict[str, Any]],
        values: Mapping[str, float],
        options: Mapping[str, bool],
        implementation: str,
    ):
        """Call the constructor. ``groups`` are param groups with their own hyperparameters filled in."""
        arguments = self.constructor_arguments(values, self.chosen(options)) | self.switches(implementation)
        params: Any = groups if len(groups) > 1 or len(groups[0]) > 1 else groups[0]["params"]
        optimizer = self.factory(params, **{**arguments, **self.subject.arguments})
        if implementation == "compiled":
            import types

            import torch

            # a method still, which torch's schedulers wrap
            optimizer.step = types.MethodType(torch.compile(type(optimizer).step), optimizer)  # type: ignore[method-assign]
        return optimizer

    def editable(self) -> tuple[str, ...]:
        """Hyperparameters that an instance keeps in its param groups, so that groups may differ in them."""
        import torch

        values = {k: v for k, v in self.rule.defaults.items() if k not in self.fixed}
        try:
            optimizer = self.build(
                [{"params": [torch.zeros(self.small_shape, requires_grad=True)]}], values, {}, "for-loop"
            )
        except SUBJECT_ERRORS:
            return ()
        groups = getattr(optimizer, "param_groups", None)
        group = groups[0] if isinstance(groups, list) and groups and isinstance(groups[0], dict) else {}
        return tuple(name for name, a in self.hyperparameters.items() if a.name in group)

    def editable_options(self) -> tuple[str, ...]:
        """Options that an instance keeps in its param groups, and that need no state of their own to be switched."""
        import torch

        values = {k: v for k, v in self.rule.defaults.items() if k not in self.fixed}
        try:
            optimizer = self.build(
                [{"params": [torch.zeros(self.small_shape, requires_grad=True)]}], values, {}, "for-loop"
            )
            group = optimizer.param_groups[0]
        except SUBJECT_ERRORS:
            return ()
        return tuple(name for name, argument in self.options.items() if argument in group)

    def accepts(self, values: Mapping[str, float], options: Mapping[str, bool]) -> bool:
        """Whether the constructor takes these values together."""
        import torch

        parameter = torch.zeros(self.small_shape, requires_grad=True)
        try:
            self.build([{"params": [parameter]}], values, options, "for-loop")
        except SUBJECT_ERRORS:
            return False
        return True

    def find_sparse_alone(self, dtype: torch.dtype | None = None) -> bool:
        """Find out by trying whether the subject takes sparse gradients alone, and note it."""
        import torch

        dense = torch.ones(3, 2, dtype=dtype)
        self.sparse_alone = not self._takes(dense) and self._takes(dense.to_sparse(1))
        return self.sparse_alone

    def _takes(self, gradient: torch.Tensor) -> bool:
        """Whether one step with this gradient, at the rule's defaults, raises nothing."""
        import torch

        values = {k: v for k, v in self.rule.defaults.items() if k not in self.fixed}
        parameter = torch.ones(3, 2, dtype=gradient.dtype, requires_grad=True)
        try:
            optimizer = self.build([{"params": [parameter]}], values, {}, "for-loop")
            parameter.grad = gradient
            optimizer.step()
        except SUBJECT_ERRORS:
            return False
        return True

    def chosen(self, options: Mapping[str, bool]) -> dict[str, bool]:
        """A choice for every option; a constructor's own default may be another than the rule's."""
        return {o.name: o.default for o in self.rule.options} | dict(options)

    def switches(self, implementation: str) -> dict[str, bool]:
        """Constructor arguments that choose an implementation; none for the one that is chosen by default."""
        if implementation == "default":
            return {}
        return {
            s: s == implementation
            for s in _SWITCHES
            if self._has(s) and (s == implementation or s in ("foreach", "fused"))
        }

    def edit(self, group: dict[str, Any], name: str, value: float | torch.Tensor) -> bool:
        """Set a hyperparameter in a live param group; False when the group does not hold it."""
        argument = self.hyperparameters.get(name)
        if argument is None or argument.name not in group:
            return False
        if any(h.name == name and h.integer for h in self.rule.hyperparameters) and not hasattr(value, "dtype"):
            value = int(value)
        if argument.index is None:
            group[argument.name] = value
        else:
            entries = list(group[argument.name])
            entries[argument.index] = value
            group[argument.name] = type(group[argument.name])(entries)
        return True

    # -- state -------------------------------------------------------------------------------

    def own_state(self, optimizer, p: torch.Tensor) -> dict[Any, Any]:
        """What the subject says it remembers of a parameter; nothing where that cannot be read."""
        with contextlib.suppress(Exception):
            state = getattr(optimizer, "state", None)
            own = state.get(p) if isinstance(state, Mapping) else None
            if isinstance(own, Mapping):
                return dict(own)
        return {}

    def find_state(self, optimizer, p: torch.Tensor) -> dict[str, Any]:
        """State of a parameter by the rule's names, where it can be matched by key and shape."""
        import torch

        own = self.own_state(optimizer, p)
        return {
            variable.name: value
            for variable in self.rule.state
            if (value := self._pick(own, variable, p, torch)) is not None
        }

    def _pick(self, own: Mapping, variable, p, torch):
        keys = (variable.name,) if not variable.keys else variable.keys
        if variable.name in self.subject.state_keys:
            keys = (self.subject.state_keys[variable.name],)
        for key in keys:
            value = own.get(key)
            if isinstance(value, torch.Tensor):
                if value.layout != torch.strided or value.is_meta:
                    continue  # it holds no numbers to look at
                fits = value.shape == p.shape and value.is_complex() == p.is_complex()
                if variable.common:
                    fits = tuple(value.shape) in _common_shapes(tuple(p.shape), variable.common)
                if variable.scalar:
                    fits = value.numel() == 1 and value.element_size() > 1
                if fits and (value.is_floating_point() or value.is_complex()):
                    return value
            elif variable.scalar and isinstance(value, int | float) and not isinstance(value, bool):
                return float(value)
        return None

    def find_count(self, optimizer, p: torch.Tensor):
        """The step counter of a parameter, or None."""
        import torch

        value = self.own_state(optimizer, p).get(self.subject.state_keys.get("step", "step"))
        if isinstance(value, torch.Tensor) and value.numel() == 1 and not value.is_meta:
            return value
        if isinstance(value, int | float) and not isinstance(value, bool):
            return value
        return None


def _common_shapes(shape: tuple[int, ...], axes: str) -> tuple[tuple[int, ...], ...]:
    """The shapes of a state that is kept once for all elements of a tensor, or once for each row or column."""
    if axes == "all":
        return (), (1,), (1,) * len(shape)
    if len(shape) < 2:
        return ()
    kept = common_shape(shape, axes)
    return kept, tuple(n for k, n in enumerate(shape) if k != len(shape) + (-1 if axes == "rows" else -2))


def common_shape(shape: tuple[int, ...], axes: str) -> tuple[int, ...]:
    """The shape of a state that is kept once for each row or column, with the axis along which it is the same."""
    return (*shape[:-1], 1) if axes == "rows" else (*shape[:-2], 1, shape[-1])


def _signature(factory: Callable, subject: Subject) -> dict[str, inspect.Parameter]:
    try:
        found = dict(inspect.signature(factory).parameters)
    except Exception:
        raise UsageError(f"{subject.title} has no signature that Python can read; wrap it in a function") from None
    import torch

    if inspect.isclass(factory) and not issubclass(factory, torch.optim.Optimizer) and not hasattr(factory, "step"):
        raise UsageError(f"{subject.title} is a class without step(): no optimizer")
    if not found:
        raise UsageError(f"{subject.title} takes no parameters to optimize: no optimizer")
    return found


def default_rule(target: str | Callable[..., Any], factory: Callable[..., Any]) -> str | None:
    """Name of the rule that a torch.optim class implements; None for anything else."""
    from reference import rule_for_torch_class

    module, name = getattr(factory, "__module__", ""), getattr(factory, "__qualname__", "")
    if not module.startswith("torch.optim"):
        return None
    rule = rule_for_torch_class(f"torch.optim.{name}")
    return rule.name if rule else None


def _defaults(factory: Callable[..., Any], subject: Subject) -> dict[str, Any]:
    """Arguments of a constructor that may be hyperparameters, with their defaults."""
    found = {}
    for name, parameter in list(_signature(factory, subject).items())[1:]:
        if name in _SWITCHES or name in subject.arguments:
            continue
        if parameter.default is not inspect.Parameter.empty:
            found[name] = parameter.default
        elif name in ("lr", "learning_rate"):
            found[name] = 1e-3
    return found


def _dimensions(loaded: LoadedSubject) -> int | None:
    """How many dimensions a parameter must have: None where one is enough, or where two do not help."""
    import torch

    def takes(shape: tuple[int, ...]) -> bool:
        parameter = torch.zeros(shape, requires_grad=True)
        parameter.grad = torch.ones(shape)
        try:
            loaded.build([{"params": [parameter]}], loaded.rule.defaults, {}, "for-loop").step()
        except SUBJECT_ERRORS:
            return False
        return True

    return 2 if not takes((2,)) and takes((2, 2)) else None


def load(subject: Subject) -> LoadedSubject:
    """Import a subject and match it with its rule.

    Raises:
        UsageError: see :class:`LoadedSubject`; also when no rule is given and none is known.
    """
    from reference import RULES, RuleError, load_rule, unknown_rule

    factory = resolve(subject.target) if isinstance(subject.target, str) else subject.target
    name = subject.rule or default_rule(subject.target, factory)
    if name is None:
        raise UsageError(
            f"which rule does {subject.title} claim? pass --rule NAME, one of {', '.join(RULES)}, "
            "your own as --rule path/to/rule.py:NAME, or --rule none for its behaviour alone"
        )
    if name == "none":
        loaded = LoadedSubject(subject, unknown_rule(_defaults(factory, subject)), factory)
        # the constructor is all that there is to ask which values belong together
        loaded.rule = replace(loaded.rule, dimensions=_dimensions(loaded))
        loaded.rule = replace(loaded.rule, constraint=loaded.accepts)
        return loaded
    try:
        rule = load_rule(name)
    except RuleError as error:
        raise UsageError(str(error)) from None
    if rule.kind == "quasi_newton":
        from verify.quasi_newton.giving_closure import giving_closure

        factory = giving_closure(factory)
    return LoadedSubject(subject, rule, factory)
