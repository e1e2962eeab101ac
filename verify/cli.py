"""The command line.

Exit codes: 0 certified, 1 not certified, 2 the command or the subject cannot be used, 3 incomplete,
4 a fault of ours, 130 interrupted.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import io
import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from verify import __version__
from verify.errors import UsageError

EXIT = {"certified": 0, "not certified": 1, "incomplete": 3}
REPORTS = {
    "html": "one HTML file to read, which needs no network",
    "junit": "JUnit XML, one test case for each cell",
    "sarif": "SARIF, each finding at the line of step",
    "markdown": "Markdown, for a comment or a job's summary",
    "badge": "endpoint file of a badge",
}
OUR_FAULT = "optim-verify: this is a fault of ours; please report it with the lines above"
COMMANDS = (
    "certify",
    "gate",
    "merge",
    "expect",
    "identify",
    "equal",
    "rules",
    "checks",
    "explain",
    "replay",
    "report",
    "seeds",
    "survey",
)


class _Parser(argparse.ArgumentParser):
    """One clear sentence for a wrong command, and exit 2."""

    def error(self, message: str):  # type: ignore[override]
        raise UsageError(_friendly(message, self.prog))


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    top = _Parser(
        prog="optim-verify",
        description="Is this optimizer right? Certify a PyTorch optimizer against the equations it claims.",
        epilog="exit codes: 0 certified, 1 not certified, 2 unusable command or subject, 3 incomplete, 4 our fault",
    )
    top.add_argument("--version", action="version", version=f"optim-verify {__version__}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", parser_class=_Parser)

    certify = commands.add_parser("certify", help="certify an optimizer", description="Certify an optimizer.")
    _certify_options(certify)

    gate = commands.add_parser(
        "gate",
        help="for CI: certify all that pyproject.toml lists and compare with the baseline",
        description="Certify every subject of [tool.optim-verify] in pyproject.toml and compare with the committed "
        "baseline. Exit 1 when something got worse, 3 when something required did not run.",
    )
    _gate_options(gate)
    gate.add_argument("--resume", action="store_true", help="go on where an earlier run was cut off")
    gate.add_argument(
        "--shard", metavar="I/N", default="1/1", help="run one part of all cells; optim-verify merge joins them"
    )
    gate.add_argument("--results", metavar="FILE", type=Path, help="write the results here (default: in --reports)")
    gate.add_argument(
        "--jobs", type=_at_least(1), default=0, metavar="N", help="worker processes (default: one per core)"
    )
    merge = commands.add_parser(
        "merge",
        help="join the results of a gate's shards and compare them with the baseline",
        description="Join the results of all shards of a gate and compare them with the baseline.",
    )
    merge.add_argument("files", metavar="RESULTS", type=Path, nargs="+")
    _gate_options(merge)

    expect = commands.add_parser(
        "expect",
        help="keep a file of expected failures",
        description="Keep a file of expected failures, each with a reason and the program that shows it.",
    )
    actions = expect.add_subparsers(dest="action", metavar="update|prune", parser_class=_Parser, required=True)
    update = actions.add_parser(
        "update",
        help="store the failures that are there",
        description="Certify an optimizer and store every failure as an expected one.",
    )
    _certify_options(update)
    update.add_argument("--reason", default="", help="why the failures that are new in the file are accepted")
    update.add_argument("--issue", default="", help="number or address of a public report of them")
    prune = actions.add_parser(
        "prune",
        help="remove those that no longer fail",
        description="Certify an optimizer and remove the expected failures that are no longer there.",
    )
    _certify_options(prune)

    survey = commands.add_parser(
        "survey",
        help="certify every optimizer of torch.optim that has a rule; print the worst ratios",
        description="Certify every optimizer of torch.optim that has a rule and print the worst ratios.",
    )
    _plan_options(survey)
    survey.add_argument("--json", metavar="FILE", type=Path, help="write verdicts and worst ratios here")
    survey.add_argument("--reports", metavar="DIR", type=Path, default=Path("reports"), help="folder for findings")

    identify = commands.add_parser(
        "identify",
        help="say which known rule, or variant of one, an optimizer follows",
        description="Say from its steps alone which known rule, or variant of one, an optimizer follows. "
        "Exit 0 when one fits, 3 when none does.",
    )
    identify.add_argument("target", metavar="TARGET", help="module.Class, module:attribute or path/to/file.py:Class")
    _subject_options(identify)
    equal = commands.add_parser(
        "equal",
        help="prove that two rules give the same parameters, or show that they do not",
        description="Prove that two rules give the same parameters, or show a program after which they differ. "
        "Exit 0 proved, 1 refuted, 3 not decided.",
    )
    equal.add_argument("rule_a", metavar="RULE_A", help="a rule (see: optim-verify rules), or path/to/rule.py:NAME")
    equal.add_argument("rule_b", metavar="RULE_B")
    equal.add_argument(
        "--given",
        action="append",
        default=[],
        metavar="CONDITION",
        help="a condition, such as 'lr constant', 'eps = 0' or 'b.lr = 2 * a.lr'; may be repeated",
    )
    equal.add_argument(
        "--seconds", type=_at_least(1), default=20, metavar="N", help="how long it may take (default: 20)"
    )
    commands.add_parser(
        "seeds",
        help="walk a tutorial's training tables with the reference",
        description="Walk the training tables of a tutorial with the generated reference step, and print its figures "
        "beside the tutorial's. Exit 1 when one differs by more than what it pins.",
    )
    commands.add_parser("rules", help="list the rules", description="List the rules.")
    commands.add_parser("checks", help="list the checks", description="List the checks.")
    explain = commands.add_parser(
        "explain",
        help="explain a check, a code of audit and watch, a rule with its derivation, or the allowance",
        description="Explain a check, a code of audit and watch, a rule with its derivation, or the allowance.",
    )
    explain.add_argument(
        "topic", metavar="ID-OR-RULE", help="a check id, a code, a rule, path/to/rule.py:NAME, or 'allowance'"
    )
    explain.add_argument("--latex", action="store_true", help="equations as LaTeX")
    replay = commands.add_parser(
        "replay", help="run a finding again", description="Run a finding again; exit 1 while it fails."
    )
    replay.add_argument("file", metavar="FILE", type=Path)
    report = commands.add_parser(
        "report",
        help="write a certificate as HTML, JUnit XML, SARIF, Markdown or a badge",
        description="Write a certificate in other formats, or print it where none is asked for. "
        "A format without FILE goes beside the certificate.",
    )
    report.add_argument("certificate", metavar="CERT.json", type=Path, help="what certify --json has written")
    for name, what in REPORTS.items():
        report.add_argument(f"--{name}", metavar="FILE", nargs="?", type=Path, default=False, help=what)
    return top


def _gate_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--config", metavar="FILE", type=Path, default=Path("pyproject.toml"))
    command.add_argument("--update", action="store_true", help="write the baseline anew instead of comparing with it")
    command.add_argument(
        "--require",
        action="append",
        default=[],
        metavar="WHAT",
        help="a device such as cuda, or ID[CELL], that must have run (may be repeated)",
    )
    command.add_argument(
        "--reports", metavar="DIR", type=Path, default=Path("reports"), help="folder for findings (default: reports)"
    )


def _certify_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("target", metavar="TARGET", help="module.Class, module:attribute or path/to/file.py:Class")
    command.add_argument(
        "--rule",
        help="the rule it claims (see: optim-verify rules), path/to/rule.py:NAME, or none for its behaviour alone",
    )
    _subject_options(command)
    _plan_options(command)
    command.add_argument("--json", metavar="FILE", type=Path, help="write the certificate here")
    command.add_argument(
        "--reports", metavar="DIR", type=Path, default=Path("reports"), help="folder for findings (default: reports)"
    )


def _subject_options(command: argparse.ArgumentParser) -> None:
    group = command.add_argument_group("the subject")
    group.add_argument(
        "--name",
        action="append",
        default=[],
        metavar="HYPERPARAMETER=ARGUMENT",
        help="constructor argument of a hyperparameter, e.g. beta1=b1 or beta1=betas[0]",
    )
    group.add_argument(
        "--arg",
        action="append",
        default=[],
        metavar="ARGUMENT=VALUE",
        help="a further constructor argument (a Python literal)",
    )
    group.add_argument(
        "--state",
        action="append",
        default=[],
        metavar="VARIABLE=KEY",
        help="state key of a state variable, e.g. exp_avg=m; 'exp_avg=' means it cannot be seen",
    )
    group.add_argument(
        "--low-precision-state",
        action="append",
        default=[],
        metavar="VARIABLE",
        help="a state variable that is meant to be kept in a lower dtype",
    )
    group.add_argument(
        "--lacks",
        action="append",
        default=[],
        metavar="CAPABILITY",
        help="what it does not have, so that no check needs it: state_dict, add_param_group, closure, pickle, ...",
    )


def _plan_options(command: argparse.ArgumentParser) -> None:
    group = command.add_argument_group("what to run (may be repeated)")
    group.add_argument("--dtype", action="append", default=[], metavar="DTYPE")
    group.add_argument("--device", action="append", default=[], metavar="DEVICE", help="cpu (default), cuda, ...")
    group.add_argument(
        "--impl",
        action="append",
        default=[],
        metavar="IMPLEMENTATION",
        help="for-loop, foreach, fused, differentiable, capturable, compiled",
    )
    group.add_argument("--only", action="append", default=[], metavar="ID", help="a check id or a glob such as 'rule*'")
    group.add_argument(
        "--skip", action="append", default=[], metavar="ID", help="ids or globs; what is skipped is counted"
    )
    group.add_argument(
        "--expect",
        action="append",
        default=[],
        metavar="ID[CELL]=REASON",
        help="one failure that is expected, e.g. 'rule.layouts[*-cpu-fused]=pytorch#1'; a cell is "
        "dtype-device-implementation or a glob",
    )
    command.add_argument(
        "--expectations",
        metavar="FILE",
        type=Path,
        help="a file of expected failures (default: optim-verify-expectations.json, if it is there); none: expect "
        "nothing, not even what is shipped for torch.optim",
    )
    command.add_argument(
        "--database",
        metavar="PLACE",
        help="where failing programs are kept, to be tried first in the next run: a folder, module:NAME of a Hypothesis "
        "example database, or none (default: $OPTIM_VERIFY_DATABASE, or .optim-verify/examples)",
    )
    command.add_argument("--seed", type=_at_least(0), default=0)
    command.add_argument("--budget", default="standard", metavar="BUDGET", help="quick, standard or thorough")
    command.add_argument(
        "--jobs", type=_at_least(1), default=0, metavar="N", help="worker processes (default: one per core)"
    )


def _at_least(least: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"wants a whole number, not {text!r}") from None
        if number < least:
            raise argparse.ArgumentTypeError(f"must be at least {least}, not {number}")
        return number

    return read


def _pairs(items: list[str], option: str, form: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for item in items:
        name, equals, value = (part.strip() for part in item.partition("="))
        if not equals or not name:
            raise UsageError(f"{option} wants {form}, not {item!r}")
        if name in pairs:
            raise UsageError(f"{option} gives {name!r} twice, as {pairs[name]!r} and as {value!r}")
        pairs[name] = value
    return pairs


# "true" as a string would be taken for true, and "false" too
JSON_LITERALS = {"true": True, "false": False, "null": None}


def _literal(text: str) -> Any:
    """A Python literal, or one of JSON's; anything else is a string."""
    if text in JSON_LITERALS:
        return JSON_LITERALS[text]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return text


