"""What any torch optimizer owes its caller, as plain functions that need only torch.

Each takes a :class:`verify.promises.case.Case` and raises ``Broken`` with a sentence, or returns. They import
nothing of this project but each other and its one tolerance constant, so that ``verify.script_promise`` can paste one of them, with what it
calls, into a script that stands alone.
"""

from collections.abc import Callable

from verify.promises.binding import anew, groups, regrouped, replaced, swapped
from verify.promises.case import Case
from verify.promises.company import compiled, grad_scaler, neighbours, schedulers
from verify.promises.construction import construction, representation, validation
from verify.promises.memory import memory
from verify.promises.rates import lr_types, tensor_lr
from verify.promises.stepping import closure, grad_mode, hooks
from verify.promises.tensors import gradients, parameters, sparse, state, zero_grad

PROMISES: dict[str, Callable[[Case], None]] = {
    "binding.replaced": replaced,
    "binding.anew": anew,
    "binding.regrouped": regrouped,
    "binding.storage": swapped,
    "binding.groups": groups,
    "contract.construction": construction,
    "contract.validation": validation,
    "contract.closure": closure,
    "contract.grad_mode": grad_mode,
    "contract.hooks": hooks,
    "contract.gradients": gradients,
    "contract.parameters": parameters,
    "contract.state": state,
    "contract.sparse": sparse,
    "contract.repr": representation,
    "contract.zero_grad": zero_grad,
    "contract.schedulers": schedulers,
    "contract.grad_scaler": grad_scaler,
    "contract.compile": compiled,
    "contract.neighbours": neighbours,
    "contract.lr_types": lr_types,
    "contract.tensor_lr": tensor_lr,
    "contract.memory": memory,
}
