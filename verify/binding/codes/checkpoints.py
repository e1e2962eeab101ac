"""State dicts that do not fit."""

from verify.binding.codes.code import Code

CODES = (
    Code(
        "names-disagree",
        "error",
        "A group's param_names calls a parameter by the name of another.",
        "The optimizer's state was loaded in another order: moments belong to other parameters.",
        "audit and watch: recorded names against the names in the model, with the prefixes of wrappers removed.",
        "None known.",
        "Load into an optimizer that is built in the order of the saved one.",
    ),
    Code(
        "checkpoint-order",
        "error",
        "The state dict was saved with its parameters in another order.",
        "Moments are given to other parameters of the same shape; torch matches by position alone.",
        "watch: names in the fingerprint that watch writes with the state dict, or param_names, against the names now. "
        "Without either, it cannot be known.",
        "None known.",
        "Build the optimizer in the saved order, or load by name with torch.distributed.checkpoint.state_dict.",
    ),
    Code(
        "checkpoint-class",
        "warning",
        "The state dict is of another class of optimizer.",
        "Many pairs load and step without a word: keys that are missing start afresh, others are kept and ignored.",
        "watch: the class in the fingerprint.",
        "A deliberate switch.",
        "Load the class that was saved.",
    ),
    Code(
        "decay-changed",
        "error at loading, warning in a group",
        "A group's decoupled_weight_decay is not what the class was built with.",
        "Loading an AdamW checkpoint into Adam turns Adam into AdamW.",
        "audit: group against optimizer.defaults; watch: before and after loading.",
        "A group that was given the option on purpose.",
        "Load into AdamW, or set group['decoupled_weight_decay'] after loading.",
    ),
    Code(
        "options-loaded",
        "info",
        "Loading replaced options that the optimizer was built with.",
        "A new lr or momentum in the constructor is overwritten by the checkpoint.",
        "watch: the groups before and after loading.",
        "Every normal resume.",
        "Set the options after load_state_dict.",
    ),
    Code(
        "state-cast",
        "error for integers and booleans; warning for a lower precision",
        "Loading cast state to the parameter's dtype.",
        "load_state_dict casts everything but 'step': float32 moments of bfloat16 parameters are rounded, counters and masks "
        "become floats.",
        "watch: dtypes in the state dict and after loading.",
        "None known.",
        "Override load_state_dict, or restore the dtype in a load_state_dict post-hook.",
    ),
    Code(
        "state-cleared",
        "info",
        "A state dict without state was loaded into an optimizer with state.",
        "All moments are gone.",
        "watch: before loading.",
        "A fresh start.",
        "Save the state dict after the first step.",
    ),
    Code(
        "mask-removed",
        "info",
        "A pruning mask that was there when watch began is gone.",
        "Pruned weights move again in the next step.",
        "watch: buffers that end in _mask.",
        "prune.remove at the end of training.",
        "Keep the mask until training ends.",
    ),
)
