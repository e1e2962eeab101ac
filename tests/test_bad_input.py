"""Bad input ends in one clear sentence on stderr and exit code 2, and loses nothing that was done."""

import io
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from importlib import resources
from pathlib import Path
from types import SimpleNamespace
from typing import get_args

import jsonschema
import pytest

from verify import Subject, load
from verify.certificate import write_json, write_text
from verify.checks import IDS
from verify.cli import main
from verify.errors import UsageError
from verify.program import (
    COPIES,
    INTO,
    LAYOUTS,
    SPARSE,
    WAYS,
    AddGroup,
    Copy,
    Edit,
    Filling,
    Freeze,
    LoadFrom,
    Minimise,
    Operation,
    Parameter,
    Program,
    Reload,
    Repeat,
    Schedule,
    SetCount,
    Step,
    ZeroGrad,
)
from verify.program_json import to_json
from verify.worker import Worker, _answer

ROOT = Path(__file__).parent.parent
FILES = {
    "mine.py": """
        import torch

        class Mine(torch.optim.Optimizer):
            def __init__(self, params, lr=1e-3):
                super().__init__(params, dict(lr=lr))

            @torch.no_grad()
            def step(self, closure=None):
                for group in self.param_groups:
                    for p in group["params"]:
                        if p.grad is not None:
                            p.sub_(group["lr"] * p.grad)

        class Outer:
            Inner = Mine

            def __getattr__(self, name):
                raise RuntimeError("no such thing")

        class NoStep:
            def __init__(self, params, lr=1e-3):
                pass

        class Needs(Mine):
            def __init__(self, params, lr, depth):
                super().__init__(params, lr)

        class Odd(Mine):
            def __init__(self, params, speed, scale=1.0):
                super().__init__(params, speed)

        class Refuses(Mine):
            def __init__(self, params, lr=1e-3):
                raise RuntimeError("no\\nway")

        class Exits(Mine):
            def __init__(self, params, lr=1e-3):
                raise SystemExit("bye")

        number = 7
        outer = Outer()

        def identity(params):
            return params

        def nothing():
            return None

        def seven(params, lr=1e-3):
            return 7
        """,
    "raises.py": "raise RuntimeError('at import')",
    "exits.py": "import sys; sys.exit(3)",
    "interrupts.py": "raise KeyboardInterrupt",
    "needy.py": "import no_such_module",
    "broken.py": "x = 1\ndef f(:\n",
    "latin.py": b"x = '\xe9'\n",
    "nulls.py": b"x = 1\x00\n",
    "rules.py": """
        from reference import Hyperparameter, UpdateRule

        def undefined(v, options):
            v.let("p", v.p - v.rate * v.g)

        def unassigned(v, options):
            v.let("q", v.p - v.lr * v.g)

        LR = (Hyperparameter("lr", 1e-3),)
        UNDEFINED = UpdateRule("undefined", "title", "source", undefined, LR)
        UNASSIGNED = UpdateRule("unassigned", "title", "source", unassigned, LR)
        RATE = 5
        """,
}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The current folder holds FILES; modules and path are put back."""
    import textwrap

    for name, text in FILES.items():
        content = text if isinstance(text, bytes) else textwrap.dedent(text).encode()
        (tmp_path / name).write_bytes(content)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if name.startswith("optim_verify_subject_") or f"{name}.py" in FILES:
            del sys.modules[name]


def refused(arguments: list[str], capsys) -> str:
    """The sentence with which a command is refused."""
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("optim-verify: ")
    assert err.count("\n") == 1
    return err.removeprefix("optim-verify: ").rstrip("\n")


def unusable(subject: Subject) -> str:
    with pytest.raises(UsageError) as caught:
        load(subject)
    return str(caught.value)


# -- the command line -------------------------------------------------------------------------

SGD = "certify torch.optim.SGD "


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        ("crtify", "there is no command 'crtify'; did you mean 'certify'?"),
        ("x", "there is no command 'x'; commands are certify, gate, merge, expect, identify, equal, rules, checks, explain, replay, report, seeds, survey"),
        ("certify", "the following arguments are required: TARGET; see optim-verify certify --help"),
        (SGD + "--jason x", "there is no option '--jason'; did you mean '--json'?"),
        (SGD + "extra", "there is no option 'extra'; see optim-verify --help"),
        (SGD + "--json", "--json expected one argument"),
        (SGD + "--dtype float31", "no dtype is called 'float31'; did you mean 'float32'?"),
        (SGD + "--dtype int", "no dtype is called 'int'; known are float64, float32, complex64, complex128, "
                              "bfloat16, float16"),
        (SGD + "--device cudo", "no device is called 'cudo'; did you mean 'cuda'?"),
        (SGD + "--device cuda:x", "no device is called 'cuda:x'; write cuda, or cuda:0 for the first one"),
        (SGD + "--impl forloop", "no implementation is called 'forloop'; did you mean 'for-loop'?"),
        (SGD + "--budget quik", "no budget is called 'quik'; did you mean 'quick'?"),
        (SGD + "--only rul.step", "no check is called 'rul.step'; did you mean 'rule.step'?"),
        (SGD + "--only zzz*", f"no check is called 'zzz*'; the checks are {', '.join(IDS)}"),
        (SGD + "--skip rul.step", "no check is called 'rul.step'; did you mean 'rule.step'?"),
        (SGD + "--lacks clsure", "no capability is called 'clsure'; did you mean 'closure'?"),
        (SGD + "--expect rule.step", "--expect wants ID[dtype-device-implementation]=reason, not 'rule.step'"),
        (SGD + "--expect rule.step[*]", "--expect rule.step[*] needs a reason, as rule.step[*]='why that is accepted'"),
        (SGD + "--expect rule.stp[*]=x", "no check is called 'rule.stp'; did you mean 'rule.step'?"),
        (SGD + "--expect rule.step[*-cpuu-*]=x", "there is no cell '*-cpuu-*'; did you mean '*-cpu-*'?"),
        (SGD + "--expectations none.json", "cannot read 'none.json': No such file or directory"),
        (SGD + "--expectations mine.py", "'mine.py' is no file of expectations or is cut off: *"),
        (SGD + "--database mine.py", "--database 'mine.py' cannot be made: 'mine.py' is no folder"),
        ("expect", "the following arguments are required: update|prune; see optim-verify expect --help"),
        ("expect updat torch.optim.SGD", "expect can update or prune, not 'updat'"),
        ("expect update", "the following arguments are required: TARGET; see optim-verify expect update --help"),
        ("expect update x --resaon y", "there is no option '--resaon'; did you mean '--reason'?"),
        ("expect update torch.optim.SGD", "expect update needs a reason for what it stores; give it as --reason TEXT"),
        ("expect update torch.optim.SGD --reason x --expectations none",
         "expect needs a file to keep; give one with --expectations FILE"),
        ("expect update torch.optim.SGD --reason x --expectations .", "--expectations '.' is a folder; give a file"),
        ("expect prune torch.optim.SGD",
         "cannot read 'optim-verify-expectations.json': No such file or directory"),
        (SGD + "--jobs 0", "--jobs must be at least 1, not 0"),
        (SGD + "--jobs -1", "--jobs must be at least 1, not -1"),
        (SGD + "--jobs two", "--jobs wants a whole number, not 'two'"),
        (SGD + "--seed -1", "--seed must be at least 0, not -1"),
        (SGD + "--name lr", "--name wants HYPERPARAMETER=ARGUMENT, not 'lr'"),
        (SGD + "--name =lr", "--name wants HYPERPARAMETER=ARGUMENT, not '=lr'"),
        (SGD + "--name lr=a --name lr=b", "--name gives 'lr' twice, as 'a' and as 'b'"),
        (SGD + "--arg momentum", "--arg wants ARGUMENT=VALUE, not 'momentum'"),
        (SGD + "--state step", "--state wants VARIABLE=KEY, not 'step'"),
        (SGD + "--rule=", "--rule wants the name of a rule (see: optim-verify rules), or path/to/rule.py:NAME"),
        (SGD + "--json .", "--json '.' is a folder; give a file"),
        (SGD + "--json mine.py/x.json", "--json 'mine.py/x.json' cannot be made: 'mine.py' is no folder"),
        (SGD + "--json /proc/x.json", "cannot write '/proc/x.json': No such file or directory; choose another place"),
        (SGD + f"--json {'x' * 300}", f"cannot write '{'x' * 300}': File name too long; choose another place"),
        (SGD + "--reports mine.py", "--reports 'mine.py/torch.optim.SGD' cannot be made: 'mine.py' is no folder"),
        ("survey --json .", "--json '.' is a folder; give a file"),
        ("survey --dtype float31", "no dtype is called 'float31'; did you mean 'float32'?"),
        ("explain adm", "no rule is called 'adm'; did you mean 'adam'? (known: *)"),
        ("explain rule.stp", "no rule is called 'rule.stp' (known: *); did you mean 'rule.step'?"),
        ("explain none.py:X", "there is no rule file 'none.py'"),
        ("replay", "the following arguments are required: FILE; see optim-verify replay --help"),
    ],
)  # fmt: skip
def test_command_line(command, sentence, capsys):
    mark = "*)" if "(known: *" in sentence else "*" if sentence.endswith(": *") else "\0"
    before, star, after = sentence.partition(mark)
    found = refused(command.split(), capsys)
    assert (found.startswith(before) and found.endswith(after)) if star else found == sentence
    assert not Path("reports").exists()


def test_a_word_of_argparse_in_an_argument(capsys):
    # no message may be taken for another one
    assert refused(["replay", "invalid choice: x"], capsys).startswith("cannot read 'invalid choice: x'")


def test_no_command_shows_the_help(capsys):
    assert main([]) == 2
    assert capsys.readouterr().out.startswith("usage: optim-verify")


# -- the subject ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "sentence"),
    [
        ("nowhere.Adam", "there is no module 'nowhere' to take 'Adam' from; is it installed, and is the folder "
                         "that holds it the current one?"),
        ("torch.optmi.Adam", "there is no module 'torch.optmi' to take 'Adam' from; did you mean 'torch.optim'?"),
        ("minee.Mine", "there is no module 'minee' to take 'Mine' from; did you mean 'mine'?"),
        ("mine.Outer.Inner", "there is no module 'mine.Outer' to take 'Inner' from; 'Outer' is no module, so write "
                             "mine:Outer.Inner"),
        ("torch.optim.Adm", "module 'torch.optim' has no 'Adm'; did you mean 'Adam'?"),
        ("mine.py:Mien", "'mine.py' has no 'Mien'; did you mean 'Mine'?"),
        ("mime.py:Mine", "there is no file 'mime.py'; did you mean 'mine'?"),
        ("mine.py", "say which class of 'mine.py' is meant, as mine.py:ClassName"),
        ("mine.py:", "'mine.py:' is no target; write module.Class, module:attribute or path/to/file.py:Class"),
        ("Mine", "'Mine' is no target; write module.Class, module:attribute or path/to/file.py:Class"),
        ("", "'' is no target; write module.Class, module:attribute or path/to/file.py:Class"),
        ("a b.C", "'a b.C' is no target; write module.Class, module:attribute or path/to/file.py:Class"),
        (f"{'x' * 300}.py:X", f"cannot read '{'x' * 300}.py': File name too long"),
        ("mine:outer.x", "taking 'x' from module 'mine' failed with RuntimeError: no such thing"),
        ("raises.py:X", "importing 'raises.py' failed with RuntimeError: at import"),
        ("raises.X", "importing 'raises' failed with RuntimeError: at import"),
        ("exits.py:X", "importing 'exits.py' failed with SystemExit: 3"),
        ("exits.X", "importing 'exits' failed with SystemExit: 3"),
        ("needy.X", "importing 'needy' failed with ModuleNotFoundError: No module named 'no_such_module'"),
        ("broken.py:f", "importing 'broken.py' failed: invalid Python in line 2 of '*/broken.py': invalid syntax"),
        ("broken.f", "importing 'broken' failed: invalid Python in line 2 of '*/broken.py': invalid syntax"),
        ("latin.py:x", "importing 'latin.py' failed: invalid Python*"),
        ("nulls.py:x", "importing 'nulls.py' failed*null bytes"),
        ("mine:number", "'mine:number' is int, not a class or a function that builds an optimizer"),
        ("mine.NoStep", "mine.NoStep is a class without step(): no optimizer"),
        ("mine.nothing", "mine.nothing takes no parameters to optimize: no optimizer"),
        ("mine.identity", "mine.identity takes nothing but 'params'; it must build an optimizer from parameters and "
                          "'lr', which rule 'gradient_descent' needs"),
        ("mine.Needs", "mine.Needs needs the argument 'depth', which rule 'gradient_descent' does not know; give it as "
                       "--arg depth=VALUE, or name the hyperparameter that it is with --name"),
        ("mine.Odd", "rule 'gradient_descent' needs 'lr' (usually the argument 'lr'), and mine.Odd takes speed, scale; "
                     "say which one it is with --name lr=ARGUMENT"),
    ],
)  # fmt: skip
def test_a_target_that_is_no_optimizer(target, sentence):
    found = unusable(Subject(target, "gradient_descent"))
    before, star, after = sentence.partition("*")
    assert (found.startswith(before) and found.endswith(after)) if star else found == sentence


@pytest.mark.parametrize(
    ("choices", "sentence"),
    [
        ({"names": {"rate": "lr"}}, "rule 'adam' has no hyperparameter or option 'rate'; it has amsgrad, beta1, beta2, "
                                    "decoupled_weight_decay, eps, lr, maximize, weight_decay"),
        ({"names": {"beta_1": "b"}}, "rule 'adam' has no hyperparameter or option 'beta_1'; did you mean 'beta1'?"),
        ({"names": {"lr": "lrr"}}, "torch.optim.Adam takes no argument 'lrr'; did you mean 'lr'?"),
        ({"names": {"lr": ""}}, "'' is no argument; write a name such as lr, or betas[0]"),
        ({"names": {"lr": "1r"}}, "'1r' is no argument; write a name such as lr, or betas[0]"),
        ({"names": {"beta1": "betas[999999999]"}}, "'betas[999999999]' is no argument; write a name such as lr, or "
                                                   "betas[0]"),
        ({"names": {"beta1": "lr"}}, "'beta1' and 'lr' cannot both be the argument 'lr'"),
        ({"names": {"beta1": "betas"}}, "'beta1' and 'beta2' cannot both be the argument 'betas'"),
        ({"names": {"lr": "lr"}, "arguments": {"lr": 1.0}}, "the argument 'lr' is named as 'lr' and given a value too; "
                                                            "do one of the two"),
        ({"arguments": {"amsgard": True}}, "torch.optim.Adam takes no argument 'amsgard'; did you mean 'amsgrad'?"),
        ({"arguments": {"lr": "fast"}}, "rule 'adam' needs a number for 'lr', and --arg lr='fast' holds none; leave it "
                                        "out, or give one for 'lr'"),
        ({"arguments": {"betas": 5}}, "rule 'adam' needs a number for 'beta1', and --arg betas=5 holds none; leave it "
                                      "out, or give one for 'betas[0]'"),
        ({"arguments": {"betas": (0.9,)}}, "rule 'adam' needs a number for 'beta2', and --arg betas=(0.9,) holds none; "
                                           "leave it out, or give one for 'betas[1]'"),
        ({"state_keys": {"exp_av": "m"}}, "rule 'adam' has no state variable 'exp_av'; did you mean 'exp_avg'?"),
        ({"state_keys": {"zzz": "m"}}, "rule 'adam' has no state variable 'zzz'; it has exp_avg, exp_avg_sq, "
                                       "max_exp_avg_sq, step"),
    ],
)  # fmt: skip
def test_a_wrong_option_of_the_subject(choices, sentence):
    assert unusable(Subject("torch.optim.Adam", "adam", **choices)) == sentence


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        ("gradient_desc", "no rule is called 'gradient_desc'; did you mean 'gradient_descent'? (known: gradient_desc*"),
        ("none.py:X", "there is no rule file 'none.py'"),
        ("rules.py", "say which rule of 'rules.py' is meant: rules.py:NAME"),
        ("broken.py:X", "rule file 'broken.py' has a syntax error in line 2: invalid syntax"),
        ("nulls.py:X", "rule file 'nulls.py' *null bytes*"),
        ("raises.py:X", "rule file 'raises.py' failed in line 1: RuntimeError: at import"),
        ("exits.py:X", "rule file 'exits.py' failed in line 1: SystemExit: 3"),
        ("rules.py:UNDEFINDE", "rule file 'rules.py' has no 'UNDEFINDE'; did you mean 'UNDEFINED'?*"),
        ("rules.py:RATE", "'RATE' in rule file 'rules.py' is of type int, not UpdateRule"),
        (
            "rules.py:UNDEFINED",
            "*rule 'undefined' has no symbol 'rate'; it knows columns, g, lr, machine_epsilon, p, rows, t*",
        ),
        ("rules.py:UNASSIGNED", "*rule 'unassigned' never assigns 'p'; add v.let('p', ...)*"),
    ],
)
def test_a_rule_that_is_none(rule, sentence):
    found = unusable(Subject("mine.Mine", rule))
    parts = sentence.split("*")
    assert found.startswith(parts[0])
    assert found.endswith(parts[-1])
    assert all(part in found for part in parts)
    assert "\n" not in found


def test_a_rule_is_needed():
    assert unusable(Subject("mine.Mine")).startswith(
        "which rule does mine.Mine claim? pass --rule NAME, one of gradient_descent, "
    )


@pytest.mark.parametrize(
    ("target", "sentence"),
    [
        ("mine.Refuses", "building mine.Refuses for a parameter of two elements with lr=0.001 failed with RuntimeError: "
                         "no way; if it needs further arguments, give them as --arg NAME=VALUE"),
        ("mine.Exits", "building mine.Exits for a parameter of two elements with lr=0.001 failed with SystemExit: bye; "
                       "if it needs further arguments, give them as --arg NAME=VALUE"),
        ("mine.seven", "mine.seven built int, which has no step(): no optimizer"),
        ("interrupts.X", "importing the subject failed with KeyboardInterrupt"),
    ],
)  # fmt: skip
def test_a_subject_that_cannot_be_built(target, sentence):
    sent = []
    settings = {"subject": Subject(target, "gradient_descent"), "budget": "quick", "seed": 0, "memory": 1 << 46}
    _answer(SimpleNamespace(send=sent.append), SimpleNamespace(value=0.0), settings)
    assert sent[-1] == ("unusable", sentence)


def test_a_subject_by_the_whole_way(capsys):
    assert refused(["certify", "torch.optim.Adm", "--jobs", "1"], capsys) == (
        "module 'torch.optim' has no 'Adm'; did you mean 'Adam'?"
    )
    assert multiprocessing.active_children() == []


# -- what was done is kept --------------------------------------------------------------------


def schema() -> dict:
    return json.loads(resources.files("verify").joinpath("certificate.schema.json").read_text(encoding="utf-8"))


def valid(path: Path) -> dict:
    """A certificate, checked against the schema."""
    data = json.loads(path.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(schema()).validate(data)
    assert data["counts"]["planned"] == len(data["cells"]) == sum(data["counts"].values()) / 2
    return data


class Canned:
    """Stands for the pool of workers: gives one result, then raises or returns what it is told to."""

    then: object = None

    def __init__(self, settings, jobs, limits):
        self.settings = settings

    def start(self):
        worker = Worker(SimpleNamespace(value=0.0), {**self.settings, "memory": 1 << 46})
        return worker.description()

    def run(self, cells):
        yield 0, {"status": "passed", "findings": []}
        if isinstance(self.then, BaseException):
            raise self.then
        for index in range(1, len(cells)):
            yield index, self.then

    def stop(self):
        pass


MINE = ["certify", "mine.py:Mine", "--rule", "gradient_descent", "--only", "rule.step", "--dtype", "float32"]
TWO = [*MINE, "--dtype", "float64", "--budget", "quick"]


@pytest.mark.parametrize("option", [[], ["--json", "out/c.json"]])
def test_interrupted(option, monkeypatch, capsys):
    monkeypatch.setattr(Canned, "then", KeyboardInterrupt())
    monkeypatch.setattr("verify.certification.Pool", Canned)
    assert main([*TWO, *option]) == 130
    path = option[-1] if option else "reports/mine.py-Mine/certificate.json"
    out, err = capsys.readouterr()
    assert err.splitlines()[-1] == f"interrupted: what was done so far is saved in {path}"
    assert "INCOMPLETE" in out
    data = valid(Path(path))
    assert (data["verdict"], data["interrupted"]) == ("incomplete", True)
    assert [(c["status"], c["reason"]) for c in data["cells"]] == [("passed", ""), ("not-run", "interrupted")]


def test_interrupted_before_anything_was_done(monkeypatch, capsys):
    def start(self):
        raise KeyboardInterrupt

    monkeypatch.setattr(Canned, "start", start)
    monkeypatch.setattr("verify.certification.Pool", Canned)
    assert main([*TWO, "--json", "c.json"]) == 130
    assert capsys.readouterr() == ("", "interrupted before the first cell: there is nothing to save\n")
    assert not Path("c.json").exists()


def test_a_fault_of_ours_keeps_the_rest(monkeypatch, capsys):
    fault = {"status": "not-run", "reason": "a fault of ours: KeyError: 1", "findings": [], "fault": "the traceback"}
    monkeypatch.setattr(Canned, "then", fault)
    monkeypatch.setattr("verify.certification.Pool", Canned)
    assert main([*TWO, "--json", "c.json"]) == 4
    out, err = capsys.readouterr()
    assert "the traceback" in err
    assert err.splitlines()[-1].endswith("this is a fault of ours; please report it with the lines above")
    assert "not-run     1 cells: a fault of ours: KeyError: 1" in out
    assert valid(Path("c.json"))["counts"]["passed"] == 1


def test_a_report_is_told_also_when_it_cannot_be_written(monkeypatch, capsys):
    def write(path, data):
        raise UsageError("cannot write it")

    monkeypatch.setattr(Canned, "then", {"status": "passed", "findings": []})
    monkeypatch.setattr("verify.certification.Pool", Canned)
    monkeypatch.setattr("verify.certificate.write_json", write)
    assert main([*TWO, "--json", "c.json"]) == 2
    out, err = capsys.readouterr()
    assert "CERTIFIED" in out
    assert err.splitlines()[-1] == "optim-verify: cannot write it"


def test_ctrl_c_in_the_middle(tmp_path):
    target = f"{ROOT / 'tests' / 'hostile.py'}:HangsInFloat64"
    command = [*MINE, "--dtype", "float64", "--impl", "for-loop", "--jobs", "1", "--json", "c.json"]
    command[1] = target
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HOSTILE_PIDS": str(tmp_path / "pids")}
    run = subprocess.Popen(
        [sys.executable, "-m", "verify.cli", *command, "--budget", "thorough"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True,
    )  # fmt: skip
    while "1/2 cells" not in (line := run.stderr.readline()):
        assert line, "it ended"
    time.sleep(0.2)
    os.killpg(run.pid, signal.SIGINT)  # as a terminal does
    out, err = run.communicate(timeout=180)
    assert run.returncode == 130
    assert err == "interrupted: what was done so far is saved in c.json\n"
    assert "1 passed, 1 not-run" in out
    assert valid(Path("c.json"))["interrupted"]
    (worker,) = (tmp_path / "pids").read_text().split()
    with pytest.raises(ProcessLookupError):
        os.kill(int(worker), 0)


def test_a_device_that_is_absent_leaves_its_cells_not_run(capsys):
    import torch

    absent = "cuda:999" if torch.cuda.is_available() else "cuda"
    arguments = ["--device", "cpu", "--device", absent, "--impl", "for-loop", "--impl", "foreach"]
    assert main([*MINE, *arguments, "--budget", "quick", "--jobs", "1", "--json", "c.json"]) == 3
    data = valid(Path("c.json"))
    assert data["verdict"] == "incomplete"
    assert [(c["device"], c["implementation"], c["status"], c["reason"]) for c in data["cells"]] == [
        ("cpu", "for-loop", "passed", ""),
        ("cpu", "foreach", "not-applicable", "the constructor has no argument 'foreach'"),
        (absent, "for-loop", "not-run", f"there is no {absent} device here"),
        (absent, "foreach", "not-applicable", "the constructor has no argument 'foreach'"),
    ]
    out, err = capsys.readouterr()
    assert f"not-run     1 cells: there is no {absent} device here" in out
    assert err.splitlines()[-1] == "4/4 cells"


# -- files and terminals ----------------------------------------------------------------------


def test_a_file_is_written_whole_or_not_at_all(monkeypatch, tmp_path):
    def interrupted(*paths):
        raise KeyboardInterrupt

    path = tmp_path / "new" / "c.json"
    write_json(path, {"a": float("inf")})
    assert json.loads(path.read_text()) == {"a": "inf"}
    monkeypatch.setattr("os.replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_json(path, {"b": 1})
    assert json.loads(path.read_text()) == {"a": "inf"}
    assert [p.name for p in path.parent.iterdir()] == ["c.json"]


def test_a_link_stays_a_link(tmp_path):
    link, file = tmp_path / "link", tmp_path / "file"
    link.symlink_to(file)
    write_text(link, "text \ud800")
    assert link.is_symlink()
    assert file.read_text() == "text \\ud800"


def test_a_terminal_that_knows_ascii_alone(monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    assert main(["explain", "heavy_ball"]) == 0
    stream.seek(0)
    assert "\\u2713" in stream.read()


def test_a_reader_that_has_gone():
    run = subprocess.Popen(
        [sys.executable, "-m", "verify.cli", "checks"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT
    )
    run.stdout.close()
    assert run.wait() == 128 + signal.SIGPIPE
    assert run.stderr.read() == b""
    run.stderr.close()


def test_the_schema_is_a_schema():
    jsonschema.Draft202012Validator.check_schema(schema())


OPERATIONS = (
    Step((Filling(1), None, Filling(values=(0.5, float("inf")), expanded=True)), closure=True),
    Repeat(),
    ZeroGrad(set_to_none=False),
    Edit(0, "lr", 0.1, tensor=True),
    Schedule(0.5),
    AddGroup(1),
    Freeze(0, frozen=False),
    *(Reload(how, into, "lr") for how in WAYS for into in INTO),
    *(Copy(how) for how in COPIES),
    LoadFrom("float64"),
    SetCount(254),
    Minimise("quadratic", (1.0, 0.5), unused=1),
)


def test_the_schema_knows_every_program():
    forms = (*(Filling(2, sparse=form) for form in SPARSE), Filling(3, spectrum=True))
    parameters = tuple(Parameter((2, 3), 0, layout=layout) for layout in LAYOUTS)
    data = to_json(
        Program(parameters=parameters, operations=(*OPERATIONS, Step(forms)), beside=True, reuse_gradients=True)
    )
    part = {**schema(), "$ref": "#/$defs/program"}
    for key in ("properties", "required", "additionalProperties", "type"):
        del part[key]
    jsonschema.Draft202012Validator(part).validate(data)
    assert {type(op) for op in OPERATIONS} == set(get_args(Operation))
    data["operations"].append({"do": "dance"})
    assert not jsonschema.Draft202012Validator(part).is_valid(data)
