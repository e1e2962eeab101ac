"""Quasi-Newton rules: what they do is no function of one gradient, and is judged on the trace of whole calls.

A step of such an optimizer calls a closure several times and moves in between. :mod:`.conventions` says what L-BFGS
does with the gradients it is shown, :mod:`.reading` holds a trace against that, :mod:`.variants` knows the ways to
get it wrong.
"""

from reference.quasi_newton.rule import LBFGS, QuasiNewtonRule

# by name, as RULES has those of single steps
QUASI_NEWTON: dict[str, QuasiNewtonRule] = {LBFGS.name: LBFGS}

__all__ = ["LBFGS", "QUASI_NEWTON", "QuasiNewtonRule"]
