"""One call of step() with a closure that keeps what it is asked: torch alone, so that a script can hold it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from reference.quasi_newton.trace import Call, Evaluation


def minimise(
    optimizer: Any, parameters: Sequence[Tensor], objective: Callable, coefficients: Sequence[float], unused: int = -1
) -> Call:
    """Call ``optimizer.step`` with an objective of the parameters.

    Args:
        objective: a function of all parameters as one real vector, and of the coefficients, repeated over it.
        unused: the place of a parameter that the objective does not depend on, whose gradient stays None.
    """
    used = [p for i, p in enumerate(parameters) if i != unused]
    call = Call(flat(parameters))

    def closure():
        call.without_grad |= not torch.is_grad_enabled()
        with torch.enable_grad():
            for p in parameters:
                p.grad = None
            x = torch.cat([real(p).reshape(-1) for p in used])
            c = torch.tensor(coefficients, dtype=x.dtype).repeat(len(x))[: len(x)]
            loss = objective(x, c)
            loss.backward()
        gradient = flat([torch.zeros_like(p) if p.grad is None else p.grad for p in parameters])
        call.evaluations.append(Evaluation(flat(parameters), loss.item(), gradient))
        return loss

    returned = optimizer.step(closure)
    call.end = flat(parameters)
    returned = returned.detach().item() if torch.is_tensor(returned) else returned
    call.returned = float(returned) if isinstance(returned, int | float) else None
    states = optimizer.state.values() if isinstance(getattr(optimizer, "state", None), dict) else ()
    counts = [s["func_evals"] for s in states if isinstance(s, dict) and isinstance(s.get("func_evals"), int)]
    call.counted = counts[0] if counts else None
    return call


def real(p: Tensor) -> Tensor:
    """A complex tensor as pairs of real numbers."""
    return torch.view_as_real(p) if p.is_complex() else p


def flat(tensors: Sequence[Tensor]) -> tuple[float, ...]:
    """All elements of some tensors."""
    return tuple(torch.cat([real(t.detach()).reshape(-1).double() for t in tensors]).tolist())
