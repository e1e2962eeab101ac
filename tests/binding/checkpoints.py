"""Section 5 of the table: checkpoints."""

import contextlib
import copy

import torch
from torch import nn

from tests.binding.scenes import ERROR, INFO, WARNING, Unseen, adam, benign, faulty, net, sgd, train


class Twins(nn.Module):
    """Two layers of one shape."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.second = nn.Linear(4, 4)

    def forward(self, x):
        return self.second(self.first(x))


def reversed_order(model):
    return [*model.second.named_parameters("second"), *model.first.named_parameters("first")]


@faulty(
    88,
    audit=Unseen("nothing is left of the order after the load, unless the groups keep names"),
    watch=Unseen("the file has no names: it was saved without a watch"),
)
def loads_state_in_another_order():
    model = Twins()
    saved = adam(model)
    train(model, saved)
    optimizer = torch.optim.Adam([p for _, p in reversed_order(model)])
    yield model, optimizer
    optimizer.load_state_dict(
        copy.deepcopy(saved.state_dict()) | {"param_groups": optimizer.state_dict()["param_groups"]}
    )
    train(model, optimizer)


NAMED = {"names-disagree": ERROR}


@faulty(88, audit=NAMED, watch={**NAMED, "checkpoint-order": ERROR})
def loads_state_in_another_order_with_names():
    model = Twins()
    saved = torch.optim.Adam(model.named_parameters())
    train(model, saved)
    optimizer = torch.optim.Adam(reversed_order(model))
    yield model, optimizer
    optimizer.load_state_dict(copy.deepcopy(saved.state_dict()))
    train(model, optimizer)


@benign(88, 101)
def loads_state_in_the_same_order_with_names_of_a_compiled_model():
    model = Twins()
    saved = torch.optim.Adam(torch.compile(model, backend="eager").named_parameters())
    train(model, saved)
    optimizer = torch.optim.Adam(model.named_parameters())
    yield model, optimizer
    optimizer.load_state_dict(copy.deepcopy(saved.state_dict()))
    train(model, optimizer)


@faulty(89, audit={"state-mismatch": ERROR}, watch={"state-mismatch": ERROR})
def loads_state_in_another_order_of_other_shapes():
    model = net()
    saved = adam(model)
    train(model, saved)
    optimizer = torch.optim.Adam(list(model.parameters())[::-1], lr=0.01)
    yield model, optimizer
    optimizer.load_state_dict(copy.deepcopy(saved.state_dict()))


@faulty(90, audit=Unseen("torch raises"), watch=Unseen("torch raises"))
def loads_state_of_another_number_of_groups():
    model = net()
    optimizer = sgd(model)
    yield model, optimizer
    saved = torch.optim.SGD([{"params": list(part.parameters())} for part in (model.body, model.head)], lr=0.01)
    with contextlib.suppress(ValueError):
        optimizer.load_state_dict(saved.state_dict())


@faulty(
    91,
    audit=Unseen("keys of state do not tell a class from its relatives"),
    watch={"checkpoint-class": WARNING},
)
def loads_state_of_another_class():
    import verify

    model = net()
    saved = torch.optim.NAdam(model.parameters(), lr=0.01)
    with verify.watch(model, saved, on_finding="collect"):
        train(model, saved)
        checkpoint = copy.deepcopy(saved.state_dict())
    optimizer = torch.optim.RAdam(model.parameters(), lr=0.01)
    yield model, optimizer
    optimizer.load_state_dict(checkpoint)


@faulty(92, audit={"decay-changed": WARNING}, watch={"decay-changed": ERROR, "options-loaded": INFO})
def loads_an_adamw_checkpoint_into_adam():
    model = net()
    saved = torch.optim.AdamW(model.parameters())
    train(model, saved)
    optimizer = torch.optim.Adam(model.parameters())
    yield model, optimizer
    optimizer.load_state_dict(copy.deepcopy(saved.state_dict()))
    train(model, optimizer)


@faulty(93, audit=Unseen("what the constructor was given is overwritten"), watch={"options-loaded": INFO})
def gives_a_new_rate_and_loads():
    model = net()
    saved = sgd(model, lr=0.1)
    optimizer = sgd(model, lr=0.2)
    yield model, optimizer
    optimizer.load_state_dict(saved.state_dict())
    train(model, optimizer)


@faulty(94, audit={"shared-state": ERROR}, watch={"shared-state": ERROR})
def loads_the_live_state_of_another_optimizer():
    models = nn.ModuleDict({"a": Twins(), "b": Twins()})
    first, second = adam(models["a"]), adam(models["b"])
    yield models, [first, second]
    train(models["a"], first)
    second.load_state_dict(first.state_dict())
    train(models["b"], second)
    train(models["a"], first)


@benign(94)
def loads_a_copy_of_the_state_of_another_optimizer():
    models = nn.ModuleDict({"a": Twins(), "b": Twins()})
    first, second = adam(models["a"]), adam(models["b"])
    yield models, [first, second]
    train(models["a"], first)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    train(models["b"], second)
    train(models["a"], first)


@faulty(
    95,
    audit=Unseen("the dict is a name in the user's function"),
    watch=Unseen("state_dict may be copied by the caller or not, after the hook; certify's state family compares"),
)
def keeps_the_best_without_a_copy():
    model = net()
    optimizer = adam(model)
    yield model, optimizer
    train(model, optimizer)
    best = optimizer.state_dict()
    train(model, optimizer)
    optimizer.load_state_dict(best)


@faulty(96, audit=Unseen("an optimizer without state may be a fresh one"), watch={"state-cleared": INFO})
def loads_a_state_dict_from_before_the_first_step():
    model = net()
    optimizer = adam(model)
    yield model, optimizer
    start = optimizer.state_dict()
    train(model, optimizer)
    optimizer.load_state_dict(start)
    train(model, optimizer)


class Float32Moments(torch.optim.Optimizer):
    """Keeps float32 moments, and a counter of integers, for parameters of any dtype."""

    def __init__(self, params, lr=0.01):
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    state = self.state[p]
                    if not state:
                        state["moment"] = torch.zeros_like(p, dtype=torch.float32)
                        state["seen"] = torch.zeros((), dtype=torch.int64)
                    state["seen"] += 1
                    state["moment"].lerp_(p.grad.float(), 0.1)
                    p.sub_(group["lr"] * state["moment"])


@faulty(97, audit=Unseen("after the load, the dtypes are those of the parameters"), watch={"state-cast": ERROR})
def loads_float32_moments_of_bfloat16_parameters():
    model = net().bfloat16()
    optimizer = Float32Moments(model.parameters())
    yield model, optimizer
    train(model, optimizer)
    optimizer.load_state_dict(copy.deepcopy(optimizer.state_dict()))


class Texts(torch.optim.SGD):
    """Keeps a word for every parameter."""

    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                self.state[p]["kind"] = "matrix" if p.ndim > 1 else "vector"
        return super().step(closure)


@faulty(98, audit={"state-value": WARNING}, watch={"state-value": WARNING})
def keeps_text_in_the_state():
    model = net()
    optimizer = Texts(model.parameters(), lr=0.01)
    yield model, optimizer
    train(model, optimizer)


class ById(torch.optim.SGD):
    """Keeps its counters under ids."""

    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                self.state[id(p)]["count"] = self.state[id(p)].get("count", 0) + 1
        return super().step(closure)


@faulty(99, audit={"state-key": ERROR}, watch={"state-key": ERROR})
def keys_the_state_by_id():
    model = net()
    optimizer = ById(model.parameters(), lr=0.01)
    yield model, optimizer
    train(model, optimizer)


@faulty(
    99,
    audit=Unseen("an attribute may be anything; certify's state family compares a resumed run"),
    watch=Unseen("an attribute may be anything; certify's state family compares a resumed run"),
)
def keeps_a_counter_in_an_attribute():
    model = net()
    optimizer = sgd(model)
    yield model, optimizer
    optimizer.t = 0
    for _ in range(3):
        train(model, optimizer, steps=1)
        optimizer.t += 1


@benign(99)
def keeps_a_global_counter_in_the_state():
    model = net()
    optimizer = sgd(model)
    yield model, optimizer
    for _ in range(3):
        train(model, optimizer, steps=1)
        optimizer.state["k"] = optimizer.state.get("k", 0) + 1


@faulty(100, audit={"not-in-model": WARNING}, watch={"not-in-model": WARNING})
def saves_by_name_with_an_orphan():
    model = net()
    optimizer = sgd(model)
    yield model, optimizer
    model.head.bias = None
    train(model, optimizer)


@faulty(101, audit={"names-disagree": ERROR}, watch={"names-disagree": ERROR, "checkpoint-order": ERROR})
def loads_names_of_a_compiled_model_in_another_order():
    model = Twins()
    saved = torch.optim.Adam(torch.compile(model, backend="eager").named_parameters())
    train(model, saved)
    optimizer = torch.optim.Adam(reversed_order(model))
    yield model, optimizer
    optimizer.load_state_dict(copy.deepcopy(saved.state_dict()))
    train(model, optimizer)


@benign(88, 89, 91, 93, 96)
def saves_and_loads_in_one_watch():
    model = net()
    optimizer = adam(model)
    yield model, optimizer
    train(model, optimizer)
    checkpoint = copy.deepcopy((model.state_dict(), optimizer.state_dict()))
    optimizer.load_state_dict(checkpoint[1])
    train(model, optimizer, steps=20)
