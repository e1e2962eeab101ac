"""Section 6 of the table: schedulers and scalers."""

import copy

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import (
    ChainedScheduler,
    ConstantLR,
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    CyclicLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    MultiplicativeLR,
    MultiStepLR,
    OneCycleLR,
    PolynomialLR,
    ReduceLROnPlateau,
    SequentialLR,
    StepLR,
)

from tests.binding.scenes import (
    ERROR,
    INFO,
    SCENES,
    WARNING,
    Scene,
    Unseen,
    adam,
    backward,
    benign,
    faulty,
    net,
    quietly,
    sgd,
    train,
)

SCHEDULERS = {
    "LambdaLR": lambda o: LambdaLR(o, lambda epoch: 0.9**epoch),
    "MultiplicativeLR": lambda o: MultiplicativeLR(o, lambda epoch: 0.9),
    "StepLR": lambda o: StepLR(o, 2),
    "MultiStepLR": lambda o: MultiStepLR(o, [2, 4]),
    "ConstantLR": lambda o: ConstantLR(o, 0.5, 3),
    "LinearLR": lambda o: LinearLR(o, 0.1, total_iters=5),
    "ExponentialLR": lambda o: ExponentialLR(o, 0.9),
    "CosineAnnealingLR": lambda o: CosineAnnealingLR(o, 5),
    "CosineAnnealingWarmRestarts": lambda o: CosineAnnealingWarmRestarts(o, 3),
    "PolynomialLR": lambda o: PolynomialLR(o, 5),
    "CyclicLR": lambda o: CyclicLR(o, 0.01, 0.1, 3),
    "OneCycleLR": lambda o: OneCycleLR(o, 0.1, 10),
    "SequentialLR": lambda o: SequentialLR(o, [LinearLR(o, 0.1, total_iters=2), CosineAnnealingLR(o, 8)], [2]),
    "ChainedScheduler": lambda o: ChainedScheduler([LinearLR(o, 0.1, total_iters=2), ExponentialLR(o, 0.9)]),
    "ReduceLROnPlateau": lambda o: ReduceLROnPlateau(o, patience=0),
    "SWALR": lambda o: torch.optim.swa_utils.SWALR(o, 0.05, anneal_epochs=3),
}


def advance(scheduler, loss=1.0):
    scheduler.step(loss) if isinstance(scheduler, ReduceLROnPlateau) else scheduler.step()


def run_and_resume(name):
    """A run that is saved in the middle and resumed in the right order."""

    def scene():
        model = net()
        optimizer = sgd(model, momentum=0.9)
        scheduler = quietly(lambda: SCHEDULERS[name](optimizer))
        yield model, optimizer, scheduler
        for _ in range(4):
            train(model, optimizer, steps=1)
            quietly(lambda: advance(scheduler))
        saved = copy.deepcopy((optimizer.state_dict(), scheduler.state_dict()))
        scheduler.load_state_dict(saved[1])
        optimizer.load_state_dict(saved[0])
        for _ in range(4):
            train(model, optimizer, steps=1)
            quietly(lambda: advance(scheduler))

    scene.__name__ = f"runs_and_resumes_{name}"
    return scene


SCENES += [Scene((102, 103, 107), run_and_resume(name)) for name in SCHEDULERS]


@faulty(102, audit={"scheduler-foreign": ERROR}, watch={"scheduler-foreign": ERROR})
def creates_the_optimizer_again_and_keeps_the_scheduler():
    model = net()
    scheduler = StepLR(sgd(model), 1)
    optimizer = sgd(model)
    yield model, optimizer, scheduler
    train(model, optimizer)


@faulty(102, audit={"scheduler-foreign": ERROR}, watch={"scheduler-foreign": ERROR})
def creates_the_optimizer_again_in_the_middle():
    model = net()
    optimizer = sgd(model)
    scheduler = StepLR(optimizer, 1)
    yield model, optimizer, scheduler
    train(model, optimizer)
    quietly(scheduler.step)
    optimizer = adam(model)
    yield model, optimizer, scheduler
    for _ in range(4):
        train(model, optimizer, steps=1)
        quietly(scheduler.step)


@benign(102)
def drives_a_wrapper():
    from tests.binding.groups import Lookahead

    model = net()
    inner = sgd(model)
    optimizer = Lookahead(inner)
    scheduler = StepLR(inner, 1)
    yield model, optimizer, scheduler
    for _ in range(3):
        train(model, optimizer, steps=1)
        scheduler.step()


