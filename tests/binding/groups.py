"""Section 4 of the table: construction and param groups."""

import contextlib

import torch
from torch import nn
from torch.nn.parameter import UninitializedParameter
from torch.optim.lr_scheduler import LambdaLR, StepLR

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

MISSING = {"not-optimized": WARNING}


@faulty(58, audit=Unseen("torch raises"), watch=Unseen("torch raises"))
def uses_a_generator_up_before():
    model = net()
    optimizer = sgd(model)
    yield model, optimizer
    parameters = model.parameters()
    list(parameters)
    with contextlib.suppress(ValueError):
        torch.optim.SGD(parameters, lr=0.1)


@faulty(59, audit=MISSING, watch=MISSING)
def peeks_into_a_generator():
    model = net()
    parameters = model.parameters()
    next(parameters)
    optimizer = torch.optim.SGD(parameters, lr=0.01)
    yield model, optimizer
    train(model, optimizer)


@faulty(60, audit={"empty-group": WARNING}, watch={"empty-group": WARNING})
def gives_one_generator_to_two_groups():
    model = net()
    parameters = model.parameters()
    optimizer = torch.optim.SGD([{"params": parameters}, {"params": parameters, "lr": 0.1}], lr=0.01)
    yield model, optimizer
    train(model, optimizer)


@faulty(
    61,
    audit=Unseen("the iterator is a name in the user's function"),
    watch=Unseen("torch has no hook in clip_grad_norm_, and replacing the function would be patching torch"),
)
def clips_by_a_used_up_filter():
    model = net()
    trainable = filter(lambda p: p.requires_grad, model.parameters())
    optimizer = torch.optim.SGD(trainable, lr=0.01)
    yield model, optimizer
    backward(model)
    nn.utils.clip_grad_norm_(trainable, 1.0)
    optimizer.step()


@faulty(62, audit={"duplicate": ERROR}, watch={"duplicate": ERROR})
def lists_a_parameter_twice():
    model = net()
    optimizer = quietly(lambda: torch.optim.SGD([*model.parameters(), model.body.bias], lr=0.01))
    yield model, optimizer
    train(model, optimizer)


@faulty(62, audit={"duplicate": ERROR}, watch={"duplicate": ERROR})
def appends_a_parameter_to_a_group_by_hand():
    model = net()
    optimizer = sgd(model)
    yield model, optimizer
    optimizer.param_groups[0]["params"].append(model.body.bias)
    train(model, optimizer)


@faulty(63, 65, audit=MISSING, watch=MISSING)
def filters_names_and_misses_some():
    model = net()
    decayed = [p for name, p in model.named_parameters() if name.endswith("weight")]
    others = [p for name, p in model.named_parameters() if name.endswith("beta")]
    optimizer = quietly(
        lambda: torch.optim.AdamW([{"params": decayed, "weight_decay": 0.1}, {"params": others or decayed[:0]}])
    )
    optimizer.param_groups.pop()
    yield model, optimizer
    for _ in range(3):
        optimizer.zero_grad()
        backward(model)
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()


@benign(63)
def filters_names_into_two_groups():
    model = net()
    decayed = [p for name, p in model.named_parameters() if name.endswith("weight")]
    others = [p for name, p in model.named_parameters() if not name.endswith("weight")]
    optimizer = torch.optim.AdamW([{"params": decayed, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}])
    yield model, optimizer
    train(model, optimizer)


@faulty(
    64,
    audit=Unseen("the optimizer has a list, whatever it was built from"),
    watch=Unseen("only at a load can another order be seen: checkpoint-order"),
)
def builds_the_optimizer_from_a_set():
    model = net()
    optimizer = torch.optim.SGD(set(model.parameters()), lr=0.01)
    yield model, optimizer
    train(model, optimizer)


