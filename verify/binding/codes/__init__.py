"""Every code that a finding can have, with its explanation. Imports no torch."""

from __future__ import annotations

from verify.binding.codes import checkpoints, groups, movement, rebinding, schedulers, state, storage
from verify.binding.codes.code import Code

CODES: dict[str, Code] = {
    code.name: code
    for family in (rebinding, storage, groups, state, movement, checkpoints, schedulers)
    for code in family.CODES
}