def saved_run(make):
    model = net()
    optimizer = sgd(model, lr=0.1)
    scheduler = make(optimizer)
    for _ in range(5):
        train(model, optimizer, steps=1)
        scheduler.step()
    return model, copy.deepcopy(optimizer.state_dict()), copy.deepcopy(scheduler.state_dict())


DRIFT = {"scheduler-drift": WARNING}


@faulty(103, audit=DRIFT, watch=DRIFT)
def builds_the_scheduler_after_loading_the_optimizer():
    model, optimizer_state, scheduler_state = saved_run(lambda o: LinearLR(o, 0.1, total_iters=10))
    optimizer = sgd(model, lr=0.1)
    optimizer.load_state_dict(optimizer_state)
    scheduler = LinearLR(optimizer, 0.1, total_iters=10)
    scheduler.load_state_dict(scheduler_state)
    yield model, optimizer, scheduler
    train(model, optimizer)


@faulty(104, audit=DRIFT, watch=DRIFT)
def loads_the_scheduler_alone():
    model, _, scheduler_state = saved_run(lambda o: ExponentialLR(o, 0.5))
    optimizer = sgd(model, lr=0.1)
    scheduler = ExponentialLR(optimizer, 0.5)
    scheduler.load_state_dict(scheduler_state)
    yield model, optimizer, scheduler
    train(model, optimizer)


@faulty(105, audit=DRIFT, watch=DRIFT)
def loads_the_optimizer_alone():
    model, optimizer_state, _ = saved_run(lambda o: LinearLR(o, 0.1, total_iters=10))
    optimizer = sgd(model, lr=0.1)
    scheduler = LinearLR(optimizer, 0.1, total_iters=10)
    optimizer.load_state_dict(optimizer_state)
    yield model, optimizer, scheduler
    train(model, optimizer)


def late_group(make):
    model = net()
    optimizer = torch.optim.SGD(model.body.parameters(), lr=0.1, momentum=0.9)
    scheduler = make(optimizer)
    return model, optimizer, scheduler


@faulty(106, audit={"scheduler-groups": ERROR}, watch={"scheduler-groups": ERROR})
def adds_a_group_after_a_scheduler_that_counts():
    model, optimizer, scheduler = late_group(SCHEDULERS["LambdaLR"])
    optimizer.add_param_group({"params": list(model.head.parameters())})
    yield model, optimizer, scheduler
    train(model, optimizer)
    with pytest.raises(ValueError, match="zip"):
        scheduler.step()


@faulty(106, audit={"scheduler-groups": WARNING}, watch={"scheduler-groups": WARNING})
def adds_a_group_after_a_scheduler_that_scales():
    model, optimizer, scheduler = late_group(SCHEDULERS["LinearLR"])
    optimizer.add_param_group({"params": list(model.head.parameters())})
    yield model, optimizer, scheduler
    train(model, optimizer)
    scheduler.step()
    train(model, optimizer)


@benign(106)
def adds_a_group_after_a_plateau_scheduler():
    model, optimizer, scheduler = late_group(SCHEDULERS["ReduceLROnPlateau"])
    optimizer.add_param_group({"params": list(model.head.parameters())})
    yield model, optimizer, scheduler
    for _ in range(4):
        train(model, optimizer, steps=1)
        scheduler.step(1.0)


@benign(106)
def adds_a_group_before_the_scheduler():
    model = net()
    optimizer = torch.optim.SGD(model.body.parameters(), lr=0.1)
    optimizer.add_param_group({"params": list(model.head.parameters())})
    scheduler = SCHEDULERS["LambdaLR"](optimizer)
    yield model, optimizer, scheduler
    train(model, optimizer)
    scheduler.step()


@faulty(107, audit=DRIFT, watch=DRIFT)
def sets_the_rate_by_hand_under_a_scheduler():
    model = net()
    optimizer = sgd(model)
    scheduler = StepLR(optimizer, 2)
    yield model, optimizer, scheduler
    train(model, optimizer)
    scheduler.step()
    optimizer.param_groups[0]["lr"] = 0.5
    train(model, optimizer)


@faulty(108, audit={"scheduler-stacked": INFO}, watch={"scheduler-stacked": INFO})
def adds_a_second_scheduler():
    model = net()
    optimizer = sgd(model)
    first = StepLR(optimizer, 1)
    second = LinearLR(optimizer, 0.5)
    yield model, optimizer, [first, second]
    for _ in range(3):
        train(model, optimizer, steps=1)
        first.step()
        second.step()


