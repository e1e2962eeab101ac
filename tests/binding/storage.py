"""Section 3 of the table: aliasing, storage and in-place traps."""

import contextlib
import copy

import torch
from torch import nn

from tests.binding.scenes import (
    ERROR,
    INFO,
    WARNING,
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


@faulty(39, audit={"shared-memory": ERROR}, watch={"shared-memory": ERROR})
def ties_by_data():
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    model[1].weight.data = model[0].weight.data
    optimizer = sgd(model)
    yield model, optimizer
    train(model, optimizer)


@faulty(39, audit={"shared-memory": ERROR}, watch={"shared-memory": ERROR})
def makes_a_second_parameter_of_a_parameter():
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    model[1].weight = nn.Parameter(model[0].weight)
    optimizer = sgd(model)
    yield model, optimizer
    train(model, optimizer)


class Flat(nn.Module):
    """Slices of one buffer as parameters."""

    def __init__(self, *slices):
        super().__init__()
        flat = torch.ones(24)
        self.parts = nn.ParameterList([nn.Parameter(flat[s]) for s in slices])

    def forward(self, x):
        return sum((x.mean() * p).sum() for p in self.parts)


@faulty(40, audit={"shared-memory": ERROR}, watch={"shared-memory": ERROR})
def takes_slices_that_overlap():
    model = Flat(slice(0, 10), slice(8, 20))
    optimizer = sgd(model)
    yield model, optimizer
    train(model, optimizer)


@benign(39, 40)
def takes_disjoint_slices():
    model = Flat(slice(0, 10), slice(10, 20))
    optimizer = sgd(model)
    yield model, optimizer
    train(model, optimizer)


@benign(40)
def takes_interleaved_slices():
    model = Flat(slice(0, 24, 2), slice(1, 24, 2))
    optimizer = sgd(model)
    yield model, optimizer
    train(model, optimizer)


@faulty(40, audit={"shared-memory": ERROR}, watch={"shared-memory": ERROR})
def takes_strided_slices_that_meet():
    model = Flat(slice(0, 24, 2), slice(0, 24, 3))
    optimizer = sgd(model)
    yield model, optimizer
    train(model, optimizer)


@benign(43)
def steps_one_flat_buffer_under_all_parameters():
    model = net()
    flat = torch.cat([p.detach().flatten() for p in model.parameters()])
    grads = torch.zeros_like(flat)
    start = 0
    for p in model.parameters():
        p.data = flat[start : start + p.numel()].view_as(p)
        p.grad = grads[start : start + p.numel()].view_as(p)
        start += p.numel()
    flat.grad = grads
    optimizer = torch.optim.SGD([flat], lr=0.01)
    yield model, optimizer
    for _ in range(3):
        grads.zero_()
        backward(model)
        optimizer.step()


class Expanded(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1).expand(4))

    def forward(self, x):
        return x * self.scale


@faulty(41, audit={"self-overlap": ERROR}, watch={"self-overlap": ERROR})
def expands_a_parameter():
    model = Expanded()
    optimizer = torch.optim.Adam(model.parameters(), fused=True)
    yield model, optimizer
    backward(model)


@benign(41)
def clones_what_is_expanded():
    model = Expanded()
    model.scale = nn.Parameter(torch.ones(1).expand(4).clone())
    optimizer = torch.optim.Adam(model.parameters())
    yield model, optimizer
    train(model, optimizer)


@faulty(
    42,
    audit=Unseen("one look cannot tell where the memory was before"),
    watch={"data-rebound": INFO, "moved-between": INFO},
)
def assigns_data_from_a_tensor():
    model = net()
    optimizer = sgd(model)
    yield model, optimizer
    train(model, optimizer)
    source = torch.zeros(8, 4)
    model.body.weight.data = source
    train(model, optimizer)


