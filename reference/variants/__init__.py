"""The ways to get a rule wrong, or to mean another convention, as rewrites of its equations.

A rewrite is a small function from the equations of one choice of options to other equations, each with a name and
a sentence. It looks at what the parts of the equations are for (:mod:`reference.variants.roles`), so a rule that
nobody has seen gets its variants too. Named mistakes come first, the likeliest first; a systematic layer that
leaves out, turns round or repeats every term and factor comes after them.

>>> from reference import get_rule
>>> for variant in variants(get_rule("adam"))[:2]:
...     print(f"{variant.name}: {variant.sentence}")
epsilon.inside_root: epsilon is inside the square root
epsilon.inside_uncorrected_root: epsilon is inside the square root, before the bias correction
"""

from reference.variants.registry import Variant, each_variant, lazy_variants, pairs, variant, variants
from reference.variants.screening import differs, distance, resembles

__all__ = [
    "Variant",
    "differs",
    "distance",
    "each_variant",
    "lazy_variants",
    "pairs",
    "resembles",
    "variant",
    "variants",
]