def _subject(options: argparse.Namespace):
    from verify.subject import Subject

    if options.rule == "":
        raise UsageError("--rule wants the name of a rule (see: optim-verify rules), or path/to/rule.py:NAME")
    return Subject(
        options.target,
        options.rule,
        arguments={k: _literal(v) for k, v in _pairs(options.arg, "--arg", "ARGUMENT=VALUE").items()},
        names=_pairs(options.name, "--name", "HYPERPARAMETER=ARGUMENT"),
        state_keys=_pairs(options.state, "--state", "VARIABLE=KEY"),
        low_precision_state=tuple(options.low_precision_state),
        lacks=tuple(options.lacks),
    )


def _plan(options: argparse.Namespace):
    from verify import memory
    from verify.certification import Plan

    return Plan(
        options.dtype,
        options.device or ["cpu"],
        options.impl,
        options.only,
        options.seed,
        options.budget,
        options.jobs,
        options.reports,
        options.skip,
        options.expect,
        options.expectations,
        memory.default() if options.database is None else options.database,
    )


def _certify(options: argparse.Namespace) -> int:
    from verify.certificate import check_writable, write_json
    from verify.certification import certify
    from verify.progress import Progress
    from verify.report.terminal import whole

    if options.json is not None:
        check_writable(options.json, "--json")
    subject = _subject(options)
    with Progress() as progress:
        certificate = certify(subject, _plan(options), progress.events)
    if certificate.interrupted and not certificate.cells:
        print("interrupted before the first cell: there is nothing to save", file=sys.stderr)
        return 130
    saved = options.json
    if certificate.interrupted and saved is None:
        saved = options.reports / subject.slug / "certificate.json"
    unwritten = None
    if saved is not None:
        try:
            write_json(saved, certificate.to_json())
        except UsageError as error:
            unwritten = error
    print("\n".join(whole(certificate)))
    if unwritten is not None:
        raise unwritten
    if saved is not None:
        print(f"  certificate {saved}")
    if certificate.interrupted:
        print(f"interrupted: what was done so far is saved in {saved}", file=sys.stderr)
        return 130
    if certificate.faults:
        print(certificate.faults[0] + OUR_FAULT, file=sys.stderr)
        return 4
    return EXIT[certificate.verdict]


