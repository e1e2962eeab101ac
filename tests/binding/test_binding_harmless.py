"""A watch changes nothing that is computed, and is affordable where there is much to look at."""

import copy

import pytest
import torch
from torch import nn

import verify
from tests.binding.rebinding import adapted
from tests.binding.registry import SCENES
from tests.binding.scenes import net, train

OPTIMIZERS = {
    "SGD": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9),
    "Adam-foreach": lambda p: torch.optim.Adam(p, foreach=True),
    "AdamW-fused": lambda p: torch.optim.AdamW(p, fused=True),
    "Adagrad": lambda p: torch.optim.Adagrad(p),
    "Rprop": lambda p: torch.optim.Rprop(p),
}


def run(make, watched, set_to_none):
    """Parameters, state and the next random number after a run that freezes, loads and copies."""
    torch.manual_seed(3)
    model = nn.Sequential(nn.Linear(4, 8), nn.Dropout(), adapted(net()).body.lora_A, nn.Linear(2, 3))
    model[2] = nn.Linear(8, 2)
    optimizer = make(model.parameters())
    if watched:
        watching = verify.watch(model, optimizer, on_finding="collect")
    train(model, optimizer, set_to_none=set_to_none)
    model[0].requires_grad_(False)
    train(model, optimizer, set_to_none=set_to_none)
    model[0].requires_grad_(True)
    optimizer.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    train(model, optimizer, set_to_none=set_to_none)
    if watched:
        watching.close()
    state = [{k: v for k, v in entry.items()} for entry in optimizer.state.values()]
    grads = [p.grad for p in model.parameters()]
    return [*model.parameters(), *grads, torch.rand(3)], state, len(optimizer.state)


def same(a, b):
    if isinstance(a, torch.Tensor):
        return torch.equal(a.view(torch.uint8) if a.ndim else a, b.view(torch.uint8) if b.ndim else b)
    return a == b


@pytest.mark.parametrize("set_to_none", [True, False])
@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_nothing_that_is_computed_changes(make, set_to_none):
    plain, watched = run(make, False, set_to_none), run(make, True, set_to_none)
    assert all(same(a, b) for a, b in zip(plain[0], watched[0], strict=True))
    assert plain[2] == watched[2]
    for entry, other in zip(plain[1], watched[1], strict=True):
        assert entry.keys() == other.keys()
        assert all(same(entry[key], other[key]) for key in entry)


def test_swapping_of_parameters_is_not_in_the_way():
    """``.to()`` raises on any weak reference to a parameter when it swaps."""
    model = net()
    optimizer = torch.optim.Adam(model.parameters())
    torch.__future__.set_swap_module_params_on_conversion(True)
    try:
        with verify.watch(model, optimizer, on_finding="raise"):
            train(model, optimizer)
            optimizer.zero_grad()
            optimizer.state.clear()
            model.double()
            train(model, optimizer)
    finally:
        torch.__future__.set_swap_module_params_on_conversion(False)


def test_old_parameters_are_let_go_when_nobody_holds_them():
    import gc
    import weakref

    model = net()
    optimizer = torch.optim.Adam(model.parameters())
    with verify.watch(model, optimizer, on_finding="collect"):
        train(model, optimizer)
        old = weakref.ref(model.head.weight)
        model.head = nn.Linear(8, 3)
        optimizer.param_groups[0]["params"][2:] = list(model.head.parameters())
        optimizer.state.clear()
        train(model, optimizer)
        gc.collect()
        assert old() is None


def test_ten_thousand_tensors():
    model = nn.ParameterList([torch.ones(2) for _ in range(10_000)])
    optimizer = torch.optim.SGD(model, lr=0.1)
    assert verify.audit(model, optimizer) == []
    model[5_000] = torch.zeros(2)
    model.register_parameter("late", nn.Parameter(torch.ones(3)))
    found = {(f.code, f.parameter) for f in verify.audit(model, optimizer)}
    assert found == {("rebound", "5000"), ("not-optimized", "late")}


def test_a_second_watch_at_the_same_time():
    model = net()
    optimizer = torch.optim.Adam(model.parameters())
    with (
        verify.watch(model, optimizer, on_finding="collect") as first,
        verify.watch(model, optimizer, on_finding="collect") as second,
    ):
        train(model, optimizer)
        model.head = nn.Linear(8, 5)
        train(model, optimizer)
    assert first.findings == second.findings != []


def test_every_row_of_the_table_is_a_scene():
    """The table has 113 rows; sections 2 to 6 are these. Rows that need packages or processes are tests of their own."""
    elsewhere = {22, 23, 24, 25, 26, 27, 28}
    rows = {row for scene in SCENES for row in scene.rows}
    assert rows | elsewhere == set(range(1, 114))
    assert not rows & elsewhere
