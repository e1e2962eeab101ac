"""Where each formula comes from, as executable sympy.

A derivation is a list of :class:`DerivationStep`. Each is an equation that sympy checks: nothing in a
derivation is taken from code, and the last steps tie the derived formula to the rule's own step.
"""

from __future__ import annotations

from dataclasses import dataclass

import sympy


@dataclass(frozen=True)
class DerivationStep:
    """One equation of a derivation: ``left`` equals ``right``, because of ``text``.

    Args:
        text: what is done, in one sentence, with the paper's equation number where there is one.
        left, right: sympy expressions that must be equal.
    """

    text: str
    left: sympy.Expr
    right: sympy.Expr

    def holds(self) -> bool:
        """Whether sympy proves the equation."""
        difference = sympy.sympify(self.left) - sympy.sympify(self.right)
        if difference == 0 or difference.doit() == 0:
            return True
        return sympy.simplify(difference.doit()) == 0
