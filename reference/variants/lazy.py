"""What becomes of elements that a sparse gradient does not have: they are kept as they are, or have a gradient of zero."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from reference.rule import UpdateRule

WHERE = "elements that a sparse gradient does not have"


def lazy_edits(rule: UpdateRule) -> Iterator[tuple[str, str, UpdateRule]]:
    """Name, sentence and rule of every other choice of what such elements keep; ``lazy.all`` for a rule that is not
    lazy, which shows in sparse gradients alone."""
    elements = [s.name for s in rule.state if not s.scalar]
    if not rule.lazy:
        if rule.is_elementwise:
            yield "lazy.all", f"{WHERE} keep parameter and state", _keeping(rule, ("p", *elements))
            if elements:
                yield "lazy.only.p", f"{WHERE} keep the parameter", _keeping(rule, ("p",))
        return
    yield "lazy.nothing", f"{WHERE} move and remember as with a gradient of zero", _keeping(rule, ())
    state = tuple(name for name in rule.lazy if name != "p")
    if state and "p" in rule.lazy:
        yield "lazy.only.p", f"the state of {WHERE} changes as with a gradient of zero", _keeping(rule, ("p",))
        yield "lazy.only.state", f"{WHERE} move as with a gradient of zero", _keeping(rule, state)
    for name in state if len(state) > 1 else ():
        left = tuple(n for n in rule.lazy if n != name)
        yield f"lazy.not.{name}", f"{name} of {WHERE} changes as with a gradient of zero", _keeping(rule, left)


def _keeping(rule: UpdateRule, names: tuple[str, ...]) -> UpdateRule:
    return replace(rule, lazy=names, torch=(), _steps={})
