"""Replay files: what is written is read back exactly, and nothing else is read."""

import copy
import json
import math
import sys
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from reference import RULES
from verify import Subject
from verify.certificate import FindingRecord
from verify.certification import replay_data
from verify.cli import main
from verify.errors import UsageError
from verify.program import (
    LAYOUTS,
    Edit,
    Filling,
    Parameter,
    Program,
    Repeat,
    SetCount,
    Step,
)
from verify.program_json import from_json, to_json
from verify.replay import Replay, read_replay, replay
from verify.strategies import bulk_programs, programs

SPECIMENS = str(Path(__file__).parent / "specimens" / "wrong")
PROGRAM = Program(
    groups=({"lr": 0.1, "momentum": 0.5}, {"lr": 0.25}),
    options={"nesterov": False},
    parameters=(
        Parameter((2, 3), 0, Filling(7), "transposed"),
        Parameter((), 1, Filling(values=(0.5,))),
    ),
    operations=(
        Step((Filling(11), Filling(values=(1.0,), expanded=True))),
        Edit(1, "lr", 0.5),
        Step((Filling(values=(math.nan, math.inf, -0.0)), None)),
        Repeat(),
    ),
    reuse_gradients=True,
)


def data_for(program: Program = PROGRAM, target: str = "torch.optim.SGD", rule="sgd", check="rule.step") -> dict:
    record = FindingRecord(check, program.dtype, "cpu", "for-loop", "wrong", to_json(program))
    return json.loads(json.dumps(replay_data(Subject(target, rule), rule, record)))


def write(path: Path, data) -> Path:
    path.write_text(json.dumps(data), encoding="utf-8")
    return path


@pytest.fixture(autouse=True)
def process(monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])
    torch.set_num_threads(1)


# -- what is written is read back -------------------------------------------------------------


@given(st.sampled_from(sorted(RULES)).flatmap(lambda n: programs(RULES[n]) | bulk_programs(RULES[n])))
@settings(max_examples=60)
def test_programs_survive_json(program):
    text = json.dumps(to_json(program), allow_nan=False)
    assert from_json(json.loads(text)) == program


def test_every_part_of_a_program_survives():
    program = from_json(json.loads(json.dumps(to_json(PROGRAM))))
    values = program.operations[2].gradients[0].values
    assert math.isnan(values[0])
    assert math.copysign(1, values[2]) == -1
    assert repr(program) == repr(PROGRAM)
    assert from_json(to_json(Program(operations=(SetCount(3),)))).operations == (SetCount(3),)


def test_a_replay_file_holds_the_whole_subject(tmp_path):
    subject = Subject("a.py:B", "adam", {"fused": None}, {"lr": "alpha"}, {"exp_avg": "m"}, ("exp_avg",))
    record = FindingRecord("rule.state", "float32", "cpu", "for-loop", "first\nsecond", to_json(PROGRAM))
    found = read_replay(write(tmp_path / "r.json", replay_data(subject, "adam", record)))
    assert (found.subject, found.check, found.message) == (subject, "rule.state", "first\nsecond")


# -- what it says -----------------------------------------------------------------------------


def run(data: dict, tmp_path: Path) -> tuple[bool, str]:
    return replay(read_replay(write(tmp_path / "r.json", data)))


def test_a_program_that_passes(tmp_path):
    assert run(data_for(), tmp_path) == (False, "the program passes now: every quantity is inside its allowance")


def test_a_program_that_fails(tmp_path):
    program = Program(
        groups=({"lr": 1.0},), parameters=(Parameter((1,), 0, Filling(values=(0.0,))),),
        operations=(Step((Filling(values=(1.0,)),)),),
    )  # fmt: skip
    fails, text = run(data_for(program, f"{SPECIMENS}/descent.py:Ascends", "gradient_descent"), tmp_path)
    assert fails
    first, numbers, *last = text.splitlines()
    assert first == "after step 1, parameter 0, element 0: the parameter is not what rule gradient_descent gives"
    assert numbers.startswith("exact       -1   got 1   error 2 = ")
    assert last == ["first wrong quantity: the parameter", "smallest    build [0] with lr=1; step(grad=1)"]


def test_a_side_effect_is_seen_again(tmp_path):
    program = Program(operations=(Step((Filling(1),)),))
    target = f"{SPECIMENS}/isolation.py:Prints"
    data = data_for(program, target, "gradient_descent", "contract.side_effects")
    assert run(data, tmp_path) == (True, "the subject printed to stdout: 'step done'")