@faulty(66, audit=MISSING, watch=MISSING)
def unfreezes_after_the_optimizer():
    model = net()
    model.body.requires_grad_(False)
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.01)
    yield model, optimizer
    train(model, optimizer)
    model.body.requires_grad_(True)
    train(model, optimizer)


@benign(66)
def unfreezes_and_adds_a_group():
    model = net()
    model.body.requires_grad_(False)
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.01)
    yield model, optimizer
    train(model, optimizer)
    model.body.requires_grad_(True)
    optimizer.add_param_group({"params": list(model.body.parameters()), "lr": 0.001})
    train(model, optimizer)


@faulty(67, audit=Unseen("the stale gradient may be cleared before the next step"), watch={"frozen-moved": ERROR})
def freezes_while_zeros_stay_in_the_gradients():
    model = net()
    optimizer = sgd(model, momentum=0.9)
    yield model, optimizer
    train(model, optimizer, set_to_none=False)
    model.body.requires_grad_(False)
    train(model, optimizer, set_to_none=False)


@benign(67)
def freezes_and_sets_gradients_to_none():
    model = net()
    optimizer = adam(model)
    yield model, optimizer
    train(model, optimizer)
    model.body.requires_grad_(False)
    train(model, optimizer, steps=20)


class Branches(nn.Module):
    def __init__(self):
        super().__init__()
        self.left = nn.Linear(4, 4)
        self.right = nn.Linear(4, 4)
        self.use_left = True

    def forward(self, x):
        return self.left(x) if self.use_left else self.right(x)


@faulty(68, audit=Unseen("one look sees no movement"), watch={"moved-on-zero-grad": INFO})
def leaves_a_branch_unused_with_zeros():
    model = Branches()
    optimizer = adam(model)
    yield model, optimizer
    train(model, optimizer, set_to_none=False)
    model.use_left = False
    train(model, optimizer, steps=40, set_to_none=False)


@benign(68)
def leaves_a_branch_unused_with_none():
    model = Branches()
    optimizer = adam(model)
    yield model, optimizer
    for step in range(20):
        model.use_left = step % 3 == 0
        train(model, optimizer, steps=1)


class DecaysAll(torch.optim.Optimizer):
    """Decays what has no gradient too."""

    def __init__(self, params, lr=0.01):
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                p.mul_(0.99)
                if p.grad is not None:
                    p.sub_(group["lr"] * p.grad)


@faulty(69, audit=Unseen("one look sees no movement"), watch={"moved-without-grad": WARNING})
def decays_layers_that_were_not_used():
    model = Branches()
    optimizer = DecaysAll(model.parameters())
    yield model, optimizer
    train(model, optimizer)


@faulty(70, audit={"two-owners": WARNING}, watch={"two-owners": WARNING, "stepped-twice": ERROR})
def gives_one_parameter_to_two_optimizers():
    model = net()
    both = [sgd(model), torch.optim.Adam(model.head.parameters())]
    yield model, both
    train(model, *both)


@faulty(70, audit={"two-owners": WARNING}, watch={"two-owners": WARNING})
def lets_two_optimizers_take_turns():
    model = net()
    first, second = sgd(model), adam(model)
    yield model, [first, second]
    train(model, first)
    train(model, second)
    train(model, first)


@benign(70)
def divides_the_parameters_among_two_optimizers():
    model = net()
    both = [torch.optim.SGD(model.body.parameters(), lr=0.01), torch.optim.Adam(model.head.parameters())]
    yield model, both
    train(model, *both)


class Hidden(Net):
    def __init__(self, requires_grad=True):
        super().__init__()
        self.extra = [nn.Linear(8, 8).requires_grad_(requires_grad)]
        self.scales = {"a": nn.Parameter(torch.ones(8), requires_grad=requires_grad)}

    def forward(self, x):
        return self.head(self.extra[0](torch.relu(self.body(x))) * self.scales["a"])


