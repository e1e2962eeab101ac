"""The allowance: how far a right implementation may be from the exact value.

Model of rounding. A subject computes in the dtype of the parameter, with unit roundoff u (half a unit
in the last place) and smallest subnormal η. From the rule as it is written, generated code carries
(value, error) through every operation:

  a + b      passes on the errors of its terms and adds u (|a| + |b|). The sum of the sizes, not the
             size of the sum, covers every order in which the terms can be added.
  c a, a b   pass on errors as the product magnifies them and add u |a b|; a coefficient that enters a
             tensor operation is itself rounded and adds another u |a b|. Underflow adds η times the
             largest factor that may still be multiplied afterwards, in any order.
  a / b      divides by |b| minus its error; when that is not positive, the allowance is infinite.
  sqrt(a)    error / sqrt(max(a, error)): the root is steep at zero. If a may be negative by its error,
             the allowance is infinite, for the root may be nan.
  a^q        with 0 < q < 1 and a >= 0, such as a cube root: error / max(a, error)^(1-q), which covers any
             such q by concavity, and u (1 + |q ln a|) a^q: the exponent is rounded when it enters.
  max, min, |a|  pass on the larger error: they cannot magnify it.
  sign, comparisons  give nothing away from a tie, and the whole jump when the tie is within the error.
  β a + (1-β) b  adds u (|a| + (1-β)(|a| + |b|)), which covers the form a + (1-β)(b - a) (torch's lerp).

  Σ a        over n elements passes on the errors of its terms and adds (n - 1) u Σ |a|, which no order of adding
             them can exceed (Higham 2002, Accuracy and Stability of Numerical Algorithms, Section 4.2), and
             one rounding of the result. A mean is such a sum over n, with one more rounding. A norm is the
             root of a sum of squares: where the squares underflow it has n η under the root, and where they
             or their sum may overflow the allowance is infinite, for there are those that scale first.

Numbers that are the same for all elements (bias corrections, step sizes) are computed in Python
doubles unless the subject keeps them in tensors: then they have the precision of those tensors.
A scalar state tensor rounds what is stored in it to its own dtype.

Sums over elements in bfloat16 and float16 are accumulated in float32, as torch accumulates them: u is that of
float32 there, and the result is rounded to the dtype of the elements. A sum that is kept in bfloat16 loses
all terms after the 256th, and is no order of evaluation but a mistake.

A sparse gradient is the sum of its entries. Where an element has n of them, g comes with an error of
(n - 1) u Σ |entry|, as any sum; and because entries may be added to the parameter one by one, and never together,
every u of that element is n times as large. State that is kept out of sight may be such a sum itself: then n counts
the entries of earlier steps too. What a lazy rule leaves alone has an allowance of zero.

Functions of matrices are computed in a precision of their own, which is found by looking and said in a note. Their
argument is rounded to it when it enters; how far errors grow in an iteration follows from the divided differences of
the polynomial between singular values (reference.lowering.iteration).

Orders of evaluation covered: any order of adding and multiplying the terms of the rule as written;
contracting (p - c p into p (1 - c), fused multiply-add); exponential averages as lerp; a correction
applied to the moment or to the step size; coefficients combined before, or applied one by one.

The factor. Every u and η above is multiplied by FACTOR = 4 = 2 × 2, the only tolerance constant:
  2  for the order of evaluation: an implementation that applies each coefficient by itself, or
     upcasts and rounds back, executes at most twice the roundings of the rule as written;
  2  for the arithmetic: divisions, roots and powers of a vector unit or a GPU are faithful (one unit
     in the last place) rather than correctly rounded (half a unit).
It is applied inside, so that a quotient or a root sees the error a subject may really have had.

Quasi-Newton directions are no step of one element. They are evaluated in balls that hold every rounding of the model
above, sums over all elements and quotients of them included, by the two-loop recursion and as the product with the
dense matrix; the allowance of an element is the farthest that either ball reaches from the exact value.

What rests on it. Bulk values are computed in float64, whose own error is at most 1/4 of a float64
allowance by the same model, so a difference within 3/4 of the allowance is inside without doubt.
Everything beyond is evaluated again in ball arithmetic, whose enclosure is rigorous, before it is
called a finding. Ratio = |got - exact| / allowance; at most 1 is inside.

Not verified. An infinite allowance, and one as large as the terms of the result, says nothing. Such
elements are counted as not verified and never as a pass.
"""

from __future__ import annotations

from dataclasses import dataclass

FACTOR = 4.0


@dataclass(frozen=True)
class Precision:
    """A binary floating-point format.

    Args:
        digits: bits of the significand, the hidden one included.
        smallest: smallest positive number (subnormal).
        largest: largest finite number.
    """

    name: str
    digits: int
    smallest: float
    largest: float

    @property
    def unit(self) -> float:
        """Unit roundoff: the largest relative error of rounding to nearest."""
        return 2.0**-self.digits


def _ieee(name: str, digits: int, exponent_bits: int) -> Precision:
    bias = 2 ** (exponent_bits - 1) - 1
    return Precision(
        name,
        digits,
        smallest=2.0 ** (2 - bias - digits),
        largest=(2.0 - 2.0 ** (1 - digits)) * 2.0**bias,
    )


PRECISIONS = {
    p.name: p
    for p in (
        _ieee("float64", 53, 11),
        _ieee("float32", 24, 8),
        _ieee("bfloat16", 8, 8),
        _ieee("float16", 11, 5),
    )
}
# what sums over low-precision elements are accumulated in
ACCUMULATOR = PRECISIONS["float32"]
# A complex number is two reals of half its width, as torch decided.
PRECISIONS["complex128"] = PRECISIONS["float64"]
PRECISIONS["complex64"] = PRECISIONS["float32"]
