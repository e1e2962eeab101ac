"""Section 2 of the table: model and optimizer stop sharing tensors."""

import copy

import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune

from tests.binding.scenes import (
    ERROR,
    INFO,
    WARNING,
    Net,
    Unseen,
    adam,
    backward,
    batch,
    benign,
    faulty,
    net,
    quietly,
    sgd,
    train,
)

STRANGER = {"nothing-shared": ERROR}
UNTRAINED = {"nothing-shared": ERROR, "no-gradients": WARNING}


@faulty(1, audit={"rebound": ERROR}, watch={"rebound": ERROR})
def assigns_a_new_parameter_after_the_optimizer():
    model = net()
    optimizer = sgd(model)
    yield model, optimizer
    model.body.weight = nn.Parameter(torch.zeros(8, 4))
    train(model, optimizer)


@faulty(2, audit={"rebound": ERROR}, watch={"rebound": ERROR})
def replaces_the_head_after_the_optimizer():
    model = net()
    optimizer = adam(model)
    yield model, optimizer
    train(model, optimizer)
    model.head = nn.Linear(8, 5)
    train(model, optimizer)


@benign(2)
def replaces_the_head_before_the_optimizer():
    model = net()
    model.head = nn.Linear(8, 5)
    optimizer = adam(model)
    yield model, optimizer
    train(model, optimizer)


@benign(1, 2)
def replaces_the_head_and_hands_it_over():
    model = net()
    optimizer = adam(model)
    yield model, optimizer
    train(model, optimizer)
    old = list(model.head.parameters())
    model.head = nn.Linear(8, 5)
    group = optimizer.param_groups[0]
    group["params"] = [p for p in group["params"] if all(p is not q for q in old)]
    for p in old:
        optimizer.state.pop(p)
    optimizer.add_param_group({"params": list(model.head.parameters())})
    train(model, optimizer)


@faulty(3, audit={"rebound": ERROR, "stale-state": ERROR}, watch={"rebound": ERROR, "stale-state": ERROR})
def replaces_an_entry_of_the_group():
    model = net()
    optimizer = adam(model)
    yield model, optimizer
    train(model, optimizer)
    optimizer.param_groups[0]["params"][0] = torch.zeros(8, 4, requires_grad=True)
    train(model, optimizer)


@benign(3, 4)
def replaces_model_group_and_state_as_gaussian_splatting_does():
    model = net()
    optimizer = adam(model)
    yield model, optimizer
    train(model, optimizer)
    old = model.body.weight
    new = nn.Parameter(old.detach().clone())
    stored = optimizer.state.pop(old)
    stored["exp_avg"] = torch.zeros_like(new)
    stored["exp_avg_sq"] = torch.zeros_like(new)
    optimizer.param_groups[0]["params"][0] = new
    optimizer.state[new] = stored
    model.body.weight = new
    train(model, optimizer)


@faulty(4, audit={"stale-state": ERROR}, watch={"stale-state": ERROR})
def replaces_model_and_group_and_forgets_the_state():
    model = net()
    optimizer = adam(model)
    yield model, optimizer
    train(model, optimizer)
    model.body.weight = optimizer.param_groups[0]["params"][0] = nn.Parameter(torch.zeros(8, 4))
    train(model, optimizer)


@faulty(5, audit=STRANGER, watch=UNTRAINED)
def loads_with_assign_after_the_optimizer():
    model = net()
    optimizer = sgd(model)
    yield model, optimizer
    model.load_state_dict(Net().state_dict(), assign=True)
    train(model, optimizer)


@benign(5)
def loads_with_assign_before_the_optimizer():
    model = net()
    model.load_state_dict(Net().state_dict(), assign=True)
    optimizer = sgd(model)
    yield model, optimizer
    train(model, optimizer)


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Linear(4, 8, bias=False)
        self.head = nn.Linear(4, 8, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, x):
        return self.embedding(x) + self.head(x)


@faulty(6, audit=STRANGER, watch={"tie-broken": WARNING, **UNTRAINED})
def loads_tied_weights_with_assign():
    model = Tied()
    optimizer = sgd(model)
    yield model, optimizer
    model.load_state_dict({name: t.clone() for name, t in model.state_dict().items()}, assign=True)
    train(model, optimizer)


@faulty(6, audit=Unseen("that they were tied is nowhere to be seen"), watch={"tie-broken": WARNING})
def loads_tied_weights_with_assign_and_rebuilds_the_optimizer():
    model = Tied()
    group = {"params": list(model.parameters())}
    optimizer = torch.optim.SGD([group], lr=0.01)
    yield model, optimizer
    model.load_state_dict({name: t.clone() for name, t in model.state_dict().items()}, assign=True)
    optimizer.param_groups[0]["params"][:] = list(model.parameters())
    train(model, optimizer)


