"""All variants of a rule: found for every choice of options, joined by name, and tried for a difference."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from itertools import chain

import numpy as np
import sympy

from reference.reductions import Reduction
from reference.rule import Options, RuleError, UpdateRule
from reference.variants import (
    arithmetic,
    bounds,
    correction,
    counting,
    decay,
    epsilon,
    history,
    initial,
    lazy,
    matrices,
    maximum,
    mixtures,
    moments,
    momentum,
    options,
    reductions,
)
from reference.variants.difference import Scenes
from reference.variants.equations import Edit, Equations, Rewrite, prepare, rule_from
from reference.variants.field import row_of

# from most to least likely
NAMED: tuple[Rewrite, ...] = (
    epsilon.epsilon_edits,
    arithmetic.branch_edits,
    bounds.floor_edits,
    maximum.maximum_edits,
    matrices.matrix_edits,
    reductions.reduction_edits,
    correction.correction_edits,
    decay.decay_edits,
    options.ignored_edits,
    momentum.momentum_edits,
    momentum.step_size_edits,
    moments.moment_edits,
    history.history_edits,
    initial.initial_edits,
    arithmetic.hyperparameter_edits,
    mixtures.mixture_edits,
    mixtures.case_edits,
    counting.counting_edits,
    options.uncalled_edits,
    arithmetic.slip_edits,
)
SYSTEMATIC: tuple[Rewrite, ...] = (arithmetic.systematic_edits, arithmetic.exchange_edits)
REWRITES = (*NAMED, *SYSTEMATIC)
MOST = 500
# how much less likely two mistakes of one kind are, in places
SAME_KIND = 12

Choice = tuple[tuple[str, bool], ...]


@dataclass(frozen=True, eq=False)
class Variant:
    """A rule with one difference.

    Args:
        name: stable id, such as ``"epsilon.inside_root"``.
        sentence: the difference in words, without a full stop.
        rule: the rule that has it: the same hyperparameters, options and state, and sometimes more state.
        named: whether it is a known mistake; otherwise it comes from changing every term and factor in turn.
        field: row of the list of real bugs with this mechanism.
        rank: its kind, the likeliest being 0.
    """

    name: str
    sentence: str
    rule: UpdateRule
    named: bool = True
    field: str | None = None
    rank: int = 0


@lru_cache(maxsize=64)
def variants(rule: UpdateRule) -> tuple[Variant, ...]:
    """Every variant of a rule that computes something else than the rule and than those before it."""
    return tuple(each_variant(rule))


def each_variant(rule: UpdateRule) -> Iterator[Variant]:
    """The same one by one, for whoever needs the likely ones alone: each is made once, when it is first asked for."""
    if rule.lazy:
        yield from lazy_variants(rule)
    search = _search(rule)
    for number in range(MOST):
        while number >= len(search.made):
            found = next(search.making, None)
            if found is None:
                return
            search.made.append(found)
        yield search.made[number]


@lru_cache(maxsize=64)
def lazy_variants(rule: UpdateRule) -> tuple[Variant, ...]:
    """Variants that differ in what they do with elements that a sparse gradient does not have."""
    return tuple(Variant(name, sentence, changed) for name, sentence, changed in lazy.lazy_edits(rule))


def variant(rule: UpdateRule, name: str) -> Variant:
    """The variant of a rule with this name.

    Raises:
        RuleError: it has none.
    """
    for v in variants(rule):
        if v.name == name:
            return v
    raise RuleError(f"rule {rule.name!r} has no variant {name!r}")


def pairs(rule: UpdateRule, most: int = 5000) -> Iterator[Variant]:
    """Two named mistakes at once, the likeliest first; made one by one, for there are thousands.

    A pair is left out where the second mistake has no place beside the first. Its equations may still be those of
    one of the two, or of the rule: that is found where it is used.
    """
    made = 0
    for one, two in _by_likelihood([v for v in variants(rule) if v.named]):
        both = _both(rule, one, two)
        if both is not None:
            yield both
            made += 1
        if made >= most:
            return


def _by_likelihood(known: list[Variant]) -> list[tuple[Variant, Variant]]:
    """All pairs, those of the likeliest mistakes of two kinds first."""
    places: dict[int, int] = {}
    weights = []
    for v in known:
        places[v.rank] = places.get(v.rank, -1) + 1
        weights.append(places[v.rank] + v.rank / 2)
    order = [
        (weights[i] + weights[j] + SAME_KIND * (one.rank == known[j].rank), i, j)
        for i, one in enumerate(known)
        for j in range(i + 1, len(known))
    ]
    return [(known[i], known[j]) for _, i, j in sorted(order)]


def _both(rule: UpdateRule, one: Variant, two: Variant) -> Variant | None:
    """One variant with the rewrite of another applied to it, or the other way round."""
    for base, other in ((one, two), (two, one)):
        search = _search(base.rule)
        edit = next((e for o in search.choices if (e := search.edit(o, other.name, other.rank)) is not None), None)
        if edit is None:
            continue
        now = {s.name for s in other.rule.state if s.nonnegative}
        signed = frozenset(s.name for s in rule.state if s.nonnegative and s.name not in now)
        sentence = f"{one.sentence}; and {two.sentence}"
        changed = search.rule_of(other.name, other.rank, sentence, _Found(edit, (), signed))
        return Variant(f"{one.name}+{two.name}", sentence, changed)
    return None


@dataclass(frozen=True)
class _Found:
    """What is known of one rewrite under all choices of options.

    Args:
        edit: the rewrite under the first choice to which it applies.
        prints: what it computes, for comparison.
        signed: state variables that it makes negative, though the rule does not.
    """

    edit: Edit | None
    prints: tuple
    signed: frozenset[str]


class _Search:
    """The rewrites of one rule."""

    def __init__(self, rule: UpdateRule):
        self.rule = rule
        self.climbing = options.climbing_option(rule)
        self._tables: dict[tuple[Choice, int], dict[str, Edit]] = {}
        self._known: dict[Choice, Equations | None] = {}
        self._scenes: dict[Choice, Scenes] = {}
        self.made: list[Variant] = []
        self.making = self.found()

    @cached_property
    def choices(self) -> tuple[Options, ...]:
        return tuple(self.rule.choices())

    def found(self) -> Iterator[Variant]:
        seen = {self.prints("", 0).prints}
        sentences: set[str] = set()
        for name, rank in self._names():
            found = self.prints(name, rank)
            if found.edit is None or found.prints in seen:
                continue
            seen.add(found.prints)
            sentence = found.edit.sentence
            if sentence in sentences:
                sentence += f" ({name})"
            sentences.add(sentence)
            changed = self.rule_of(name, rank, sentence, found)
            yield Variant(name, sentence, changed, rank < len(NAMED), row_of(name), rank)

    def _names(self) -> Iterator[tuple[str, int]]:
        """All rewrites, those of the likeliest kind first; each kind is made when it is its turn."""
        seen: set[str] = set()
        for rank in range(len(REWRITES)):
            for chosen in self.choices:
                for name in self.edits(chosen, rank):
                    if name not in seen:
                        seen.add(name)
                        yield name, rank

    # -- one choice of options ---------------------------------------------------------------

    def edit(self, chosen: Mapping[str, bool], name: str, rank: int) -> Edit | None:
        """A rewrite under one choice of options, if it applies."""
        return self.edits(chosen, rank).get(name)

    def edits(self, chosen: Mapping[str, bool], rank: int) -> dict[str, Edit]:
        """The rewrites of one kind that apply under one choice of options, by name."""
        key = _key(chosen), rank
        if key not in self._tables:
            self._tables[key] = (
                self._climbing_edits(chosen, rank) if self._climbs(chosen) else self._edits(chosen, rank)
            )
        return self._tables[key]

    def _edits(self, chosen: Mapping[str, bool], rank: int) -> dict[str, Edit]:
        e = self._prepared(chosen)
        if e is None:
            return {}
        found: dict[str, Edit] = {}
        made = REWRITES[rank](e)
        if self.climbing and REWRITES[rank] is options.uncalled_edits:
            made = chain(made, options.descending_edits(e, self.climbing))
        for edit in made:
            if edit.name not in found and _is_sound(e, edit.equations):
                found[edit.name] = edit
        return found

    def _climbing_edits(self, chosen: Mapping[str, bool], rank: int) -> dict[str, Edit]:
        """Those that apply to descent, to be mirrored, and those that are about climbing."""
        assert self.climbing is not None
        down = self._down(chosen)
        found = {n: replace(x, climbs=True) for n, x in self.edits(down, rank).items()}
        found.pop(f"option.always.{self.climbing}", None)
        e = self._prepared(down)
        if e is not None and REWRITES[rank] is options.ignored_edits:
            up = options.mirrored(e)
            made = options.climbing_edits(e, self.climbing)
            found |= {edit.name: edit for edit in made if _is_sound(up, edit.equations)}
        return found

    def _prepared(self, chosen: Mapping[str, bool]) -> Equations | None:
        key = _key(chosen)
        if key not in self._known:
            self._known[key] = prepare(self.rule.step(chosen))
        return self._known[key]

    # -- all choices of options --------------------------------------------------------------

    def prints(self, name: str, rank: int) -> _Found:
        """What a rewrite computes under all choices; that without a name is none."""
        first: Edit | None = None
        prints: list[bytes] = []
        signed: set[str] = set()
        changed: dict[Choice, bool] = {}
        for chosen in sorted(self.choices, key=self._climbs):
            edit = self.edit(chosen, name, rank)
            key = _key(chosen)
            if edit is None or edit.climbs:
                # climbing is what descending is, with another sign
                below = changed.get(_key(self._down(chosen))) if self._climbs(chosen) else False
                prints.append(b"mirrored" if edit is not None and below else b"")
                continue
            scenes = self._scene(chosen)
            results = scenes.results(edit.equations)
            print_ = scenes.fingerprint(results)
            changed[key] = print_ != scenes.own_fingerprint
            prints.append(print_ if changed[key] else b"")
            first = first or edit
            for s in scenes.step.state:
                if s.nonnegative and np.nanmin(results[s.name], initial=0.0) < 0:
                    signed.add(s.name)
        return _Found(first, tuple(prints), frozenset(signed))

    def _climbs(self, chosen: Mapping[str, bool]) -> bool:
        return self.climbing is not None and chosen[self.climbing]

    def _down(self, chosen: Mapping[str, bool]) -> dict[str, bool]:
        return {name: on and name != self.climbing for name, on in chosen.items()}

    def _scene(self, chosen: Mapping[str, bool]) -> Scenes:
        key = _key(chosen)
        if key not in self._scenes:
            e = self._prepared(self._down(chosen))
            assert e is not None
            self._scenes[key] = Scenes(options.mirrored(e) if self._climbs(chosen) else e, self.rule.step(chosen))
        return self._scenes[key]

    def rule_of(self, name: str, rank: int, sentence: str, found: _Found) -> UpdateRule:
        """The rule with a rewrite applied under every choice of options."""

        def choose(chosen: Options) -> Equations | None:
            edit = self.edit(chosen, name, rank)
            if edit is None:
                return None
            return options.mirrored(edit.equations) if edit.climbs else edit.equations

        extra = found.edit.equations.extra if found.edit is not None else ()
        return rule_from(self.rule, sentence, choose, extra, found.signed)


def _key(chosen: Mapping[str, bool]) -> Choice:
    return tuple(sorted(chosen.items()))


def _is_sound(e: Equations, changed: Equations) -> bool:
    """Whether rewritten equations differ in form, can be put in order, and use what a rule may use."""
    before = {a.name: a.expression for a in e.assignments}
    new = [a for a in changed.assignments if before.get(a.name) != a.expression]
    if (not new and not changed.extra) or changed.ordered() is None:
        return False
    scalar = {s.name for s in e.step.state if s.scalar}
    return all(_may_be_used(changed, a.expression, a.name in scalar) for a in new)


def _may_be_used(e: Equations, x: sympy.Expr, scalar: bool) -> bool:
    if scalar and not e.is_scalar(x):
        return False
    for node in sympy.preorder_traversal(x):
        if node in (sympy.zoo, sympy.nan, sympy.oo, -sympy.oo) or (node.is_number and node.is_real is False):
            return False
        if isinstance(node, sympy.Pow) and node.exp.is_integer is False and node.base.is_negative:
            return False  # nan, whatever comes
        if isinstance(node, sympy.Pow) and not e.is_scalar(node):
            if not (node.exp.is_Rational and ((2 * node.exp).is_Integer or abs(node.exp) < 1)):
                return False
        elif (isinstance(node, Reduction) and e.is_scalar(node.args[0])) or isinstance(
            node, sympy.Heaviside | sympy.re | sympy.im | sympy.arg
        ):
            return False
    return True


@lru_cache(maxsize=256)
def _search(rule: UpdateRule) -> _Search:
    return _Search(rule)
