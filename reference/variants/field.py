"""Rows of the list of real bugs, by the variants that have their mechanism."""

ROWS = {
    "epsilon.before_correction": "F01",
    "epsilon.inside_root": "F03",
    "epsilon.inside_and_outside": "F03",
    "epsilon.after_reciprocal": "F37",
    "decay.after_step": "F02",
    "maximum.after_correction": "F05",
    "history.not_kept": "F06",
    "history.stored_root": "F06",
    "correction.complement": "F07",
    "correction.root_of_complement": "F09",
    "correction.compounding": "F10",
    "product.twice": "F11",
    "initial.zero": "F13",
    "correction.frozen": "F14",
    "decay.scales_gradient": "F15",
    "history.old": "F17",
    "decay.coupled": "F22",
    "decay.without_lr": "F23",
    "decay.times_lr_twice": "F25",
    "decay.decoupled": "F26",
    "decay.ignored": "F30",
    "momentum.on_fresh": "F33",
    "history.last_step": "F45",
    "history.never": "F46",
    "initial.fresh": "F47",
    "momentum.first_dampened": "F51",
    "momentum.first_zero": "F51",
    "dampening.never": "F51",
    "option.ignored": "P23",
}


def row_of(name: str) -> str | None:
    """The row of a variant, by the first two parts of its name."""
    return ROWS.get(".".join(name.split(".")[:2]))
