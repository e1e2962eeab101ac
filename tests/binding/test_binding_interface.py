"""Arguments, ``allow``, what happens on a finding, and explanations."""

import copy
import pickle
import subprocess
import sys
import warnings

import pytest
import torch
from torch import nn
from torch.nn.modules import module as nn_module
from torch.optim import optimizer as torch_optimizer

import verify
from tests.binding.scenes import Net, adam, net, sgd, train
from verify.binding.codes import CODES
from verify.cli import main

BOTH = pytest.mark.parametrize("function", [verify.audit, verify.watch], ids=["audit", "watch"])


def broken():
    """A model with a new head, and its optimizer."""
    model = net()
    optimizer = adam(model)
    model.head = nn.Linear(8, 5)
    return model, optimizer


class NotAnOptimizer:
    def step(self):
        pass


@BOTH
@pytest.mark.parametrize(
    ("model", "optimizers", "message"),
    [
        (lambda: adam(net()), net, "the model comes first, then the optimizers"),
        (lambda: Net, lambda: adam(net()), "not the class Net: give the module itself"),
        (lambda: None, lambda: adam(net()), "not builtins.NoneType"),
        (list, lambda: adam(net()), "model is empty"),
        (lambda: torch.zeros(2), lambda: adam(net()), "a dict with a name for each tensor"),
        (lambda: [net(), 3], lambda: adam(net()), "a list or dict of modules, not builtins.int"),
        (net, lambda: torch.optim.Adam, "not the class Adam: give the optimizer itself"),
        (net, list, "optimizers is empty"),
        (net, lambda: None, "it has no step\\(\\) and param_groups"),
        (net, NotAnOptimizer, "it has no step\\(\\) and param_groups"),
        (net, lambda: torch.optim.lr_scheduler.StepLR(adam(net()), 1), "give it as schedulers="),
        (net, lambda: net().parameters(), "optimizers must be a torch optimizer, or a list of them"),
    ],
)
def test_wrong_subjects(function, model, optimizers, message):
    with pytest.raises(verify.UsageError, match=message):
        function(model(), optimizers())


@BOTH
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"schedulers": [3]}, "schedulers must be a list of learning rate schedulers, and has builtins.int"),
        ({"schedulers": [adam(net())]}, "it is an optimizer"),
        ({"allow": ["not-optimised"]}, "did you mean 'not-optimized'"),
        ({"allow": "rebound"}, "write allow=\\['rebound'\\]"),
        ({"allow": [3]}, "allow must be a list of codes"),
    ],
)
def test_wrong_options(function, options, message):
    model = net()
    with pytest.raises(verify.UsageError, match=message):
        function(model, adam(model), **options)


def test_an_unknown_way_to_tell():
    model = net()
    with pytest.raises(
        verify.UsageError, match="must be one of warn, raise, collect, not 'rais'; did you mean 'raise'"
    ):
        verify.watch(model, adam(model), on_finding="rais")


@pytest.mark.parametrize(
    ("allow", "left"),
    [
        ([], ["head.weight", "head.bias"]),
        (["rebound"], []),
        (["rebound:head.bias"], ["head.weight"]),
        (["rebound:head.*"], []),
        (["not-optimized"], ["head.weight", "head.bias"]),
    ],
)
def test_allow(allow, left):
    model, optimizer = broken()
    assert [f.parameter for f in verify.audit(model, optimizer, allow=allow)] == left
    with verify.watch(model, optimizer, on_finding="collect", allow=allow) as watching:
        train(model, optimizer)
    assert [f.parameter for f in watching.findings] == left


def test_a_finding_is_one_paragraph():
    finding = verify.audit(*broken())[0]
    assert str(finding).startswith("error: head.weight: ")
    assert str(finding).endswith("[rebound]")
    assert "\n" not in str(finding)


def test_warns_at_the_line_that_steps_and_names_the_line_that_assigns():
    model = net()
    optimizer = adam(model)
    with verify.watch(model, optimizer) as watching:
        train(model, optimizer)
        model.head = nn.Linear(8, 5)  # this line
        with pytest.warns(verify.BindingWarning, match="this line") as caught:
            train(model, optimizer)
    assert len(caught) == 1
    assert caught[0].filename.endswith("scenes.py")
    assert "And 1 more of this code: head.bias." in str(caught[0].message)
    assert all("model.head = nn.Linear(8, 5)  # this line" in finding.message for finding in watching.findings)


