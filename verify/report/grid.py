"""The matrix of a certificate: checks by dtype, device and implementation."""

from __future__ import annotations

from dataclasses import dataclass

from verify.certificate import Cell, Certificate

SHORT = {
    "float64": "f64",
    "float32": "f32",
    "bfloat16": "bf16",
    "float16": "f16",
    "complex64": "c64",
    "complex128": "c128",
}
# upper ends of the steps of the heat scale; what is above the last is outside its allowance
HEAT = (0.01, 0.05, 0.1, 0.2, 0.3, 0.45, 0.6, 0.8, 1.0)


@dataclass(frozen=True)
class Row:
    """One check: for each column the number of its cell, or None where there is none."""

    check: str
    cells: list[int | None]


@dataclass(frozen=True)
class Grid:
    """Columns are (device, implementation) groups with their dtypes; rows are grouped by family."""

    groups: dict[tuple[str, str], list[str]]
    families: dict[str, list[Row]]

    @property
    def columns(self) -> list[tuple[str, str, str]]:
        return [(*group, dtype) for group, dtypes in self.groups.items() for dtype in dtypes]

    @classmethod
    def of(cls, certificate: Certificate) -> Grid:
        cells = certificate.cells
        dtypes = dict.fromkeys(c.dtype for c in cells)
        present = {(c.device, c.implementation, c.dtype) for c in cells}
        groups = {
            group: [dtype for dtype in dtypes if (*group, dtype) in present]
            for group in dict.fromkeys((c.device, c.implementation) for c in cells)
        }
        grid = cls(groups, {})
        numbers = {(c.check, c.device, c.implementation, c.dtype): k for k, c in enumerate(cells)}
        for check in dict.fromkeys(c.check for c in cells):
            row = Row(check, [numbers.get((check, *column)) for column in grid.columns])
            grid.families.setdefault(check.partition(".")[0], []).append(row)
        return grid


def heat(cell: Cell) -> int | None:
    """Step of the heat scale; None where no numbers were compared, or the cell did not pass."""
    if cell.worst_ratio is None or cell.status != "passed":
        return None
    return next((k for k, end in enumerate(HEAT) if cell.worst_ratio <= end), len(HEAT) - 1)
