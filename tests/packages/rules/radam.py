"""RAdam whose weight decay is always decoupled, as in the authors' code.

The rule ``radam`` has the choice; this one is for a class that leaves none.
"""

from dataclasses import replace

from reference import RULES, Option

RADAM = replace(
    RULES["radam"],
    name="radam_decoupled",
    options=(Option("decoupled_weight_decay", default=True), Option("maximize")),
    torch=(),
    _steps={},
)