def _gate(options: argparse.Namespace) -> int:
    from verify.gate.baseline import read_baseline
    from verify.gate.gate import certify_all, judge, update
    from verify.gate.required import Required
    from verify.gate.results import Shard
    from verify.gate.settings import read_settings
    from verify.progress import Progress

    settings, shard = read_settings(options.config), Shard.parse(options.shard)
    for text in options.require:
        Required.parse(text)
    if shard.count > 1 and options.update:
        raise UsageError("--update needs all cells; give it to optim-verify merge, with the results of all shards")
    if shard.count == 1 and not options.update:
        read_baseline(settings.baseline)  # not after an hour
    with Progress() as progress:
        results = certify_all(
            settings, progress.events, reports=options.reports, jobs=options.jobs, shard=shard, resume=options.resume
        )
    if any(c.interrupted for c in results.certificates):
        print("interrupted: optim-verify gate --resume goes on from here", file=sys.stderr)
        return 130
    if options.results is not None or shard.count > 1:
        place = options.results or options.reports / f"gate-{shard.number}-of-{shard.count}.json"
        results.write(place)
        print(f"results {place}")
    if shard.count > 1:
        return 0
    outcome = (
        update(settings, results.certificates)
        if options.update
        else judge(settings, results.certificates, options.require)
    )
    print("\n".join(outcome.lines))
    return outcome.code