def test_a_subject_that_ends_its_process_still_fails(tmp_path, capsys):
    program = Program(operations=(Step((Filling(1),)),))
    path = write(tmp_path / "r.json", data_for(program, f"{SPECIMENS}/isolation.py:Exits", "gradient_descent"))
    assert main(["replay", str(path)]) == 1
    out, err = capsys.readouterr()
    assert out.splitlines()[1:] == ["  the subject ended the interpreter", "STILL FAILS"]
    assert err == ""


# -- what is no replay file -------------------------------------------------------------------


def changed(*steps) -> dict:
    """The good file with one value replaced, by its path in the file."""
    *path, value = steps
    data = place = data_for()
    for key in path[:-1]:
        place = place[key]
    if value is ...:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return data


def nested(depth: int):
    data = []
    for _ in range(depth):
        data = [data]
    return data


P = "program"
BAD = [
    (changed("schema", "other"), "'r.json' is no replay file of optim-verify"),
    ([1], "'r.json' is no replay file of optim-verify"),
    (changed("version", 2), "'r.json' is a replay file of version 2; this optim-verify reads version 1"),
    (changed("version", True), "'r.json' is a replay file of version True; this optim-verify reads version 1"),
    (changed("version", ...), "'r.json' is a replay file of version None; this optim-verify reads version 1"),
    (changed("subject", 5), "'r.json' is not a whole replay file: 'subject' is missing or of the wrong kind"),
    (changed("message", ...), "'r.json' is not a whole replay file: 'message' is missing or of the wrong kind"),
    (changed("check", "rule.stp"), "'r.json': no check is called 'rule.stp'; did you mean 'rule.step'?"),
    (changed("names", {"lr": 1}), "'r.json': 'names' must map names to names"),
    (changed("low_precision_state", [1]), "'r.json': 'low_precision_state' must be a list of names"),
    (changed(P, ...), "'r.json': not a program: no object"),
    (changed(P, nested(500)), "'r.json': not a program: no object"),
    (changed(P, "dtype", "float31"), "'r.json': not a program: unknown dtype 'float31'"),
    (changed(P, "dtype", ["float32"]), "'r.json': not a program: dtype is missing"),
    (changed(P, "device", "cpu:x"), "'r.json': no device is called 'cpu:x'; write cpu, or cpu:0 for the first one"),
    (changed(P, "device", "gpu"), "'r.json': no device is called 'gpu'; did you mean 'xpu'?"),
    (changed(P, "groups", []), "'r.json': not a program: groups is missing"),
    (changed(P, "groups", 0, 1), "'r.json': not a program: a group is no object"),
    (changed(P, "groups", 0, "lr", None), "'r.json': not a program: no number: None"),
    (changed(P, "groups", 0, "lr", True), "rule 'sgd' has no option 'lr'; the file was edited"),
    (changed(P, "groups", 0, "lr", "0x1.gp+0"), "'r.json': not a program: no hexadecimal float: '0x1.gp+0'"),
    (changed(P, "groups", 0, "lr", "0x1p+9999"), "'r.json': not a program: no hexadecimal float: '0x1p+9999'"),
    (changed(P, "groups", 0, "lr", 10**17), "'r.json': not a program: too large a whole number: 100000000000000000"),
    (changed(P, "options", {"nesterov": 1}), "'r.json': not a program: bad options {'nesterov': 1}"),
    (changed(P, "parameters", []), "'r.json': not a program: parameters is missing"),
    (changed(P, "parameters", 0, "shape", ...), "'r.json': not a program: a parameter without shape"),
    (changed(P, "parameters", 0, "shape", [-1]), "'r.json': not a program: bad shape [-1]"),
    (changed(P, "parameters", 0, "shape", [True]), "'r.json': not a program: bad shape [True]"),
    (changed(P, "parameters", 0, "shape", [1.0]), "'r.json': not a program: bad shape [1.0]"),
    (
        changed(P, "parameters", 0, "shape", [4096, 4096]),
        "'r.json': not a program: a shape too large to replay: [4096, 4096]",
    ),
    (
        changed(P, "parameters", 0, "shape", [0, 10**12]),
        "'r.json': not a program: a shape too large to replay: [0, 1000000000000]",
    ),
    (
        changed(P, "parameters", 0, "shape", [1] * 9),
        "'r.json': not a program: a shape too large to replay: [1, 1, 1, 1, 1, 1, ...]",
    ),
    (
        changed(P, "parameters", [{"shape": [2048, 2048], "group": 0, "initial": {}, "layout": "contiguous"}] * 2),
        "'r.json': not a program: parameters too large to replay",
    ),
    (changed(P, "parameters", 0, "layout", "odd"), "'r.json': not a program: unknown layout 'odd'"),
    (changed(P, "parameters", 0, "layout", []), "'r.json': not a program: unknown layout []"),
    (changed(P, "parameters", 0, "group", 2), "'r.json': not a program: a parameter in no group"),
    (changed(P, "parameters", 0, "initial", None), "'r.json': not a program: a parameter without values"),
    (changed(P, "parameters", 0, "initial", "start", -1), "'r.json': not a program: bad start -1"),
    (changed(P, "parameters", 0, "initial", {"stop": 1}), "'r.json': not a program: bad filling {'stop': 1}"),
    (changed(P, "parameters", 0, "initial", {"values": []}), "'r.json': not a program: bad values []"),
    (
        changed(P, "parameters", 0, "initial", {"expanded": 1}),
        "'r.json': not a program: expanded must be true or false, not 1",
    ),
    (changed(P, "operations", 5), "'r.json': not a program: operations is missing"),
    (changed(P, "operations", 0, "jump"), "'r.json': not a program: bad operation 'jump'"),
    (changed(P, "operations", 0, {"do": ["step"]}), "'r.json': not a program: bad operation {'do': ['step']}"),
    (changed(P, "operations", 0, nested(500)), "'r.json': not a program: bad operation [[[[[[[...]]]]]]]"),
    (changed(P, "operations", 0, {"do": "step"}), "'r.json': not a program: a step without gradients"),
    (
        changed(P, "operations", 0, "gradients", []),
        "'r.json': not a program: a step whose gradients do not match the parameters",
    ),
    (changed(P, "operations", 1, "group", 2), "'r.json': not a program: an edit of a group that does not exist"),
    (
        changed(P, "operations", 1, {"do": "set_count", "count": 10**30}),
        "'r.json': not a program: bad count 1000000000000000000000000000000",
    ),
    (changed(P, "reuse_gradients", "no"), "'r.json': not a program: reuse_gradients must be true or false, not 'no'"),
]


