"""Model and optimizer no longer hold the same parameters."""

from verify.binding.codes.code import Code

CODES = (
    Code(
        "rebound",
        "error",
        "The model has another object in the place of a parameter that the optimizer holds.",
        "The model's parameter is never updated, optimizer.zero_grad() never clears its gradient, and the optimizer "
        "goes on with a tensor that nobody uses. torch says nothing.",
        "audit: a trainable parameter of the model that no optimizer holds, and one of the optimizer that no model has, in "
        "the same place of the order, of the same recorded name or of the same shape. watch: also by the name that the "
        "old one had, with the line that re-bound it, as far as torch's registration hooks see it (setattr, "
        "load_state_dict(assign=True), parametrizations, new sub-modules).",
        "None known.",
        "Build the optimizer after the last change to the model. Or hand the new parameter over: "
        "optimizer.param_groups[g]['params'][i] = new, then optimizer.state[new] = optimizer.state.pop(old) "
        "where the old state still fits.",
    ),
    Code(
        "nothing-shared",
        "error; info where every model is otherwise looked after",
        "An optimizer holds not one parameter of the given models.",
        "step() trains something else, or nothing: a model that was copied, re-created, sharded, or loaded with "
        "assign=True after the optimizer was built stays where it is.",
        "audit and watch: no object is common, and the model has trainable parameters that nobody holds.",
        "Master copies in float32 of a model in a lower dtype are recognised by their dtypes, flat buffers by their memory; "
        "other copies whose gradients are put in by hand are not.",
        "optimizer = Optimizer(model.parameters(), ...) after the model is loaded, wrapped and moved.",
    ),
    Code(
        "not-optimized",
        "warning; info for what looks like an average or a teacher",
        "A trainable parameter of the model is in no optimizer.",
        "It never moves; its gradient is computed in every step, is not cleared by optimizer.zero_grad(), grows, and takes "
        "its part in clip_grad_norm_.",
        "audit and watch: requires_grad, and its id in none of the optimizers. All optimizers count together.",
        "Parts that are deliberately not trained, without requires_grad_(False).",
        "optimizer.add_param_group({'params': [parameter]}), or parameter.requires_grad_(False).",
    ),
    Code(
        "not-in-model",
        "warning with evidence that it is dead; info without",
        "The optimizer holds a parameter that none of the given models has.",
        "It gets no gradient any more: dead weight, which breaks saving by name (KeyError in torch.distributed.checkpoint) "
        "and loading into an optimizer that is built from the model.",
        "audit and watch. Evidence is that it was in the model when watch began, that its recorded name is now another's, "
        "that parameters of the model are missing too, or that all others have gradients.",
        "Parameters of a loss or of another module that was not given.",
        "Give every module that is trained: audit([model, loss], optimizer). Or build the optimizer again.",
    ),
    Code(
        "nothing-trainable",
        "error",
        "All that an optimizer holds is frozen, while the model has trainable parameters that no optimizer holds.",
        "step() does nothing; typically adapters were added after the optimizer was built.",
        "audit and watch: requires_grad of what it holds.",
        "None known.",
        "Build the optimizer after get_peft_model or add_adapter, from the parameters that require grad.",
    ),
    Code(
        "tie-broken",
        "warning",
        "Two names that were one parameter when watch began are two now.",
        "The copies drift apart; saved as tied, one is lost.",
        "watch: identity of all names at the start and now.",
        "Weights that are untied on purpose.",
        "Tie again, before the optimizer is built: model.head.weight = model.embedding.weight.",
    ),
    Code(
        "hooks-lost",
        "warning",
        "A parameter with tensor hooks was replaced by one without.",
        "What the hooks did (clipping, an optimizer in the backward pass, masks) stops.",
        "watch: hooks of the object that had this name before.",
        "Hooks that were meant to end with the old parameter.",
        "Register the hooks on the new parameter.",
    ),
    Code(
        "thawed",
        "info",
        "A frozen parameter was replaced by one that requires grad.",
        "nn.Parameter(p) sets requires_grad=True whatever p had, so a frozen layer trains again.",
        "watch: requires_grad by name, before and after the object changed.",
        "Unfreezing on purpose.",
        "nn.Parameter(p, requires_grad=p.requires_grad).",
    ),
    Code(
        "unregistered",
        "warning; info for what is derived from registered parameters, or looks like an average or a teacher",
        "A module holds a trainable tensor in a plain attribute, list, tuple, set or dict.",
        "parameters(), state_dict() and .to() do not see it: it is not trained, not saved and not moved. A tensor that was "
        "computed from a parameter (nn.Parameter(...) * 0.1) is stale after the first step and fails at the second backward.",
        "audit and watch: a look through the attributes of every module. What an optimizer holds is left out.",
        "A teacher that is kept out on purpose and still requires grad.",
        "self.weight = nn.Parameter(...), nn.ParameterList([...]), nn.ModuleList([...]).",
    ),
    Code(
        "not-in-buckets",
        "error",
        "A trainable parameter is not among those whose gradients DistributedDataParallel reduces.",
        "Every rank trains it with its own gradients, and the ranks drift apart.",
        "audit and watch: trainable parameters against those for which DDP built its reducer.",
        "None known.",
        "Unfreeze and replace parameters before model = DistributedDataParallel(model).",
    ),
)
