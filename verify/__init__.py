"""optim-verify: is this optimizer right?

``import verify`` imports neither torch nor sympy; what needs them is loaded when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

__version__ = "0.1.0"

_HOMES = {
    "Subject": "verify.subject",
    "UsageError": "verify.errors",
    "certify": "verify.certification",
    "Plan": "verify.certification",
    "Events": "verify.certification",
    "Certificate": "verify.certificate",
    "Program": "verify.program",
    "Parameter": "verify.program",
    "Filling": "verify.program",
    "Step": "verify.program",
    "Edit": "verify.program",
    "SetCount": "verify.program",
    "Repeat": "verify.program",
    "ZeroGrad": "verify.program",
    "Schedule": "verify.program",
    "AddGroup": "verify.program",
    "Freeze": "verify.program",
    "Reload": "verify.program",
    "Copy": "verify.program",
    "LoadFrom": "verify.program",
    "OptimizerMachine": "verify.machine",
    "BindingError": "verify.binding.finding",
    "BindingWarning": "verify.binding.finding",
    "Finding": "verify.binding.finding",
    "audit": "verify.binding.audit",
    "watch": "verify.binding.watch",
    "fillings": "verify.strategies",
    "hyperparameter_values": "verify.strategies",
    "load": "verify.subject",
    "run_program": "verify.oracle",
    "check_optimizer": "verify.testing",
    "parametrize_with_checks": "verify.testing",
    "CheckFailed": "verify.testing",
    "NotCertified": "verify.testing",
    "programs": "verify.strategies",
    "bulk_programs": "verify.strategies",
    "hyperparameters": "verify.strategies",
}
__all__ = [
    "AddGroup",
    "BindingError",
    "BindingWarning",
    "Certificate",
    "CheckFailed",
    "Copy",
    "Edit",
    "Events",
    "Filling",
    "Finding",
    "Freeze",
    "LoadFrom",
    "NotCertified",
    "OptimizerMachine",
    "Parameter",
    "Plan",
    "Program",
    "Reload",
    "Repeat",
    "Schedule",
    "SetCount",
    "Step",
    "Subject",
    "UsageError",
    "ZeroGrad",
    "audit",
    "bulk_programs",
    "certify",
    "check_optimizer",
    "fillings",
    "hyperparameter_values",
    "hyperparameters",
    "load",
    "parametrize_with_checks",
    "programs",
    "run_program",
    "watch",
]

if TYPE_CHECKING:
    from verify.binding.audit import audit
    from verify.binding.finding import BindingError, BindingWarning, Finding
    from verify.binding.watch import watch
    from verify.certificate import Certificate
    from verify.certification import Events, Plan, certify
    from verify.errors import UsageError
    from verify.machine import OptimizerMachine
    from verify.oracle import run_program
    from verify.program import (
        AddGroup,
        Copy,
        Edit,
        Filling,
        Freeze,
        LoadFrom,
        Parameter,
        Program,
        Reload,
        Repeat,
        Schedule,
        SetCount,
        Step,
        ZeroGrad,
    )
    from verify.strategies import bulk_programs, fillings, hyperparameter_values, hyperparameters, programs
    from verify.subject import Subject, load
    from verify.testing import CheckFailed, NotCertified, check_optimizer, parametrize_with_checks


def __getattr__(name: str):
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'verify' has no attribute {name!r}")