@faulty(42, audit={"shared-memory": WARNING}, watch={"shared-memory": WARNING})
def assigns_the_data_of_an_average():
    model = net()
    average = copy.deepcopy(model).requires_grad_(False)
    for p, q in zip(model.parameters(), average.parameters(), strict=True):
        p.data = q.data
    optimizer = sgd(model)
    yield {"model": model, "average": average}, optimizer
    train(model, optimizer)


@faulty(
    42,
    audit={"shared-memory": WARNING},
    watch={"shared-memory": WARNING, "data-rebound": INFO, "moved-between": INFO},
)
def assigns_the_data_of_an_average_later():
    model = net()
    average = copy.deepcopy(model).requires_grad_(False)
    optimizer = sgd(model)
    yield {"model": model, "average": average}, optimizer
    train(model, optimizer)
    model.head.weight.data = average.head.weight.data
    train(model, optimizer)


@benign(42)
def copies_an_average_in_and_out():
    model = net()
    average = copy.deepcopy(model).requires_grad_(False)
    optimizer = sgd(model)
    yield {"model": model, "average": average}, optimizer
    for _ in range(3):
        train(model, optimizer, steps=1)
        with torch.no_grad():
            for p, q in zip(model.parameters(), average.parameters(), strict=True):
                q.lerp_(p, 0.1)


@faulty(43, audit=Unseen("views of one vector are what flat optimizers want"), watch={"moved-between": INFO})
def makes_all_parameters_views_of_a_vector():
    model = net()
    optimizer = sgd(model)
    yield model, optimizer
    train(model, optimizer)
    vector = torch.zeros(sum(p.numel() for p in model.parameters()))
    nn.utils.vector_to_parameters(vector, model.parameters())
    train(model, optimizer)


DETACHED = {"detached-alias": ERROR}


@faulty(44, audit=DETACHED, watch={**DETACHED, "no-gradients": WARNING})
def optimizes_the_state_dict():
    model = net()
    optimizer = torch.optim.SGD(model.state_dict().values(), lr=0.01)
    yield model, optimizer
    train(model, optimizer)


@faulty(44, audit=DETACHED, watch={**DETACHED, "no-gradients": WARNING})
def optimizes_data_and_detached_tensors():
    model = net()
    optimizer = torch.optim.SGD([model.body.weight.data, *(p.detach() for p in [*model.parameters()][1:])], lr=0.01)
    yield model, optimizer
    train(model, optimizer)


@faulty(
    45,
    audit=Unseen("the names of a function are not torch's; no optimizer is there"),
    watch=Unseen("no optimizer steps"),
)
def assigns_the_update_to_a_local_name():
    model = net()
    optimizer = sgd(model)
    yield model, optimizer
    backward(model)
    with torch.no_grad():
        for p in model.parameters():
            p = p - 0.1 * p.grad


@faulty(46, audit=Unseen("torch raises"), watch=Unseen("torch raises"))
def assigns_the_update_to_the_module():
    model = net()
    optimizer = sgd(model)
    yield model, optimizer
    with contextlib.suppress(TypeError):
        model.body.weight = model.body.weight - 1


@faulty(47, audit={"non-leaf": ERROR, "rebound": ERROR}, watch={"non-leaf": ERROR, "rebound": ERROR})
def puts_a_computed_tensor_among_the_parameters():
    model = net()
    optimizer = sgd(model)
    yield model, optimizer
    model.body._parameters["weight"] = model.body.weight * 1
    backward(model)
    optimizer.step()


@faulty(48, audit={"non-leaf": ERROR}, watch={"non-leaf": ERROR})
def turns_a_parameter_into_a_result():
    model = net()
    optimizer = sgd(model)
    yield model, optimizer
    factor = torch.ones((), requires_grad=True)
    with torch.no_grad():
        model.body.bias.requires_grad_(False)
    model.body.bias.mul_(factor)
    backward(model)
    quietly(optimizer.step)


@faulty(
    49,
    audit=Unseen("one look sees no order of events"),
    watch=Unseen("it would need the values of all parameters at every forward and at every backward"),
)
def steps_fused_between_forward_and_backward():
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, fused=True)
    yield model, optimizer
    backward(model)
    loss = model(batch(model)).sum()
    optimizer.step()
    loss.backward()
    optimizer.step()