@benign(6, 18)
def ties_weights_before_the_optimizer():
    model = Tied()
    optimizer = adam(model)
    yield model, optimizer
    train(model, optimizer)
    model.load_state_dict(model.state_dict())
    train(model, optimizer)


@faulty(7, audit=STRANGER, watch=UNTRAINED)
def converts_with_overwriting_of_parameters():
    model = net()
    optimizer = sgd(model)
    yield model, optimizer
    torch.__future__.set_overwrite_module_params_on_conversion(True)
    try:
        model.double()
    finally:
        torch.__future__.set_overwrite_module_params_on_conversion(False)
    train(model, optimizer)


@faulty(8, audit=STRANGER, watch=UNTRAINED)
def moves_the_model_to_another_kind_of_device():
    model = net()
    optimizer = sgd(model)
    yield model, optimizer
    model.to("meta")
    for _ in range(2):
        model(torch.zeros(5, 4, device="meta")).sum().backward()
        optimizer.step()


@faulty(9, audit=STRANGER, watch=UNTRAINED)
def builds_the_optimizer_on_a_meta_model_and_materialises_it():
    with torch.device("meta"):
        model = Net()
    optimizer = sgd(model)
    model.to_empty(device="cpu")
    yield model, optimizer
    train(model, optimizer)


@benign(9)
def materialises_a_meta_model_before_the_optimizer():
    with torch.device("meta"):
        model = Net()
    model.to_empty(device="cpu")
    optimizer = sgd(model)
    yield model, optimizer
    train(model, optimizer)


@faulty(10, audit={"on-meta": INFO}, watch={"on-meta": INFO})
def loads_weights_into_a_meta_model():
    with torch.device("meta"):
        model = Net()
    optimizer = sgd(model)
    yield model, optimizer
    quietly(lambda: model.load_state_dict(net().state_dict()))
    for _ in range(2):
        optimizer.zero_grad()
        model(torch.zeros(5, 4, device="meta")).sum().backward()
        optimizer.step()


@faulty(11, audit={"state-mismatch": WARNING}, watch={"state-mismatch": WARNING})
def converts_to_double_with_momentum_there():
    model = net()
    optimizer = sgd(model, momentum=0.9)
    yield model, optimizer
    train(model, optimizer)
    model.double()
    train(model, optimizer)


@faulty(11, audit={"state-mismatch": ERROR}, watch=Unseen("nothing steps after it, as step() would raise"))
def converts_to_double_with_moments_there():
    model = net()
    optimizer = adam(model)
    yield model, optimizer
    train(model, optimizer)
    model.double()


@benign(12)
def converts_before_the_first_step():
    model = net()
    optimizer = adam(model)
    yield model, optimizer
    model.double()
    train(model, optimizer)


@benign(12)
def converts_with_gradients_there():
    model = net()
    optimizer = adam(model)
    yield model, optimizer
    backward(model)
    model.double()
    optimizer.step()
    train(model, optimizer)


@benign(13)
def loads_with_assign_and_converts_by_swapping():
    model = net()
    optimizer = sgd(model)
    yield model, optimizer
    torch.__future__.set_swap_module_params_on_conversion(True)
    try:
        train(model, optimizer)
        optimizer.zero_grad()
        model.load_state_dict(net().state_dict(), assign=True)
        model.double()
    finally:
        torch.__future__.set_swap_module_params_on_conversion(False)
    train(model, optimizer)


class TwoParts(nn.Module):
    """A parametrization by two tensors."""

    def forward(self, a, b):
        return a + b

    def right_inverse(self, weight):
        return weight / 2, (weight / 2).sum(0, keepdim=True) * 0 + weight[:1] * 0


class Doubled(nn.Module):
    """A parametrization by one tensor."""

    def forward(self, a):
        return 2 * a

    def right_inverse(self, weight):
        return weight / 2


TWO_FOR_ONE = {"not-in-model": WARNING, "not-optimized": WARNING}


@faulty(14, audit=TWO_FOR_ONE, watch=TWO_FOR_ONE)
def parametrizes_by_two_tensors_after_the_optimizer():
    model = net()
    optimizer = sgd(model)
    yield model, optimizer
    parametrize.register_parametrization(model.body, "weight", TwoParts())
    train(model, optimizer)


@benign(14)
def parametrizes_by_one_tensor_after_the_optimizer():
    model = net()
    optimizer = sgd(model)
    yield model, optimizer
    parametrize.register_parametrization(model.body, "weight", Doubled())
    train(model, optimizer)


ALIASED = {"detached-alias": ERROR, "not-optimized": WARNING}


@faulty(15, audit=ALIASED, watch=ALIASED)
def adds_weight_norm_after_the_optimizer():
    model = net()
    optimizer = sgd(model)
    yield model, optimizer
    parametrizations.weight_norm(model.body)
    train(model, optimizer)