@pytest.mark.parametrize(("data", "sentence"), BAD, ids=[str(i) for i in range(len(BAD))])
def test_a_file_that_was_edited(data, sentence, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write(Path("r.json"), data)
    assert main(["replay", "r.json"]) == 2
    assert capsys.readouterr() == ("", f"optim-verify: {sentence}\n")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "'r.json' is no replay file or is cut off: Expecting value: line 1 column 1 (char 0)"),
        (
            json.dumps(data_for())[:300].encode(),
            "'r.json' is no replay file or is cut off: Expecting value: line 1 column 301 (char 300)",
        ),
        (b"\x89PNG\r\n", "'r.json' is no replay file or is cut off: 'utf-8' codec can't decode byte 0x89"),
        (b"[" * 100_000, "'r.json' is no replay file or is cut off: maximum recursion depth exceeded"),
        (b"1" * 5000, "'r.json' is no replay file or is cut off: Exceeds the limit (4300 digits)"),
    ],
)
def test_a_file_that_is_broken(content, sentence, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("r.json").write_bytes(content)
    assert main(["replay", "r.json"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"optim-verify: {sentence}")
    assert err.count("\n") == 1


def test_a_file_that_is_not_there(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["replay", "r.json"]) == 2
    assert capsys.readouterr().err == "optim-verify: cannot read 'r.json': No such file or directory\n"
    assert main(["replay", "."]) == 2
    assert capsys.readouterr().err == "optim-verify: cannot read '.': Is a directory\n"
    assert main(["replay", "x" * 300]) == 2
    assert capsys.readouterr().err == f"optim-verify: cannot read '{'x' * 300}': File name too long\n"


def test_a_file_without_end(monkeypatch, capsys):
    monkeypatch.setattr("verify.replay.MOST_BYTES", 1000)
    assert main(["replay", "/dev/zero"]) == 2
    assert capsys.readouterr().err == "optim-verify: '/dev/zero' is too large to be a replay file\n"


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (changed("subject", "torch.optim.SDG"), "module 'torch.optim' has no 'SDG'; did you mean 'SGD'?"),
        (changed("arguments", {"x": 1}), "torch.optim.SGD takes no argument 'x'; it takes .*, weight_decay"),
        (changed("names", {"lr": "a b"}), "'a b' is no argument; write a name such as lr, or betas[0]"),
        (changed("state_keys", {"m": "v"}), "rule 'sgd' has no state variable 'm'; it has momentum_buffer, step"),
        (changed(P, "groups", 0, {"lrr": 1}), "rule 'sgd' has no hyperparameter 'lrr'; did you mean 'lr'?"),
        (changed(P, "groups", 0, {"lr": "nan"}), "lr = nan is not in [0, ∞), as rule 'sgd' needs"),
        (changed(P, "operations", 1, "name", "eps"), "rule 'sgd' has no hyperparameter 'eps'"),
        (changed(P, "operations", 1, "value", -1), "lr = -1 is not in [0, ∞), as rule 'sgd' needs"),
        (changed(P, "options", {"amsgrad": True}), "rule 'sgd' has no option 'amsgrad'; the file was edited"),
        (changed(P, "implementation", "compild"), "torch.optim.SGD has no implementation 'compild'; it offers .*"),
        (
            changed(P, "options", {"nesterov": True}),
            "rule 'sgd' does not speak of {'lr': 0.25, .*} together; the file was edited",
        ),
    ],
)
def test_a_program_that_the_subject_cannot_have(data, sentence, tmp_path):
    before, dots, after = sentence.partition(".*")
    with pytest.raises(UsageError) as caught:
        run(data, tmp_path)
    message = str(caught.value)
    assert (message.startswith(before) and message.endswith(after)) if dots else message == sentence


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is such a device")
def test_a_device_that_is_not_there(tmp_path):
    with pytest.raises(UsageError, match=r"^the finding is about the device 'cuda', and there is none here$"):
        run(changed(P, "device", "cuda"), tmp_path)


