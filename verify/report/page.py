"""What all pages share: templates that escape, one inlined style sheet and script, a strict policy."""

from __future__ import annotations

import base64
import hashlib
import re
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

# characters that no page can show, and those that turn the direction of what follows
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)


def render(template: str, **values: Any) -> str:
    """A template of this package, filled in."""
    return _environment().get_template(template).render(values)


def shown(value: Any) -> Any:
    """Text with what cannot be seen written as a number; anything else as it is."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return _UNSEEN.sub(lambda match: f"\\x{ord(match[0]):02x}", value)
    return value


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("verify.report"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "allow_nan": False}
    style, script = _style(), _source("report.js")
    environment.globals |= {
        "style": style,
        "script": script,
        # nothing is loaded, and nothing runs or paints but these two
        "policy": f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; font-src data:; "
        "base-uri 'none'; form-action 'none'",
    }
    return environment


def _style() -> Markup:
    # few machines have a font that stretches braces and roots
    font = base64.b64encode(files("verify.report").joinpath("templates", "equations.woff2").read_bytes()).decode()
    face = "@font-face { font-family: equations; src: url(data:font/woff2;base64,%s) }\n"
    return Markup(face % font + _source("report.css"))


def _source(name: str) -> Markup:
    # these two are ours, and go into the page as they are
    return Markup(files("verify.report").joinpath("templates", name).read_text(encoding="utf-8"))


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
