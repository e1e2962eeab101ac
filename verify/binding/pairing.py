"""Which parameter of the model stands where the optimizer still has an old one."""

from __future__ import annotations

from torch import Tensor

from verify.binding.look import Look, recorded_name
from verify.binding.memory import shape, share, span
from verify.binding.names import same

Slot = tuple[int, int, Tensor]


def pairs(look: Look, number: int, orphans: list[Slot], missing: dict[str, Tensor]) -> dict[str, Slot]:
    """For every missing parameter that can be known to replace an orphan, that orphan.

    Known is a replacement by the name that the old object had, in the watch or in the group itself; or by its place between
    parameters that are still shared; or, where no neighbours are there to hold on to, by its shape.
    """
    found: dict[str, Slot] = {}
    left = list(orphans)
    for slot in orphans:
        name = _old_name(look, number, slot)
        new = next((n for n in missing if n not in found and name is not None and same(name, n)), None)
        if new is not None:
            found[new] = slot
            left.remove(slot)
    for gap, (orphans_there, missing_there) in _gaps(
        look, number, left, [n for n in missing if n not in found]
    ).items():
        there = [(n, missing[n]) for n in missing_there]
        closed = None not in gap
        if len(orphans_there) == len(there) and (closed or _alike(orphans_there, there)):
            found |= {name: slot for slot, (name, _) in zip(orphans_there, there, strict=True)}
        else:
            found |= _by_shape(orphans_there, there)
    return found


def _old_name(look: Look, number: int, slot: Slot) -> str | None:
    group, position, tensor = slot
    if id(tensor) in look.memory.names:
        return look.memory.names[id(tensor)][1]
    return recorded_name(look.owners[number].optimizer.param_groups[group], position)


Gap = tuple[int | None, int | None]


def _gaps(look: Look, number: int, orphans: list[Slot], missing: list[str]) -> dict[Gap, tuple[list[Slot], list[str]]]:
    """Orphans and missing parameters between the same two parameters that are still shared."""
    shared = {id(t) for _, _, t in look.slots[number] if id(t) in look.names}
    wanted = {id(t) for _, _, t in orphans}
    missing_ids = {id(look.parameters[name]) for name in missing}
    by_gap: dict[Gap, tuple[list[Slot], list[str]]] = {}
    for group in {slot[0] for slot in orphans}:
        in_group = [slot for slot in look.slots[number] if slot[0] == group]
        for gap, run in _runs([(id(t), (g, i, t)) for g, i, t in in_group], shared, wanted):
            by_gap.setdefault(gap, ([], []))[0].extend(run)
    for gap, run in _runs([(id(t), name) for name, t in look.tensors], shared, missing_ids):
        if gap in by_gap:
            by_gap[gap][1].extend(run)
    return by_gap


def _runs(items, shared: set[int], wanted: set[int]):
    """Runs of wanted items, each with the shared ones before and after it."""
    before: int | None = None
    run: list = []
    for key, item in items:
        if key in shared:
            if run:
                yield (before, key), run
            before, run = key, []
        elif key in wanted:
            run.append(item)
    if run:
        yield (before, None), run


def _alike(orphans: list[Slot], missing: list[tuple[str, Tensor]]) -> bool:
    """Whether they can be the old and the new version of the same layers: as many axes, and a size in common."""
    old = [shape(t) for _, _, t in orphans]
    new = [shape(t) for _, t in missing]
    if any(a is not None and b is not None and len(a) != len(b) for a, b in zip(old, new, strict=True)):
        return False
    return any(a == b or (a and b and set(a) & set(b) - {1}) for a, b in zip(old, new, strict=True))


def _by_shape(orphans: list[Slot], missing: list[tuple[str, Tensor]]) -> dict[str, Slot]:
    """In order, each missing one with the next orphan of its shape."""
    found: dict[str, Slot] = {}
    left = list(orphans)
    for name, tensor in missing:
        slot = next((s for s in left if shape(s[2]) == shape(tensor)), None)
        if slot is not None:
            found[name] = slot
            left.remove(slot)
    return found


def flat_buffers(look: Look) -> set[int]:
    """Ids of orphans that lie under several parameters of the models, and of these parameters.

    The optimizer steps the buffer, and the parameters are views of it.
    """
    covered: set[int] = set()
    orphans = [slot[2] for slots in look.orphans for slot in slots]
    spans = [(t, s) for t in orphans if (s := span(t)) is not None]
    if not spans:
        return covered
    inside = [(t, s) for _, t in look.tensors if id(t) not in look.holders and (s := span(t)) is not None]
    for orphan, (storage, start, stop) in spans:
        under = [t for t, (k, a, b) in inside if k == storage and start <= a and b <= stop and share(orphan, t)]
        if len(under) > 1:
            covered |= {id(orphan), *(id(t) for t in under)}
    return covered
