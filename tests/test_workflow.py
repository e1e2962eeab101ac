"""The workflow and the hook that the README shows: they are the files, and every command in them exists."""

import shlex
from pathlib import Path

import pytest
import yaml

from verify.cli import parser

EXAMPLES = Path("examples/github-actions.yml"), Path("examples/pre-commit-config.yaml")


def commands(node) -> list[str]:
    """Lines that call optim-verify, wherever they stand."""
    if isinstance(node, dict):
        return [line for value in node.values() for line in commands(value)]
    if isinstance(node, list):
        return [line for value in node for line in commands(value)]
    return [line for line in map(str.strip, str(node).splitlines()) if line.startswith("optim-verify ")]


@pytest.mark.parametrize("path", EXAMPLES, ids=str)
def test_the_readme_shows_the_whole_file(path):
    assert path.read_text(encoding="utf-8").strip() in Path("README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", EXAMPLES, ids=str)
def test_every_command_exists(path):
    lines = commands(yaml.safe_load(path.read_text(encoding="utf-8")))
    assert lines
    for line in lines:
        words = shlex.split(line.replace("${{ matrix.shard }}", "1"))[1:]
        assert parser().parse_args(words).command == words[0]


def test_shards_are_as_many_as_the_matrix_says():
    jobs = yaml.safe_load(EXAMPLES[0].read_text(encoding="utf-8"))["jobs"]
    shards = jobs["certify"]["strategy"]["matrix"]["shard"]
    assert shards == [*range(1, len(shards) + 1)]
    (line,) = commands(jobs["certify"])
    assert line.endswith(f"/{len(shards)}")