def _merge(options: argparse.Namespace) -> int:
    from verify.certificate import write_json
    from verify.gate.gate import judge, update
    from verify.gate.results import merge, read_results
    from verify.gate.settings import read_settings

    settings = read_settings(options.config)
    certificates = merge([read_results(path) for path in options.files])
    for (subject, _), certificate in zip(settings.subjects, certificates, strict=False):
        write_json(options.reports / subject.slug / "certificate.json", certificate.to_json())
    outcome = update(settings, certificates) if options.update else judge(settings, certificates, options.require)
    print("\n".join(outcome.lines))
    return outcome.code


def _expect(options: argparse.Namespace) -> int:
    from verify.certificate import check_writable, write_json
    from verify.progress import Progress
    from verify.upkeep import prune, update

    if options.json is not None:
        check_writable(options.json, "--json")
    subject, plan = _subject(options), _plan(options)
    with Progress() as progress:
        if options.action == "update":
            certificate, lines = update(subject, plan, progress.events, options.reason, options.issue)
        else:
            certificate, lines = prune(subject, plan, progress.events)
    if options.json is not None:
        write_json(options.json, certificate.to_json())
    print("\n".join(lines))
    if certificate.interrupted:
        return 130
    if certificate.faults:
        print(certificate.faults[0] + OUR_FAULT, file=sys.stderr)
        return 4
    return EXIT[certificate.verdict]


def _survey(options: argparse.Namespace) -> int:
    from verify.certificate import check_writable
    from verify.survey import survey

    if options.json is not None:
        check_writable(options.json, "--json")
    return survey(_plan(options), options.json)


def _identify(options: argparse.Namespace) -> int:
    from verify.identify import SECONDS, identify
    from verify.replay import Ended, isolated

    options.rule = None
    try:
        found = isolated(identify, _subject(options), SECONDS)
    except Ended as reason:
        raise UsageError(f"{options.target} cannot be identified: {reason}") from None
    print("\n".join(found.lines()))
    return 0 if found.matches else 3


def _equal(options: argparse.Namespace) -> int:
    from reference import RuleError
    from reference.equivalence import equal, find_rule, lines

    try:
        verdict = equal(find_rule(options.rule_a), find_rule(options.rule_b), options.given, float(options.seconds))
    except RuleError as error:
        raise UsageError(str(error)) from None
    print("\n".join(lines(verdict)))
    return {"proved": 0, "refuted": 1}.get(verdict.status, 3)


