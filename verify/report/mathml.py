"""LaTeX as MathML, which browsers typeset without help.

A certificate may come from anywhere, and what is converted is inserted into the page as markup: only
elements and attributes of mathematics are let through.
"""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

from markupsafe import Markup, escape

NAMESPACE = "{http://www.w3.org/1998/Math/MathML}"
ELEMENT = re.compile(
    "math|mrow|mi|mn|mo|mtext|mspace|mfrac|msqrt|mroot|msub|msup|msubsup|munder|mover|munderover|mtable|mtr|mtd|mstyle"
)
ATTRIBUTE = re.compile(
    "display|displaystyle|stretchy|fence|form|accent|mathvariant|width|columnalign|columnspacing|rowspacing"
)
# converting costs more than linear time
MOST_CHARACTERS = 20_000


def mathml(latex: str) -> Markup:
    """The equation as a block of MathML, or the LaTeX itself where it cannot be converted."""
    from latex2mathml.converter import convert

    if len(latex) <= MOST_CHARACTERS:
        try:
            tree = ET.fromstring(convert(latex, display="block"))
        except Exception:  # whatever a converter says to what is no LaTeX
            return _as_text(latex)
        if _is_mathematics(tree):
            return Markup(ET.tostring(tree, encoding="unicode"))
    return _as_text(latex)


def _is_mathematics(tree: ET.Element) -> bool:
    """Whether all is mathematics; names lose their namespace and foreign attributes are removed on the way."""
    for element in tree.iter():
        element.tag = element.tag.removeprefix(NAMESPACE)
        if not ELEMENT.fullmatch(element.tag):
            return False
        element.attrib = {k: v for k, v in element.attrib.items() if ATTRIBUTE.fullmatch(k)}
    return tree.tag == "math"


def _as_text(latex: str) -> Markup:
    return Markup("<pre>{}</pre>").format(escape(latex))