# -- no file runs code ------------------------------------------------------------------------


def places(data, path=()):
    """Paths of all values in JSON data."""
    yield path
    for key, value in data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ():
        yield from places(value, (*path, key))


def at(data, path):
    for key in path:
        data = data[key]
    return data


PLACES = [p for p in places(data_for()) if p]


def test_reading_runs_nothing(tmp_path, monkeypatch):
    def forbidden(*args, **kwargs):
        raise AssertionError("a file ran code")

    monkeypatch.chdir(tmp_path)
    code = "__import__('pathlib').Path('ran').touch()"
    read_replay(write(Path("r.json"), data_for()))  # imports what it needs
    for path in PLACES:
        write(Path("r.json"), changed(*path, code))
        with monkeypatch.context() as patched, suppress(UsageError):
            for name in ("eval", "exec", "compile"):
                patched.setattr(f"builtins.{name}", forbidden)
            assert isinstance(read_replay(Path("r.json")), Replay)
    assert not Path("ran").exists()


# -- any file is a program or an error --------------------------------------------------------

NUMBERS = st.sampled_from([0, 1, 2, 7, -1, 1 << 22, 1 << 31, 10**30, 0.5, -0.0, 1e308, math.inf, math.nan])
WORDS = st.sampled_from(
    ["", "lr", "momentum", "step", "edit", "repeat", "set_count", "nesterov", "maximize", "float16", "complex64", "cuda",
     "foreach", "differentiable", "nan", "-inf", "0x1p-3", "0x1.8p+1", "0xz", "sgd", "adam", "é\0", *LAYOUTS]
)  # fmt: skip
JUNK = st.recursive(
    st.none() | st.booleans() | NUMBERS | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=2),
    max_leaves=4,
)


@st.composite
def mutations(draw) -> dict:
    """The good file with a few values replaced, removed, doubled or exchanged."""
    data = data_for()
    for _ in range(draw(st.integers(1, 3))):
        # the subject stays: replaying imports it
        paths = [p for p in places(data) if p and p[0] not in ("subject", "rule")]
        path = draw(st.sampled_from(paths))
        owner, key = at(data, path[:-1]), path[-1]
        kind = draw(st.sampled_from(["replace", "remove", "double", "other"]))
        if kind == "remove":
            del owner[key]
        elif kind == "double" and isinstance(owner, list):
            owner.insert(key, copy.deepcopy(owner[key]))
        elif kind == "other":
            owner[key] = copy.deepcopy(at(data, draw(st.sampled_from(paths))))
        else:
            owner[key] = draw(JUNK)
    return data


@given(mutations())
@example(changed("arguments", {"nesterov": "x"}))
@settings(max_examples=300)
def test_an_edited_file_is_a_program_or_an_error(tmp_path_factory, data):
    path = write(tmp_path_factory.getbasetemp() / "edited.json", data)
    try:
        found = read_replay(path)
    except UsageError:
        return
    assert repr(from_json(to_json(found.program))) == repr(found.program)
    if sum(math.prod(p.shape) for p in found.program.parameters) > 1000:
        return
    with suppress(UsageError):
        fails, text = replay(found)
        assert isinstance(fails, bool)
        assert text


@given(st.data())
@settings(max_examples=150)
def test_a_damaged_file_is_a_program_or_an_error(tmp_path_factory, data):
    content = bytearray(json.dumps(data_for()).encode())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "damaged.json"
    path.write_bytes(content[: data.draw(st.sampled_from([len(content), len(content) // 2]))])
    try:
        found = read_replay(path)
    except UsageError:
        return
    assert repr(from_json(to_json(found.program))) == repr(found.program)
