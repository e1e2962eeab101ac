"""Schedulers that drive something else."""

from verify.binding.codes.code import Code

CODES = (
    Code(
        "scheduler-foreign",
        "error",
        "A scheduler drives an optimizer that is none of those given, or one that another has replaced.",
        "The learning rate of the optimizer that steps never changes.",
        "audit and watch: scheduler.optimizer, wrappers unwrapped on both sides. watch also sees that another optimizer has "
        "taken over the parameters.",
        "None known.",
        "Build the scheduler again after the optimizer.",
    ),
    Code(
        "scheduler-groups",
        "error where its step raises; warning where new groups get a wrong scale",
        "A scheduler was built for another number of param groups.",
        "Some raise a bare zip error or KeyError, others scale the new group from the wrong start.",
        "audit and watch: len(scheduler.base_lrs) against len(optimizer.param_groups).",
        "None known.",
        "Add all groups first, then build the scheduler.",
    ),
    Code(
        "scheduler-drift",
        "warning",
        "The learning rates of the groups are not those that the scheduler set last.",
        "Only one of optimizer and scheduler was loaded, they were loaded in the wrong order, or a rate was set by "
        "hand: some schedulers go on from the wrong value for ever, others overwrite it.",
        "audit and watch: scheduler.get_last_lr() against group['lr'], unless several schedulers drive the optimizer.",
        "Rates that are set by hand on purpose.",
        "Build optimizer and scheduler, then load both: optimizer last.",
    ),
    Code(
        "scheduler-stacked",
        "info",
        "Several schedulers drive one optimizer.",
        "Each starts from initial_lr and overwrites or multiplies what the other set.",
        "audit and watch: the given schedulers.",
        "Schedulers that are meant to be chained.",
        "SequentialLR or ChainedScheduler.",
    ),
    Code(
        "scheduler-changed",
        "info",
        "Settings of a scheduler are not those that watch began with.",
        "scheduler.load_state_dict brings back base_lrs, T_max and others of the saved run.",
        "watch: its settings at the start and now.",
        "Every normal resume.",
        "Set them after loading.",
    ),
)