def test_raises_from_the_step_that_finds():
    model = net()
    optimizer = adam(model)
    with verify.watch(model, optimizer, on_finding="raise"):
        train(model, optimizer)
        model.head = nn.Linear(8, 5)
        with pytest.raises(verify.BindingError) as caught:
            train(model, optimizer)
    assert [f.parameter for f in caught.value.findings] == ["head.weight", "head.bias"]


def hooks():
    """All that a watch registers anywhere but on optimizers."""
    return [
        dict(table)
        for table in (
            torch_optimizer._global_optimizer_pre_hooks,
            torch_optimizer._global_optimizer_post_hooks,
            nn_module._global_parameter_registration_hooks,
            nn_module._global_module_registration_hooks,
        )
    ]


def test_leaves_no_hook_behind():
    before = hooks()
    with pytest.raises(verify.BindingError):
        verify.watch(*broken(), on_finding="raise")
    model = net()
    optimizer = adam(model)
    watching = verify.watch(model, optimizer)
    train(model, optimizer)
    train(model, optimizer, set_to_none=False)
    assert hooks() != before
    watching.close()
    watching.close()
    assert hooks() == before
    assert not any(p._backward_hooks or p._post_accumulate_grad_hooks for p in model.parameters())
    assert not optimizer._optimizer_state_dict_post_hooks
    assert not optimizer._optimizer_load_state_dict_pre_hooks
    assert verify.binding.fingerprint.KEY not in optimizer.state_dict()


def test_says_nothing_twice_and_info_never_aloud():
    model = net()
    optimizer = adam(model)
    with warnings.catch_warnings(), verify.watch(model, optimizer) as watching:
        warnings.simplefilter("error")
        train(model, optimizer)
        model.load_state_dict(net().state_dict())
        train(model, optimizer)
        model.load_state_dict({name: t + 1 for name, t in net().state_dict().items()})
        train(model, optimizer)
    assert [(f.code, f.severity) for f in watching.findings] == [("moved-between", "info")]


class KeepsEverything(torch.optim.SGD):
    """A class that pickles all of its attributes, hooks too."""

    def __getstate__(self):
        return self.__dict__.copy()


@pytest.mark.parametrize(
    "make", [sgd, lambda model: KeepsEverything(model.parameters(), lr=0.01)], ids=["usual", "all"]
)
def test_copies_and_pickles_of_what_is_watched_are_free(make):
    model = net()
    optimizer = make(model)
    with verify.watch(model, optimizer, on_finding="raise"):
        train(model, optimizer)
        copies = [copy.deepcopy((model, optimizer)), pickle.loads(pickle.dumps((model, optimizer)))]
    for other_model, other in copies:
        train(other_model, other)
        saved = other.state_dict()
        assert set(saved) == {"state", "param_groups"}
        other.load_state_dict(saved)
        assert verify.audit(other_model, other) == []


def test_the_fingerprint_is_plain_data_and_loads_anywhere(tmp_path):
    model = net()
    optimizer = adam(model)
    with verify.watch(model, optimizer, on_finding="raise"):
        train(model, optimizer)
        torch.save(optimizer.state_dict(), tmp_path / "optimizer.pt")
    saved = torch.load(tmp_path / "optimizer.pt", weights_only=True)
    assert saved["optim_verify"] == {
        "class": "Adam",
        "names": [["body.weight", "body.bias", "head.weight", "head.bias"]],
        "shapes": [[[8, 4], [8], [3, 8], [3]]],
    }
    fresh = adam(model)
    fresh.load_state_dict(saved)
    assert len(fresh.state) == 4


def test_a_fingerprint_of_somebody_else_is_not_believed():
    model = net()
    optimizer = adam(model)
    with verify.watch(model, optimizer, on_finding="collect") as watching:
        for strange in ("text", {}, {"names": 3}, {"class": "Adam", "names": [["a"], 3]}):
            optimizer.load_state_dict({**optimizer.state_dict(), "optim_verify": strange})
    assert not [f for f in watching.findings if f.code == "checkpoint-order"]


@pytest.mark.parametrize("code", CODES.values(), ids=CODES)
def test_explains_every_code(code, capsys):
    assert main(["explain", code.name]) == 0
    text = capsys.readouterr().out
    for part in (code.sentence, "what goes wrong", "how it is seen", "false alarms", "write instead"):
        assert part.split()[0] in text


def test_a_near_match_for_a_code(capsys):
    assert main(["explain", "rebounds"]) == 2
    assert "did you mean 'rebound'?" in capsys.readouterr().err


def test_importing_verify_imports_no_torch():
    script = "import sys, verify; from verify.binding.codes import CODES; sys.exit('torch' in sys.modules or 'sympy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
