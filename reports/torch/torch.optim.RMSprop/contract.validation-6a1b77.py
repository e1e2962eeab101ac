"""contract.validation on float32, for-loop: torch.optim.RMSprop.

the constructor takes 1.25 for alpha (in [0, 1)). Each must raise ValueError or TypeError
smallest    build [tensor(1,)] with lr=1, alpha=0, eps=1, weight_decay=0, momentum=0; step(grad=1, -2, 0.5, 0.25, …)
"""
from __future__ import annotations

import sys
import types

import torch
import importlib

sys.path.insert(0, "")
Optimizer = importlib.import_module('torch.optim').RMSprop

torch.set_num_threads(1)




class Broken(Exception):
    """A promise is broken; the message is the sentence that says so."""


class NotOffered(Exception):
    """The subject does not have what the promise is about."""


def validation(case: Case) -> None:
    """Each hyperparameter is set in turn to values outside its domain (a negative one, the excluded upper end, and
    beyond it), to NaN and to text, the others being as they should. An infinite value is not tried: torch's own
    classes take one. Of an unknown rule only NaN, text and a negative lr are known to be wrong.

    Bugs of this kind: `if lr < 0`, which NaN passes; betas that are not looked at, so that the bias correction
    divides by zero; a bare assertion, which says nothing and is gone under python -O.
    """
    params = fresh(case)
    taken: dict[str, list[str]] = {}
    otherwise: dict[str, list[str]] = {}
    for change, name, value in case.wrong:
        try:
            build(case, params, **change)
        except (ValueError, TypeError):
            continue
        except Exception as error:
            if isinstance(error, AssertionError) and str(error):
                continue
            kind = type(error).__name__
            otherwise.setdefault(f"{name} end in {kind}{f': {error}' if str(error) else ' without words'}", []).append(
                value
            )
        else:
            taken.setdefault(name, []).append(value)
    for found, what in ((taken, "the constructor takes "), (otherwise, "in the constructor ")):
        if found:
            listed = "; ".join(f"{', '.join(values)} for {name}" for name, values in found.items())
            raise Broken(f"{what}{listed}. Each must raise ValueError or TypeError")


def fresh(case: Case) -> list[torch.Tensor]:
    """New parameters with the initial values, laid out in memory as those."""
    made = []
    for p in case.parameters:
        new = torch.empty_strided(p.shape, p.stride(), dtype=p.dtype, device=p.device)
        made.append(new.copy_(p).requires_grad_())
    return made


def build(case: Case, params: list[torch.Tensor], **changes: Any) -> Any:
    """The optimizer on these parameters, in the groups of the case."""
    arguments = {**case.arguments, **changes}
    if len(case.groups) == 1:
        return case.factory(params, **arguments)
    groups = [{"params": [params[i] for i in places], **own} for places, own in case.groups]
    return case.factory(groups, **arguments)


case = types.SimpleNamespace(
    factory=Optimizer,
    arguments={'lr': 1.0, 'alpha': 0.0, 'eps': 1.0, 'weight_decay': 0.0, 'momentum': 0.0, 'centered': False, 'maximize': False, 'foreach': False},
    groups=[([0], {})],
    parameters=[
        torch.tensor([1.0], dtype=torch.float32, device='cpu'),
    ],
    gradients=[
        [torch.tensor([1.0], dtype=torch.float32, device='cpu')],
    ],
    other={'lr': 0.5, 'alpha': 0.5, 'eps': 0.1, 'weight_decay': 0.5, 'momentum': 0.9},
    names=['lr', 'alpha', 'eps', 'weight_decay', 'momentum'],
    required=[],
    wrong=[
        ({'lr': -0.25}, 'lr (in [0, ∞))', '-0.25'),
        ({'lr': float("nan")}, 'lr (in [0, ∞))', 'nan'),
        ({'lr': 'fast'}, 'lr (in [0, ∞))', "'fast'"),
        ({'alpha': -0.25}, 'alpha (in [0, 1))', '-0.25'),
        ({'alpha': 1.25}, 'alpha (in [0, 1))', '1.25'),
        ({'alpha': float("nan")}, 'alpha (in [0, 1))', 'nan'),
        ({'alpha': 'fast'}, 'alpha (in [0, 1))', "'fast'"),
        ({'eps': -0.25}, 'eps (in [0, ∞))', '-0.25'),
        ({'eps': float("nan")}, 'eps (in [0, ∞))', 'nan'),
        ({'eps': 'fast'}, 'eps (in [0, ∞))', "'fast'"),
        ({'weight_decay': -0.25}, 'weight_decay (in [0, ∞))', '-0.25'),
        ({'weight_decay': float("nan")}, 'weight_decay (in [0, ∞))', 'nan'),
        ({'weight_decay': 'fast'}, 'weight_decay (in [0, ∞))', "'fast'"),
        ({'momentum': -0.25}, 'momentum (in [0, ∞))', '-0.25'),
        ({'momentum': float("nan")}, 'momentum (in [0, ∞))', 'nan'),
        ({'momentum': 'fast'}, 'momentum (in [0, ∞))', "'fast'"),
    ],
    slack=0.0,
)

try:
    validation(case)
except Broken as sentence:
    print("broken:", sentence)
    sys.exit(1)
except NotOffered as reason:
    print("not offered:", reason)
except Exception as error:
    print("raised:", type(error).__name__, error)
    sys.exit(1)
else:
    print("the promise is kept")
