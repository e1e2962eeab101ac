"""Results of a gate or of one shard of it, and merging them."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from verify.certificate import Certificate, write_json
from verify.errors import UsageError
from verify.report.reading import from_json
from verify.report.told import cell_name

SCHEMA, VERSION = "optim-verify-gate", 1


@dataclass(frozen=True)
class Shard:
    """Part ``number`` of ``count``, from 1."""

    number: int = 1
    count: int = 1

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Read ``i/n``.

        Raises:
            UsageError: it is not of this form.
        """
        match = re.fullmatch(r"(\d{1,4})/(\d{1,4})", text.strip())
        if not match or not 1 <= int(match[1]) <= int(match[2]):
            raise UsageError(f"--shard wants i/n with i from 1 to n, such as 2/4, not {text!r}")
        return cls(int(match[1]), int(match[2]))

    def has(self, index: int) -> bool:
        """Whether the cell of this index belongs to it; neighbours, which take about as long, are spread."""
        return index % self.count == self.number - 1


@dataclass(frozen=True)
class Results:
    """What one shard found: certificates of its own cells, and the names of all that were planned, by subject."""

    digest: str
    shard: Shard
    planned: dict[str, list[str]]
    certificates: list[Certificate]

    def write(self, path: Path) -> None:
        """Write them whole or not at all. Raises UsageError."""
        data = {
            "schema": SCHEMA,
            "version": VERSION,
            "digest": self.digest,
            "shard": [self.shard.number, self.shard.count],
            "planned": self.planned,
            "certificates": [c.to_json() for c in self.certificates],
        }
        write_json(path, data)


def read_results(path: Path) -> Results:
    """The results in a file.

    Raises:
        UsageError: the file is missing, cut off, or not what it should be.
    """
    what = f"results {str(path)!r}"
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read {what}: {error.strerror or error}") from None
    except (UnicodeDecodeError, RecursionError, json.JSONDecodeError):
        raise UsageError(f"{what} is no JSON, or was cut off; run that shard again") from None
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        raise UsageError(f'{what} are none: the file does not say "schema": "{SCHEMA}"')
    if data.get("version") != VERSION:
        raise UsageError(f"{what} have version {data.get('version')!r:.40}; this optim-verify reads version {VERSION}")
    digest, shard, planned, certificates = map(data.get, ("digest", "shard", "planned", "certificates"))
    good = (
        isinstance(digest, str)
        and isinstance(shard, list)
        and len(shard) == 2
        and all(isinstance(x, int) and not isinstance(x, bool) for x in shard)
        and 1 <= shard[0] <= shard[1]
        and isinstance(planned, dict)
        and all(isinstance(x, list) and all(isinstance(y, str) for y in x) for x in planned.values())
        and isinstance(certificates, list)
    )
    if not good:
        raise UsageError(
            f"{what} are damaged: digest, shard, planned and certificates must be there; run that shard again"
        )
    made = [from_json(c, f"a certificate of {what}") for c in data["certificates"]]
    return Results(data["digest"], Shard(*data["shard"]), data["planned"], made)


def merge(parts: Sequence[Results]) -> list[Certificate]:
    """The certificates of all shards together.

    Raises:
        UsageError: shards of different runs, shards that are missing or there twice, or cells that are.
    """
    first = parts[0]
    for part in parts:
        if part.digest != first.digest or part.shard.count != first.shard.count or part.planned != first.planned:
            raise UsageError(
                "these results belong to different runs: settings, versions or the number of shards differ"
            )
    numbers = sorted(p.shard.number for p in parts)
    double = next((n for n in numbers if numbers.count(n) > 1), None)
    if double:
        raise UsageError(f"shard {double}/{first.shard.count} is there twice; give each one once")
    missing = sorted({*range(1, first.shard.count + 1)} - {*numbers})
    if missing:
        raise UsageError(f"shards are missing: {', '.join(f'{n}/{first.shard.count}' for n in missing)}")
    return [_merged(subject, names, parts) for subject, names in first.planned.items()]


def _merged(subject: str, names: list[str], parts: Sequence[Results]) -> Certificate:
    found = [c for part in parts for c in part.certificates if c.subject == subject]
    cells = {cell_name(cell): cell for c in found for cell in c.cells}
    count = sum(len(c.cells) for c in found)
    if count > len(cells):
        raise UsageError(f"the shards overlap: {count - len(cells)} cells of {subject} are there twice")
    missing = [name for name in names if name not in cells]
    if missing or len(names) != len(cells):
        told = f"{missing[0]} and {len(missing) - 1} more" if len(missing) > 1 else "".join(missing)
        raise UsageError(f"the shards do not cover {subject}: {told or 'cells that were not planned'}")
    whole = replace(found[0], cells=[cells[name] for name in names])
    whole.findings = [f for c in found for f in c.findings]
    whole.expected = [e for c in found for e in c.expected]
    whole.stale = _in_all(found)
    whole.notes = list(dict.fromkeys(note for c in found for note in c.notes))
    whole.seconds = {k: sum(c.seconds[k] for c in found) for k in found[0].seconds}
    for c in found:
        whole.speed = whole.speed or c.speed
        whole.power = whole.power or c.power
        whole.performance = {**whole.performance, **c.performance}
        whole.interrupted = whole.interrupted or c.interrupted
    whole.decide()
    return whole


def _in_all(found: Sequence[Certificate]) -> list[Any]:
    """An expectation is stale where no shard saw its failure."""
    return [s for s in found[0].stale if all(s in c.stale for c in found)]
