"""What the optimizer keeps for each parameter."""

from verify.binding.codes.code import Code

CODES = (
    Code(
        "stale-state",
        "error; warning where the class saves its state in its own way",
        "The optimizer has state for a tensor that is in none of its groups.",
        "state_dict() raises KeyError; the new parameter, if there is one, starts with empty moments. Also made by "
        "merely reading optimizer.state[p] of a foreign p.",
        "audit and watch: keys of optimizer.state against the groups.",
        "None known.",
        "optimizer.state[new] = optimizer.state.pop(old), or optimizer.state.pop(old).",
    ),
    Code(
        "state-key",
        "error",
        "State is kept under id(parameter).",
        "After loading, the keys are numbers of another process; ids of freed tensors are used again.",
        "audit and watch: an integer key of optimizer.state that is the id of one of its parameters.",
        "None known; counters under other keys are left alone.",
        "Key the state by the parameter itself: self.state[p].",
    ),
    Code(
        "state-mismatch",
        "error for another shape or device, and for dtypes that make step() raise; warning for the dtype of momentum",
        "State of a parameter has another shape, dtype or device than the parameter.",
        "step() raises or broadcasts; SGD silently goes on with momentum of the old dtype. Comes from loading state in "
        "another order, from resizing an embedding, from model.double() after the first step.",
        "audit and watch, for the optimizers of torch.optim, whose elementwise state is known.",
        "State that was put in by hand in a higher dtype.",
        "optimizer.load_state_dict(optimizer.state_dict()) casts dtype and device; for a shape, "
        "optimizer.state.pop(p).",
    ),
    Code(
        "shared-state",
        "error",
        "Two optimizers, or state and a parameter, share memory.",
        "The moments of one are changed by the steps of the other: load_state_dict does not copy.",
        "audit and watch: memory of the state tensors of all given optimizers.",
        "None known.",
        "other.load_state_dict(copy.deepcopy(optimizer.state_dict())).",
    ),
    Code(
        "state-value",
        "warning",
        "State has a value that load_state_dict does not bring back.",
        "A str becomes the text of a generator object, an ndarray, range or namedtuple raises TypeError.",
        "audit and watch: types of the values, unless the class loads in its own way.",
        "None known.",
        "Keep numbers and tensors in the state, and text in the group.",
    ),
)