@faulty(71, audit={"unregistered": WARNING}, watch={"unregistered": WARNING})
def keeps_layers_in_a_plain_list():
    model = Hidden()
    optimizer = sgd(model)
    yield model, optimizer
    train(model, optimizer)


@benign(71)
def keeps_a_frozen_teacher_in_a_plain_list():
    model = Hidden(requires_grad=False)
    optimizer = sgd(model)
    yield model, optimizer
    train(model, optimizer)


@benign(71)
def keeps_layers_in_a_list_and_gives_them_to_the_optimizer():
    model = Hidden()
    optimizer = torch.optim.SGD([*model.parameters(), *model.extra[0].parameters(), model.scales["a"]], lr=0.01)
    yield [model, model.extra[0], model.scales["a"]], optimizer
    train(model, optimizer)


class Unregistered(Net):
    def __init__(self, value):
        super().__init__()
        self.scale = value

    def forward(self, x):
        return super().forward(x) * self.scale


@faulty(72, audit={"unregistered": WARNING}, watch={"unregistered": WARNING})
def keeps_a_plain_tensor_that_requires_grad():
    model = Unregistered(torch.ones(3, requires_grad=True))
    optimizer = sgd(model)
    yield model, optimizer
    train(model, optimizer)


@faulty(72, audit={"unregistered": WARNING}, watch={"unregistered": WARNING})
def scales_a_parameter_when_it_is_made():
    model = Unregistered(nn.Parameter(torch.ones(3)) * 0.1)
    optimizer = sgd(model)
    yield model, optimizer
    backward(model)
    optimizer.step()


@faulty(72, audit={"unregistered": WARNING}, watch={"unregistered": WARNING})
def converts_a_parameter_when_it_is_made():
    model = Unregistered(nn.Parameter(torch.ones(3)).to(torch.float64))
    optimizer = sgd(model)
    yield model, optimizer
    backward(model)
    optimizer.step()


@benign(73)
def builds_the_optimizer_of_a_lazy_model():
    model = nn.Sequential(nn.LazyLinear(8), nn.LazyBatchNorm1d(), nn.LazyLinear(3))
    optimizer = adam(model)
    assert isinstance(model[0].weight, UninitializedParameter)
    yield model, optimizer
    model(torch.ones(5, 4))
    train(model, optimizer)


@benign(73)
def looks_at_a_lazy_model_before_its_first_forward():
    model = nn.Sequential(nn.LazyLinear(8), nn.LazyLinear(3))
    optimizer = adam(model)
    yield model, optimizer


@faulty(74, audit={"no-effect": WARNING}, watch={"no-effect": WARNING})
def misspells_requires_grad():
    model = net()
    model.body.weight.require_grad = False
    optimizer = sgd(model)
    yield model, optimizer
    train(model, optimizer)


@faulty(74, audit={"no-effect": WARNING}, watch={"no-effect": WARNING})
def sets_requires_grad_on_a_module():
    model = net()
    model.body.requires_grad = False
    optimizer = sgd(model)
    yield model, optimizer
    train(model, optimizer)


@faulty(75, audit=Unseen("that it was frozen is nowhere to be seen"), watch={"thawed": INFO})
def makes_a_new_parameter_of_a_frozen_one():
    model = net()
    model.body.requires_grad_(False)
    optimizer = sgd(model)
    yield model, optimizer
    train(model, optimizer)
    model.body.weight = new = nn.Parameter(model.body.weight.clone())
    optimizer.param_groups[0]["params"][0] = new
    train(model, optimizer)


@faulty(76, audit={"no-effect": WARNING}, watch={"no-effect": WARNING, "defaults-edited": INFO})
def sets_the_rate_where_nobody_reads_it():
    model = net()
    optimizer = sgd(model)
    yield model, optimizer
    train(model, optimizer)
    optimizer.lr = 0.001
    optimizer.defaults["lr"] = 0.001
    model.body.bias.requires_grad_(False)  # anything that makes the watch look again at once
    train(model, optimizer)