@faulty(15, audit=ALIASED, watch=ALIASED)
def adds_old_weight_norm_after_the_optimizer():
    model = net()
    optimizer = sgd(model)
    yield model, optimizer
    quietly(lambda: nn.utils.weight_norm(model.body))
    train(model, optimizer)


@benign(15, 53)
def adds_old_weight_norm_before_the_optimizer():
    model = net()
    quietly(lambda: nn.utils.weight_norm(model.body))
    optimizer = sgd(model)
    yield model, optimizer
    train(model, optimizer)


@benign(16)
def adds_spectral_norm_orthogonality_or_pruning_after_the_optimizer():
    model = net()
    optimizer = sgd(model)
    yield model, optimizer
    parametrizations.spectral_norm(model.body)
    parametrizations.orthogonal(model.head)
    train(model, optimizer)


@benign(16)
def prunes_and_adds_old_spectral_norm_after_the_optimizer():
    model = net()
    optimizer = sgd(model)
    yield model, optimizer
    prune.l1_unstructured(model.body, "weight", amount=8)
    quietly(lambda: nn.utils.spectral_norm(model.head))
    train(model, optimizer)


@faulty(
    17,
    audit=Unseen("the mask is gone, and may have been wanted gone"),
    watch={"mask-removed": INFO, "moved-between": INFO},
)
def removes_the_pruning_and_trains_on():
    model = net()
    prune.l1_unstructured(model.body, "weight", amount=8)
    optimizer = sgd(model)
    yield model, optimizer
    train(model, optimizer)
    prune.remove(model.body, "weight")
    train(model, optimizer)


@faulty(18, audit={"not-in-model": WARNING}, watch={"not-in-model": WARNING})
def ties_weights_after_the_optimizer():
    model = Tied()
    model.head.weight = nn.Parameter(torch.zeros(8, 4))
    optimizer = adam(model)
    yield model, optimizer
    model.head.weight = model.embedding.weight
    train(model, optimizer)


@faulty(19, audit=STRANGER, watch=UNTRAINED)
def trains_a_deep_copy_of_the_model():
    original = net()
    optimizer = sgd(original)
    model = copy.deepcopy(original)
    yield model, optimizer
    train(model, optimizer)


@faulty(20, audit=STRANGER, watch=UNTRAINED)
def optimizes_the_average_instead_of_the_model():
    model = net()
    optimizer = sgd(torch.optim.swa_utils.AveragedModel(model))
    yield model, optimizer
    train(model, optimizer)


@benign(20)
def keeps_an_average_that_is_given_too():
    model = net()
    average = torch.optim.swa_utils.AveragedModel(model)
    optimizer = sgd(model)
    yield [model, average], optimizer
    for _ in range(3):
        train(model, optimizer, steps=1)
        average.update_parameters(model)


@faulty(21, audit=STRANGER, watch=UNTRAINED)
def steps_a_deep_copy_of_the_optimizer():
    model = net()
    optimizer = copy.deepcopy(adam(model))
    yield model, optimizer
    train(model, optimizer)


@benign(21)
def copies_model_optimizer_and_scheduler_together():
    model = net()
    optimizer = adam(model)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1)
    yield model, optimizer, scheduler
    train(model, optimizer)
    model, optimizer, scheduler = copy.deepcopy((model, optimizer, scheduler))
    yield model, optimizer, scheduler
    train(model, optimizer)
    quietly(scheduler.step)


class LoRA(nn.Module):
    """An adapter as peft writes it."""

    def __init__(self, base: nn.Linear):
        super().__init__()
        self.base_layer = base.requires_grad_(False)
        self.lora_A = nn.Linear(base.in_features, 2, bias=False)
        self.lora_B = nn.Linear(2, base.out_features, bias=False)

    def forward(self, x):
        return self.base_layer(x) + self.lora_B(self.lora_A(x))


def adapted(model: Net) -> Net:
    model.body, model.head = LoRA(model.body), LoRA(model.head)
    return model


NO_ADAPTER = {"nothing-trainable": ERROR, "not-optimized": WARNING}


@faulty(29, audit=NO_ADAPTER, watch={**NO_ADAPTER, "no-gradients": WARNING})
def adds_adapters_after_the_optimizer():
    model = net()
    optimizer = adam(model)
    yield model, optimizer
    adapted(model)
    train(model, optimizer)


@benign(29)
def adds_adapters_before_the_optimizer():
    model = adapted(net())
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad])
    yield model, optimizer
    train(model, optimizer)


@benign(29)
def gives_the_frozen_base_to_the_optimizer_too():
    model = adapted(net())
    optimizer = torch.optim.AdamW(model.parameters())
    yield model, optimizer
    train(model, optimizer, steps=20)


