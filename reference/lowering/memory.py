"""Rewriting generated statements so that few arrays are made and memory stays in the cache."""

from __future__ import annotations

import ast
import re

_SYMBOLS = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}


def in_place(name: str, e: ast.expr) -> list[str]:
    """Statements that assign an expression with as few new arrays as possible."""
    if isinstance(e, ast.BinOp) and type(e.op) in _SYMBOLS:
        symbol = _SYMBOLS[type(e.op)]
        if isinstance(e.left, ast.BinOp):
            return [*in_place(name, e.left), f"{name} {symbol}= {ast.unparse(e.right)}"]
        if isinstance(e.right, ast.BinOp) and symbol in "+*":
            return [*in_place(name, e.right), f"{name} {symbol}= {ast.unparse(e.left)}"]
    return [f"{name} = {ast.unparse(e)}"]


def freeing(lines: list[str], results: str) -> list[str]:
    """Drop each array after its last use: memory that is used again at once stays in the cache."""
    last: dict[str, int] = {}
    made: set[str] = set()
    for number, line in enumerate(lines):
        for name in re.findall(r"\b[a-z]\d+\b", line):
            last[name] = number
        if line.startswith("    ") and line[4] != " " and (found := re.match(r"    ([a-z]\d+) = ", line)):
            made.add(found[1])
    kept = set(re.findall(r"\b[a-z]\d+\b", results))
    dead: dict[int, list[str]] = {}
    for name, number in last.items():
        top_level = lines[number][4] != " " and not lines[number].endswith(":")
        if name in made - kept and top_level:
            dead.setdefault(number, []).append(name)
    return [f"{line}; del {', '.join(dead[i])}" if i in dead else line for i, line in enumerate(lines)]