def _seeds(options: argparse.Namespace) -> int:
    import torch

    from verify.seeds.tables import tables

    torch.set_num_threads(1)  # the order of a sum depends on their number
    found = []
    for table in tables():
        print(
            f"{table.title}{f' ({table.note})' if table.note else ''}\n  {'':<16}{'the tutorial':>22}{'the reference':>24}"
        )
        for row in table.rows:
            print(f"{' ' if row.agrees else '✗'} {row.name:<16}{row.printed:>22.15g}{row.computed:>24.15g}")
        print(flush=True)
        found.append(table.agrees)
    print(f"{sum(found)} of {len(found)} tables agree, in all digits that they pin")
    return 0 if all(found) else 1


def _rules(options: argparse.Namespace) -> int:
    from reference import RULES
    from reference.quasi_newton import QUASI_NEWTON

    for rule in (*RULES.values(), *QUASI_NEWTON.values()):
        print(f"{rule.name:<18} {rule.title}\n{'':<18} {rule.source}")
        if rule.torch:
            print(f"{'':<18} claimed by {', '.join(rule.torch)}")
    return 0


def _checks(options: argparse.Namespace) -> int:
    from verify.checks import all_checks

    for check in all_checks().values():
        print(f"{check.id:<24} {check.claim}\n{'':<24} on {', '.join(check.dtypes)}")
    return 0


def _explain(options: argparse.Namespace) -> int:
    from verify.explain import explain

    print(explain(options.topic, latex=options.latex))
    return 0


def _report(options: argparse.Namespace) -> int:
    from verify.report.files import write_reports
    from verify.report.reading import read_certificate
    from verify.report.terminal import whole

    wanted = {name: getattr(options, name) for name in REPORTS if getattr(options, name) is not False}
    if not wanted:
        print("\n".join(whole(read_certificate(options.certificate))))
    for path in write_reports(options.certificate, wanted) if wanted else ():
        print(path)
    return 0


def _replay(options: argparse.Namespace) -> int:
    from verify.replay import read_replay, replay_isolated

    found = read_replay(options.file)
    fails, text = replay_isolated(found)
    print(f"{found.check} on {found.program.dtype}, {found.program.implementation}: {found.subject.title}")
    print("\n".join(f"  {line}" for line in text.splitlines()))
    print("STILL FAILS" if fails else "PASSES NOW")
    return int(fails)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal may know no ✓
    try:
        options = parser().parse_args(arguments)
        if options.command is None:
            parser().print_help()
            return 2
        code = globals()[f"_{options.command}"](options)
        sys.stdout.flush()
        return code
    except UsageError as error:
        print(f"optim-verify: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # whoever read our output has gone; Python must not find that out once more when it ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + 13
    except Exception:
        import traceback

        traceback.print_exc()
        print(OUR_FAULT, file=sys.stderr)
        return 4


def _friendly(message: str, program: str) -> str:
    """argparse's message for a wrong command line, with a near match."""
    if message.startswith("argument COMMAND: invalid choice: "):
        word = message.split("invalid choice: ")[1].split("'")[1]
        near = difflib.get_close_matches(word, COMMANDS, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"commands are {', '.join(COMMANDS)}"
        return f"there is no command {word!r}; {hint}"
    if message.startswith("argument update|prune: invalid choice: "):
        return f"expect can update or prune, not {message.split('invalid choice: ')[1].split(' (')[0]}"
    if message.startswith("unrecognized arguments: "):
        word = message.split(": ", 1)[1].split()[0].split("=")[0]
        near = difflib.get_close_matches(word, _option_strings(), 1)
        hint = f"did you mean {near[0]!r}?" if near else f"see {program} --help"
        return f"there is no option {word!r}; {hint}"
    if message.startswith("argument "):
        return message.removeprefix("argument ").replace(": ", " ", 1)
    return f"{message}; see {program} --help"


def _option_strings() -> list[str]:
    """The options of all commands."""
    return sorted(_options_of(parser()))


def _options_of(command: argparse.ArgumentParser) -> set[str]:
    found = set(command._option_string_actions)
    for action in command._actions:
        if isinstance(action, argparse._SubParsersAction):
            found |= {option for choice in action.choices.values() for option in _options_of(choice)}
    return found


if __name__ == "__main__":
    sys.exit(main())