@faulty(77, audit={"unknown-option": WARNING}, watch={"unknown-option": WARNING})
def misspells_options_of_a_group():
    model = net()
    groups = [
        {"params": list(model.body.parameters()), "learning_rate": 0.1},
        {"params": list(model.head.parameters()), "weight_decy": 0.1},
    ]
    optimizer = torch.optim.SGD(groups, lr=0.01)
    yield model, optimizer
    train(model, optimizer)


@benign(77)
def gives_groups_names_and_options_of_their_own():
    model = net()
    groups = [
        {"params": list(model.body.parameters()), "name": "body", "lr_scale": 0.1, "layer": 1},
        {"params": list(model.head.parameters()), "name": "head", "initial_lr": 0.1, "weight_decay_mult": 0.0},
    ]
    optimizer = torch.optim.SGD(groups, lr=0.01)
    yield model, optimizer
    train(model, optimizer)


@faulty(78, audit={"missing-option": WARNING}, watch={"missing-option": WARNING})
def appends_a_group_by_hand():
    model = net()
    optimizer = torch.optim.SGD(model.body.parameters(), lr=0.01)
    optimizer.param_groups.append({"params": list(model.head.parameters())})
    yield model, optimizer


@faulty(79, audit={"stale-state": ERROR}, watch={"stale-state": ERROR})
def reads_the_state_of_a_foreign_tensor():
    model = net()
    optimizer = adam(model)
    optimizer.state[torch.zeros(2)]
    yield model, optimizer
    train(model, optimizer)


class Lookahead:
    """A wrapper that keeps the groups of the optimizer inside."""

    def __init__(self, optimizer):
        self.optimizer = optimizer
        self.param_groups = optimizer.param_groups

    def zero_grad(self, set_to_none=True):
        self.optimizer.zero_grad(set_to_none)

    def step(self, closure=None):
        return self.optimizer.step(closure)


@faulty(80, audit={"wrapper-groups": WARNING}, watch={"wrapper-groups": WARNING})
def holds_the_groups_over_a_load():
    model = net()
    optimizer = Lookahead(sgd(model))
    yield model, optimizer
    train(model, optimizer)
    optimizer.optimizer.load_state_dict(optimizer.optimizer.state_dict())
    train(model, optimizer)


@benign(80)
def wraps_an_optimizer():
    model = net()
    optimizer = Lookahead(sgd(model, momentum=0.9))
    yield model, optimizer
    train(model, optimizer, steps=20)


class Copying(Lookahead):
    def __init__(self, optimizer):
        super().__init__(optimizer)
        self.param_groups = [dict(group) for group in optimizer.param_groups]


@faulty(81, audit={"wrapper-groups": ERROR}, watch={"wrapper-groups": ERROR})
def schedules_a_wrapper_that_copies_groups():
    model = net()
    optimizer = Copying(sgd(model))
    yield model, optimizer
    for _ in range(3):
        train(model, optimizer, steps=1)
        for group in optimizer.param_groups:
            group["lr"] *= 0.5
    optimizer.optimizer.load_state_dict(optimizer.optimizer.state_dict())
    train(model, optimizer)


@faulty(
    82,
    audit={"cached-parameters": ERROR, "rebound": ERROR, "stale-state": ERROR},
    watch={"cached-parameters": ERROR, "rebound": ERROR, "stale-state": ERROR},
)
def replaces_the_list_of_lbfgs():
    model = net()
    optimizer = torch.optim.LBFGS(model.parameters())

    def closure():
        optimizer.zero_grad()
        loss = model(batch(model)).pow(2).sum()
        loss.backward()
        return loss

    yield model, optimizer
    optimizer.step(closure)
    optimizer.param_groups[0]["params"] = [p.detach().clone().requires_grad_() for p in model.parameters()][:1] + list(
        model.parameters()
    )[1:]
    optimizer.step(closure)