@faulty(109, audit=Unseen("one look knows no other settings"), watch={"scheduler-changed": INFO})
def loads_settings_into_a_scheduler():
    model = net()
    optimizer = sgd(model)
    scheduler = CosineAnnealingLR(optimizer, 10)
    yield model, optimizer, scheduler
    train(model, optimizer)
    scheduler.load_state_dict(CosineAnnealingLR(sgd(model), 100).state_dict())
    optimizer.load_state_dict(optimizer.state_dict())
    train(model, optimizer)


@faulty(110, audit={"rebound": ERROR}, watch={"rebound": ERROR})
def scales_gradients_with_one_layer_replaced():
    model = net()
    optimizer = sgd(model)
    scaler = torch.amp.GradScaler("cpu")
    yield model, optimizer
    model.head = nn.Linear(8, 5)
    for _ in range(3):
        optimizer.zero_grad()
        scaler.scale(model(torch.ones(5, 4)).sum()).backward()
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()


@benign(110, 111)
def scales_gradients_and_skips_steps():
    model = net()
    optimizer = adam(model)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**127)
    yield model, optimizer
    for _ in range(20):
        optimizer.zero_grad()
        scaler.scale(model(torch.ones(5, 4)).sum()).backward()
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()


@faulty(
    111,
    audit=Unseen("the size of a gradient says nothing of a scale"),
    watch=Unseen("optimizer.step() on scaled gradients is a step like any other"),
)
def forgets_the_step_of_the_scaler():
    model = net()
    optimizer = adam(model)
    scaler = torch.amp.GradScaler("cpu")
    yield model, optimizer
    for _ in range(3):
        optimizer.zero_grad()
        scaler.scale(model(torch.ones(5, 4)).sum()).backward()
        optimizer.step()


@faulty(112, audit=Unseen("one look sees no order of events"), watch={"gradients-kept": WARNING})
def never_zeroes_the_gradients():
    model = net()
    optimizer = adam(model)
    yield model, optimizer
    for _ in range(5):
        backward(model)
        optimizer.step()


@faulty(112, audit=Unseen("one look sees no order of events"), watch={"gradients-kept": WARNING})
def zeroes_the_gradients_of_another_optimizer():
    model = net()
    optimizer, other = adam(model), adam(net())
    yield model, optimizer
    for _ in range(5):
        other.zero_grad()
        backward(model)
        backward(model)
        optimizer.step()


@benign(112)
def accumulates_gradients_inside_a_step():
    model = net()
    optimizer = adam(model)
    yield model, optimizer
    for _ in range(10):
        optimizer.zero_grad(set_to_none=False)
        for _ in range(3):
            backward(model)
        optimizer.step()


@benign(112)
def zeroes_gradients_through_data_as_old_code_does():
    model = net()
    optimizer = adam(model)
    yield model, optimizer
    for _ in range(10):
        backward(model)
        optimizer.step()
        for p in model.parameters():
            p.grad.data.zero_()


@faulty(113, audit=Unseen("one look sees no step"), watch={"no-gradients": WARNING})
def steps_without_any_backward():
    model = net()
    optimizer = adam(model)
    yield model, optimizer
    for _ in range(3):
        optimizer.zero_grad()
        optimizer.step()


@faulty(113, audit=Unseen("one look sees no step"), watch={"no-gradients": INFO})
def steps_once_without_backward_to_please_a_scheduler():
    model = net()
    optimizer = adam(model)
    scheduler = LinearLR(optimizer, 0.1)
    yield model, optimizer, scheduler
    optimizer.step()
    scheduler.step()
    for _ in range(5):
        train(model, optimizer, steps=1)
        scheduler.step()


@benign(113)
def steps_in_the_backward_with_one_optimizer_for_each_parameter():
    model = net()
    optimizers = {p: torch.optim.SGD([p], lr=0.01, momentum=0.9) for p in model.parameters()}

    def step(parameter):
        optimizers[parameter].step()
        optimizers[parameter].zero_grad()

    handles = [p.register_post_accumulate_grad_hook(step) for p in model.parameters()]
    yield model, list(optimizers.values())
    for _ in range(20):
        backward(model)
    assert len(handles) == 4
