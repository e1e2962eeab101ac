"""Different tensors over the same memory, and tensors that cannot be trained."""

from verify.binding.codes.code import Code

CODES = (
    Code(
        "shared-memory",
        "error where two are trained; warning where a trained one shares with one that is not",
        "Two parameters that are different objects share elements in memory.",
        "Both trained: the shared elements move twice in every step, with two sets of optimizer state. One trained: the "
        "other (an average, a teacher) moves with it.",
        "audit and watch: the exact elements of every pair of tensors in one storage. Disjoint slices of a flat buffer, also "
        "interleaved ones, do not count.",
        "None known.",
        "To tie, share the object: b.weight = a.weight. To copy: b.weight.data.copy_(a.weight.data).",
    ),
    Code(
        "detached-alias",
        "error",
        "The optimizer holds another tensor object over the memory of a parameter of the model.",
        "Gradients arrive at the model's object, never at this one: it is skipped in every step. Usual ways: "
        "Optimizer(model.state_dict().values()), [p.data for p in ...], [p.detach() ...], old weight norm applied later.",
        "audit and watch: the same elements in memory, another object, and no gradient on it.",
        "None known: flat buffers over several parameters, and aliases with gradients of their own, are left out.",
        "Optimizer(model.parameters()).",
    ),
    Code(
        "self-overlap",
        "error",
        "Elements of a trained parameter share memory with each other (an expanded tensor).",
        "for-loop and foreach implementations raise; fused ones write several updates into one cell.",
        "audit and watch: a stride of 0 over more than one element.",
        "None known.",
        "nn.Parameter(tensor.expand(...).clone()).",
    ),
    Code(
        "non-leaf",
        "error",
        "A parameter is the result of an operation, not a leaf.",
        "It gets no .grad and no optimizer can train it; the second backward fails.",
        "audit and watch: is_leaf.",
        "None known.",
        "nn.Parameter(value.detach()), and compute in forward().",
    ),
    Code(
        "on-meta",
        "error where the model is materialised and the optimizer is not; info where both are on meta",
        "The optimizer holds tensors on the meta device, which have no data.",
        "step() computes nothing. to_empty() makes new parameters, so the optimizer keeps the empty ones.",
        "audit and watch: the device of what the optimizer holds.",
        "Dry runs on the meta device: info alone.",
        "Materialise first (to_empty, load_state_dict(assign=True)), then build the optimizer.",
    ),
    Code(
        "inference-tensor",
        "error",
        "A trainable parameter was made in torch.inference_mode().",
        "backward() or step() raises.",
        "audit and watch: is_inference().",
        "None known.",
        "Build or load the model outside torch.inference_mode(), or clone the parameter.",
    ),
    Code(
        "data-rebound",
        "info",
        "The parameter is the same object, and its memory is another.",
        "p.data = source, or vector_to_parameters, makes the parameter a view of the source: every later step writes "
        "into it. Views of the old memory no longer follow.",
        "watch: the address of the memory at every step. When most of the model moved at once it is silent (.to(), sharding).",
        "Often intended, and harmless when the source is thrown away.",
        "with torch.no_grad(): p.copy_(source).",
    ),
)
