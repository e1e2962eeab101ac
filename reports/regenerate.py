"""Make every published figure again: certificates of torch.optim, worst ratios, the README's runs.

    make figures

Certificates, each with a page to read, and finding files go to reports/torch/, the page that lists them to
reports/index.html, the worst ratios to verify/worst_ratios.json. Each block of the README that follows a comment
``<!-- run: COMMAND -->`` is replaced by what the command prints now, and its table of rules by those that there are.
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from reference import RULES  # noqa: E402
from reference.quasi_newton import QUASI_NEWTON  # noqa: E402
from verify import Plan, Subject, certify  # noqa: E402
from verify.certificate import write_json, write_text  # noqa: E402
from verify.report.files import write_reports  # noqa: E402
from verify.report.html import index  # noqa: E402
from verify.survey import row_for  # noqa: E402

BLOCK = re.compile(r"(<!-- run: (?P<command>[^\n]+) -->\n```console\n)(?P<output>.*?)(^```$)", re.DOTALL | re.MULTILINE)
RULES_TABLE = re.compile(r"(<!-- rules -->\n\n).*?(\n\n</details>)", re.DOTALL)


def certificates() -> None:
    """Certify every torch optimizer that has a rule and write what was found."""
    rows, listed = [], []
    environment = {}
    for name in [name for rule in (RULES | QUASI_NEWTON).values() for name in rule.torch]:
        print(name, flush=True)
        certificate = certify(Subject(name), Plan(reports=Path("reports/torch")))
        environment = certificate.environment
        rows.append(row_for(certificate))
        written = Path("reports/torch") / f"{name}.json"
        write_json(written, certificate.to_json())
        write_reports(written, {"html": None})
        listed.append((certificate, f"torch/{name}.html", {"JSON": f"torch/{name}.json"}))
    write_text(Path("reports/index.html"), index(f"Certificates of torch.optim, torch {environment['torch']}", listed))
    write_json(
        Path("verify/worst_ratios.json"),
        {"torch": environment["torch"], "budget": "standard", "seeds": "0", "rows": rows},
    )
    lines = [
        "# Certificates of torch.optim",
        "",
        f"torch {environment['torch']} on {environment['cpu']}, budget standard, seed 0; `make figures` makes them again.",
        "[index.html](index.html) lists them to read in a browser. "
        "What the findings mean is told in the [README](../README.md#what-it-finds-in-torch).",
        "",
        "| subject | verdict | findings | worst ratio | where |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        link = f"[{row['subject']}](torch/{row['subject']}.html)"
        lines.append(
            f"| {link} | {row['verdict']} | {row['findings']} | {row['worst_ratio']:.2f} | {row['quantity']}, {row['where']} |"
        )
    write_text(Path("reports/README.md"), "\n".join(lines) + "\n")


def rules_table() -> str:
    """The table of rules that the README shows."""
    lines = ["| rule | what it is | torch | source |", "|---|---|---|---|"]
    for rule in (RULES | QUASI_NEWTON).values():
        classes = ", ".join(f"`{name.removeprefix('torch.optim.')}`" for name in rule.torch)
        lines.append(f"| `{rule.name}` | {rule.title} | {classes} | {rule.source} |")
    return "\n".join(lines)


def run(command: str) -> str:
    """The command as typed, and what it prints to the terminal's stdout."""
    found = subprocess.run(
        command, shell=True, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False
    )
    output = found.stdout.rstrip().replace(str(ROOT) + "/", "")
    return f"$ {command}\n{output}"


def readme() -> None:
    """Replace every recorded run of the README."""
    path = ROOT / "README.md"
    text = path.read_text(encoding="utf-8")
    text = RULES_TABLE.sub(lambda m: m[1] + rules_table() + m[2], text)
    text = BLOCK.sub(lambda m: m[1] + run(m["command"]) + "\n" + m[4], text)
    write_text(path, text)


if __name__ == "__main__":
    import os

    os.chdir(ROOT)
    os.environ["PATH"] = str(Path(sys.executable).parent) + os.pathsep + os.environ["PATH"]
    certificates()
    readme()
