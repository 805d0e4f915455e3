"""The report as one HTML page: no network, no script needed, nothing of a database taken for markup.

A Content-Security-Policy lets nothing run or load but the style and the script that are in the page, by their
hashes (https://www.w3.org/TR/CSP3/).
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from dbperf.model.report import Report
from dbperf.report.layout import printable
from dbperf.report.page import page


def render(report: Report) -> str:
    """The page, in ASCII; of 500 statements as applications have them, below a megabyte."""
    text = _template().render(page=page(report))
    # Character references carry any text through any encoding of stdout.
    return text.encode("ascii", "xmlcharrefreplace").decode("ascii")


@cache
def _template() -> Template:
    style, script = _asset("page.css"), _asset("page.js")
    policy = (
        "default-src 'none'",
        f"style-src {_source(style)}",
        f"script-src {_source(script)}",
        "base-uri 'none'",
        "form-action 'none'",
    )
    environment = Environment(
        loader=PackageLoader("dbperf.report"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_visible,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(
        "page.html.j2", globals={"style": style, "script": script, "policy": "; ".join(policy)}
    )


def _visible(value: object) -> object:
    """The one gate of all text into the page: what does not print shows as its escape. Lines stay."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return "\n".join(map(printable, value.split("\n")))


def _asset(name: str) -> Markup:
    text = files("dbperf.report").joinpath("templates", name).read_text("ascii")
    return Markup(text)  # noqa: S704  our own file


def _source(text: str) -> str:
    digest = hashlib.sha256(text.encode("ascii")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"