@benign(82, 113)
def steps_lbfgs_with_a_closure():
    model = net()
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=3)

    def closure():
        optimizer.zero_grad()
        loss = model(batch(model)).pow(2).sum()
        loss.backward()
        return loss

    yield model, optimizer
    for _ in range(20):
        optimizer.step(closure)
        optimizer.zero_grad()


def shared_rate():
    model = net()
    lr = torch.tensor(0.1)
    groups = [{"params": list(model.body.parameters())}, {"params": list(model.head.parameters())}]
    return model, torch.optim.SGD(groups, lr=lr)


@faulty(83, audit={"shared-lr": WARNING}, watch={"shared-lr": WARNING})
def schedules_groups_that_share_a_rate():
    model, optimizer = shared_rate()
    scheduler = StepLR(optimizer, 1, gamma=0.5)
    yield model, optimizer, scheduler
    train(model, optimizer)


@faulty(83, audit={"shared-lr": INFO}, watch={"shared-lr": INFO})
def shares_a_rate_without_a_scheduler():
    model, optimizer = shared_rate()
    yield model, optimizer
    train(model, optimizer)


@benign(83)
def schedules_a_rate_that_is_a_tensor():
    model = net()
    optimizer = torch.optim.Adam(model.parameters(), lr=torch.tensor(0.1), foreach=False)
    scheduler = LambdaLR(optimizer, lambda epoch: 0.9**epoch)
    yield model, optimizer, scheduler
    for _ in range(3):
        train(model, optimizer, steps=1)
        scheduler.step()


@faulty(84, audit=Unseen("torch raises"), watch=Unseen("torch raises"))
def gives_sparse_gradients_to_adam():
    model = nn.Sequential(nn.Embedding(5, 4, sparse=True))
    optimizer = adam(model)
    yield model, optimizer
    model(torch.tensor([1, 2])).sum().backward()
    with contextlib.suppress(RuntimeError):
        optimizer.step()


@benign(84)
def gives_sparse_gradients_to_sparse_adam():
    model = nn.Sequential(nn.Embedding(5, 4, sparse=True))
    optimizer = torch.optim.SparseAdam(model.parameters())
    yield model, optimizer
    for _ in range(20):
        optimizer.zero_grad()
        model(torch.tensor([1, 2])).sum().backward()
        optimizer.step()


@faulty(85, audit={"padding-decays": INFO}, watch={"padding-decays": INFO})
def decays_a_padding_row():
    model = nn.Sequential(nn.Embedding(5, 4, padding_idx=0))
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.1)
    yield model, optimizer
    for _ in range(3):
        optimizer.zero_grad()
        model(torch.tensor([0, 1, 2])).sum().backward()
        optimizer.step()


@benign(85)
def does_not_decay_a_padding_row():
    model = nn.Sequential(nn.Embedding(5, 4, padding_idx=0))
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.0)
    yield model, optimizer
    for _ in range(3):
        optimizer.zero_grad()
        model(torch.tensor([0, 1, 2])).sum().backward()
        optimizer.step()


@faulty(86, audit=Unseen("one look sees no backward"), watch={"no-gradients": WARNING})
def computes_on_detached_copies():
    model = net()
    optimizer = sgd(model)
    yield model, optimizer
    for _ in range(3):
        optimizer.zero_grad()
        copies = {name: p.detach().clone().requires_grad_() for name, p in model.named_parameters()}
        torch.func.functional_call(model, copies, (batch(model),)).sum().backward()
        optimizer.step()


@faulty(87, audit=Unseen("torch raises"), watch=Unseen("torch raises, half done; certify tries it"))
def meets_an_error_in_the_middle_of_a_step():
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, foreach=False, weight_decay=0.1)
    yield model, optimizer
    backward(model)
    model.head.bias.grad = model.head.bias.grad.to_sparse()
    with contextlib.suppress(RuntimeError):
        optimizer.step()
    train(model, optimizer)