@faulty(30, audit={"not-optimized": WARNING}, watch={"not-optimized": WARNING})
def adds_a_second_adapter_after_the_optimizer():
    model = adapted(net())
    optimizer = adam(model)
    yield model, optimizer
    train(model, optimizer)
    model.body.base_layer = LoRA(model.body.base_layer)
    train(model, optimizer)


@faulty(31, 33, audit={"not-in-model": INFO}, watch=Unseen("backward raises, so nothing steps"))
def merges_the_adapters_and_keeps_the_optimizer():
    model = adapted(net())
    optimizer = adam(model)
    yield model, optimizer
    train(model, optimizer)
    model.body, model.head = model.body.base_layer, model.head.base_layer


@faulty(32, audit=Unseen("one look sees no movement"), watch={"moved-between": INFO})
def merges_and_unmerges_an_adapter_between_steps():
    model = adapted(net()).bfloat16()
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.01)
    yield model, optimizer
    for _ in range(3):
        train(model, optimizer, steps=1)
        with torch.no_grad():
            update = torch.full_like(model.body.base_layer.weight, 1 / 3)
            model.body.base_layer.weight.add_(update).sub_(update).add_(2**-7)


class Norm(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(4, 8, 1)
        self.bn = nn.BatchNorm1d(8)

    def forward(self, x):
        return self.bn(self.conv(x[..., None])).flatten(1)


@faulty(33, audit={"nothing-shared": ERROR}, watch={"nothing-shared": ERROR, "no-gradients": WARNING})
def fuses_modules_after_the_optimizer():
    model = Norm().eval()
    optimizer = sgd(model)
    yield model, optimizer
    model = quietly(lambda: torch.ao.quantization.fuse_modules(model, [["conv", "bn"]], inplace=True))
    train(model, optimizer)


@benign(34)
def compiles_the_model():
    model = net()
    optimizer = adam(model)
    compiled = torch.compile(model, backend="eager")
    yield compiled, optimizer
    train(compiled, optimizer)


@benign(34)
def builds_the_optimizer_from_names_of_the_compiled_model():
    model = net()
    compiled = torch.compile(model, backend="eager")
    optimizer = torch.optim.AdamW(compiled.named_parameters())
    yield model, optimizer
    train(compiled, optimizer)


@benign(34)
def wraps_the_layers_in_another_module():
    model = net()
    optimizer = adam(model)
    wrapped = nn.Sequential(*model.children())
    yield wrapped, optimizer
    train(wrapped, optimizer)


@benign(34)
def scripts_traces_and_exports_the_model():
    model = net()
    optimizer = adam(model)
    traced = quietly(lambda: torch.jit.trace(model, batch(model)))
    yield [quietly(lambda: torch.jit.script(model)), traced, torch.fx.symbolic_trace(model)], optimizer
    train(traced, optimizer)


@benign(34)
def shares_the_memory_of_the_model():
    model = net()
    optimizer = adam(model)
    yield model, optimizer
    train(model, optimizer)
    model.share_memory()
    train(model, optimizer)


@faulty(35, audit=STRANGER, watch={"no-gradients": WARNING})
def creates_the_model_again():
    model = net()
    optimizer = adam(model)
    yield model, optimizer
    model = net()
    yield model, optimizer
    train(model, optimizer)


class Listed(nn.Module):
    def __init__(self):
        super().__init__()
        self.weights = nn.ParameterList([torch.ones(4), torch.ones(4)])
        self.named = nn.ParameterDict({"a": torch.ones(4), "b": torch.ones(4)})

    def forward(self, x):
        return sum(x * w for w in [*self.weights, *self.named.values()])


@faulty(36, audit={"rebound": ERROR}, watch={"rebound": ERROR})
def assigns_into_parameter_list_and_dict():
    model = Listed()
    optimizer = sgd(model)
    yield model, optimizer
    model.weights[0] = nn.Parameter(torch.zeros(4))
    model.named["a"] = torch.zeros(4)
    train(model, optimizer)


@faulty(37, audit={"not-in-model": WARNING}, watch={"not-in-model": WARNING})
def removes_a_bias_after_the_optimizer():
    model = net()
    optimizer = sgd(model)
    yield model, optimizer
    model.body.bias = None
    train(model, optimizer)


@faulty(38, audit={"rebound": ERROR}, watch={"rebound": ERROR, "hooks-lost": WARNING})
def replaces_a_parameter_that_has_hooks():
    model = net()
    optimizer = sgd(model)
    model.body.weight.register_hook(lambda grad: grad.clamp(-1, 1))
    yield model, optimizer
    model.body.weight = nn.Parameter(torch.zeros(8, 4))
    train(model, optimizer)


@benign(38)
def converts_a_parameter_that_has_hooks():
    model = net()
    optimizer = sgd(model)
    model.body.weight.register_hook(lambda grad: grad.clamp(-1, 1))
    yield model, optimizer
    model.double()
    train(model, optimizer)