@faulty(
    50,
    audit=Unseen("the values are there, under the same objects"),
    watch={"moved-between": INFO, "data-rebound": INFO},
)
def swaps_two_parameters():
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    optimizer = adam(model)
    yield model, optimizer
    train(model, optimizer)
    optimizer.zero_grad()
    torch.utils.swap_tensors(model[0].weight, model[1].weight)
    train(model, optimizer)


@faulty(51, audit=Unseen("one look sees no movement"), watch={"moved-between": INFO})
def loads_weights_under_a_live_optimizer():
    model = net()
    optimizer = adam(model)
    yield model, optimizer
    train(model, optimizer)
    model.load_state_dict({name: t + 1 for name, t in model.state_dict().items()})
    train(model, optimizer)


@faulty(
    52,
    audit=Unseen("autocast keeps its cache to itself"),
    watch=Unseen("autocast keeps its cache to itself; forward twice in the region shows it"),
)
def steps_inside_autocast():
    model = net()
    optimizer = sgd(model)
    yield model, optimizer
    with torch.autocast("cpu", dtype=torch.bfloat16):
        train(model, optimizer)


class Cached(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(4, 4))
        self.transposed = self.weight.t()

    def forward(self, x):
        return x @ self.weight


@faulty(53, audit={"unregistered": INFO}, watch={"unregistered": INFO})
def caches_a_derived_tensor():
    model = Cached()
    optimizer = sgd(model)
    yield model, optimizer
    train(model, optimizer)


@benign(53)
def keeps_activations_and_losses_in_attributes():
    model = net()
    optimizer = sgd(model)
    yield model, optimizer
    for _ in range(3):
        optimizer.zero_grad()
        model.last = model(batch(model))
        model.history = [*getattr(model, "history", []), model.last.sum()]
        model.history[-1].backward()
        optimizer.step()


@faulty(54, audit={"rebound": ERROR}, watch={"rebound": ERROR})
def keeps_a_name_for_a_parameter_that_is_replaced():
    model = net()
    optimizer = sgd(model)
    weight = model.body.weight
    yield model, optimizer
    model.body.weight = nn.Parameter(torch.zeros(8, 4))
    with torch.no_grad():
        weight.zero_()
    train(model, optimizer)


@benign(55)
def replaces_weights_of_an_rnn_before_the_optimizer():
    model = nn.Sequential(nn.LSTM(4, 3))
    model[0]._parameters["weight_ih_l0"] = nn.Parameter(torch.zeros(12, 4))
    optimizer = sgd(model)
    yield model, optimizer
    for _ in range(3):
        optimizer.zero_grad()
        model(torch.ones(5, 4))[0].sum().backward()
        optimizer.step()


@faulty(56, audit={"inference-tensor": ERROR}, watch={"inference-tensor": ERROR})
def builds_the_model_in_inference_mode():
    with torch.inference_mode():
        model = net()
    optimizer = sgd(model)
    yield model, optimizer


class Complex(nn.Module):
    def __init__(self, real=False):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(4, dtype=torch.complex64))
        if real:
            self.real = nn.Parameter(torch.view_as_real(self.weight.detach()))

    def forward(self, x):
        y = (x * self.weight).abs()
        return y + self.real.sum() if hasattr(self, "real") else y


def real_batch():
    return torch.ones(5, 4)


@faulty(57, audit={"shared-memory": ERROR}, watch={"shared-memory": ERROR})
def makes_a_parameter_of_the_real_view():
    model = Complex(real=True)
    optimizer = sgd(model)
    yield model, optimizer
    model(real_batch()).sum().backward()
    optimizer.step()


@benign(57)
def trains_complex_parameters():
    model = Complex()
    optimizer = adam(model)
    yield model, optimizer
    for _ in range(3):
        optimizer.zero_grad()
        model(real_batch()).sum().backward()
        optimizer.step()
