"""What moves in a step, and between two steps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor
from torch.nn import Module

from verify.binding.finding import Finding
from verify.binding.look import Look
from verify.binding.names import companion, expression
from verify.binding.twins import averaged
from verify.binding.values import differ, sample

Named = tuple[str, Tensor]
FRESH = 3  # what should rest is looked at in the first steps in which it does,
RARELY = 32  # and then in every 32nd round, as is the rest
AT_ONCE = 4  # parameters that are followed from one step to the next


@dataclass
class _Suspect:
    name: str
    tensor: Tensor
    grad: Tensor | None
    before: Tensor | None


class Movement:
    """Parameters that should rest, over one step of one optimizer."""

    def __init__(self) -> None:
        self._held: list[Named] = []
        self._frozen: list[int] = []
        self._at_once = False
        self._looked: dict[int, int] = {}
        self._suspects: list[_Suspect] = []
        self._used: set[int] = set()  # had a gradient that was not zero; adapters start with zeros

    def settle(self, held: list[Named]) -> None:
        """Take over what is to be followed. A change of ``requires_grad`` comes with a new look."""
        self._held = held
        self._frozen = [i for i, (_, tensor) in enumerate(held) if not tensor.requires_grad]
        self._at_once = any(tensor.device.type != "cpu" for _, tensor in held)  # a GPU is waited for once, not in turns

    def before(self, grads: list[Tensor | None], round: int) -> None:
        """Sample what is frozen or without gradient; in turns the rest, where the gradient is all zero."""
        resting = [*self._frozen, *(i for i in range(len(grads)) if grads[i] is None)]
        turn = self._turn(round)
        chosen = {i for i in resting if i in turn or self._looked.get(id(self._held[i][1]), 0) < FRESH}
        for i in chosen:
            key = id(self._held[i][1])
            self._looked[key] = self._looked.get(key, 0) + 1
        chosen |= {i for i in turn if i not in chosen and self._zero(self._held[i][1], grads[i])}
        self._suspects = [_Suspect(*self._held[i], grads[i], sample(self._held[i][1])) for i in sorted(chosen)]

    def _turn(self, round: int) -> range:
        """All at first; then each in one round of 32."""
        every = range(len(self._held))
        if round == 1 or self._at_once:
            return every if round % RARELY == 1 else range(0)
        return every[round % RARELY :: RARELY]

    def _zero(self, tensor: Tensor, grad: Tensor | None) -> bool:
        """Whether a parameter that has had other gradients has one of zeros, by the look of it."""
        few = sample(grad) if grad is not None else None
        if few is None:
            return False
        if few.any():
            self._used.add(id(tensor))
            return False
        return id(tensor) in self._used

    def after(self) -> Iterator[Finding]:
        suspects, self._suspects = self._suspects, []
        for index in differ([s.before for s in suspects], (sample(s.tensor) for s in suspects)):
            finding = self._moved(suspects[index])
            if finding is not None:
                yield finding

    def _moved(self, suspect: _Suspect) -> Finding | None:
        if not suspect.tensor.requires_grad:
            return Finding(
                "frozen-moved",
                "error",
                suspect.name,
                "step() moved it, although requires_grad is False: a gradient from before the freeze, momentum or decay act on it in "
                f"every step. Write, when you freeze: {expression(suspect.name)}.grad = None.",
            )
        if suspect.grad is None:
            return Finding(
                "moved-without-grad",
                "warning",
                suspect.name,
                "step() moved it, although it had no gradient: decay or momentum act on layers that were not used. In the optimizer, "
                "write: if p.grad is None: continue.",
            )
        if suspect.grad.any():
            return None
        return Finding(
            "moved-on-zero-grad",
            "info",
            suspect.name,
            "step() moved it on a gradient of zeros, by momentum or decay. If a branch that is not used is to rest, write: "
            "optimizer.zero_grad(set_to_none=True).",
        )


def followed(look: Look) -> list[Named]:
    """Parameters that should move in steps alone: those of one optimizer, and what is frozen beside them.

    Averages and teachers are moved by hand, and parameters of two optimizers by the other one.
    """
    aside = {id(look.parameters[name]) for name in averaged(look, look.parameters)}
    for owner in look.owners:
        if len(owner.layers()) > 1:  # the wrapper may move them after the step
            aside |= {id(t) for _, _, t in owner.slots()}
    for root in look.subjects.roots.values() if len(look.subjects.roots) > 1 else ():
        inside = list(root.parameters()) if isinstance(root, Module) else [root]
        if not any(id(t) in look.holders for t in inside):
            aside |= {id(t) for t in inside}
    return [
        (name, t)
        for name, t in look.tensors
        if (len(look.holders[id(t)]) == 1 if id(t) in look.holders else not (t.requires_grad or companion(name)))
        and id(t) not in aside
    ]


class Between:
    """A few parameters in turn, from the end of one step to the start of the next."""

    def __init__(self) -> None:
        self._start = 0
        self._followed: list[tuple[str, Tensor, Tensor | None]] = []

    def after(self, tensors: list[Named], round: int) -> None:
        """Choose the next ones. Rarely on a GPU, which would have to be waited for."""
        self._followed = []
        if not tensors or (tensors[0][1].device.type != "cpu" and round % RARELY):
            return
        chosen = [tensors[(self._start + i) % len(tensors)] for i in range(min(AT_ONCE, len(tensors)))]
        self._start = (self._start + AT_ONCE) % len(tensors)
        self._followed = [(name, tensor, sample(tensor)) for name, tensor in chosen]

    def forget(self) -> None:
        """Another optimizer steps first."""
        self._followed = []

    def before(self) -> Iterator[Finding]:
        followed, self._followed = self._followed, []
        moved = differ([was for _, _, was in followed], (sample(tensor) for _, tensor, _ in followed))
        if moved:
            name = followed[moved[0]][0]
            yield Finding(
                "moved-between",
                "info",
                name,
                f"it moved after one step and before the next ({len(moved)} of {len(followed)} parameters that were looked at did): "
                "weights were loaded, reset, swapped, merged or clipped, and the optimizer's state belongs to the old values. If "
                "they were loaded, load or clear its state too: optimizer.state.clear().",
            )
