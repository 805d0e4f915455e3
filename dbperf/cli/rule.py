"""`dbperf rule`: what a rule looks for, why it matters and how it is proven."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator
from types import ModuleType

import click
from rich.console import Console
from rich.markdown import Markdown
from rich.text import Text
from rich.theme import Theme

from dbperf.cli.output import stdout
from dbperf.errors import InputError

FORMATS = ("terminal", "json", "markdown")
_THEME = Theme({"markdown.code": "bold"})  # rich's own is on black, whatever the terminal's colour


@click.command(short_help="Explain a rule, or list them all.")
@click.argument("name", metavar="[CODE]", required=False)
@click.option("--format", "form", type=click.Choice(FORMATS), default=FORMATS[0], show_default=True)
def rule(name: str | None, form: str) -> None:
    """Explain a rule by its code (DBP101) or its name (missing-index); without one, list them all."""
    from dbperf.advice.rules import RULES
    from dbperf.report.terminal import line_width, open_console, print_lines

    found = _find(name) if name else None
    with stdout() as file:
        if form == "json":
            told = _as_json(found) if found else [_as_json(each) for each in RULES]
            print(json.dumps(told, indent=2), file=file)
            return
        if form == "markdown":
            print(_as_markdown(found) if found else _index(RULES), end="", file=file)
            return
        console = open_console(file)
        width = line_width(console)
        print_lines(_page(found, console, width) if found else _contents(RULES, width), console)


def _find(name: str) -> ModuleType:
    from dbperf.advice.rules import RULES

    names = {word: each for each in RULES for word in (each.CODE.lower(), each.SLUG)}
    if found := names.get(name.lower()):
        return found
    near = {
        id(names[word]): names[word] for word in difflib.get_close_matches(name.lower(), names, cutoff=0.5)
    }
    nearest = ", ".join(f"{each.CODE} {each.SLUG}" for each in near.values())
    raise InputError(
        f"there is no rule {name!r}; " + (f"near it: {nearest}" if near else "dbperf rule lists them")
    )


def _as_json(each: ModuleType) -> dict[str, str]:
    from dbperf.advice.rules import page

    summary, text = page(each)
    return {"code": each.CODE, "slug": each.SLUG, "summary": summary, "page": text}


def _as_markdown(each: ModuleType) -> str:
    from dbperf.advice.rules import page

    summary, text = page(each)
    return f"## {each.CODE} {each.SLUG}\n\n{_sentence(summary)}\n\n{text}\n"


def _index(rules: tuple[ModuleType, ...]) -> str:
    """All rules on one page; `docs/rules/README.md` is it."""
    from dbperf.advice.rules import page

    lines = [
        "# Rules\n\nMade by `dbperf rule --format markdown` from the docstrings of the rules.\n\n",
        "| code | name | fires where |\n|---|---|---|\n",
    ]
    for each in rules:
        anchor = f"{each.CODE}-{each.SLUG}".lower()
        lines.append(f"| [{each.CODE}](#{anchor}) | {each.SLUG} | {page(each)[0]} |\n")
    return "".join([*lines, *(f"\n{_as_markdown(each)}" for each in rules)])


def _sentence(summary: str) -> str:
    return f"{summary[:1].upper()}{summary[1:]}"


def _contents(rules: tuple[ModuleType, ...], width: int) -> Iterator[Text]:
    from dbperf.advice.rules import page
    from dbperf.report.layout import paragraph

    longest = max(len(each.SLUG) for each in rules)
    for each in rules:
        prefix = Text.assemble((each.CODE, "bold"), f"  {each.SLUG:<{longest}}  ")
        yield from paragraph(page(each)[0], width, prefix)


def _page(each: ModuleType, console: Console, width: int) -> Iterator[Text]:
    from dbperf.advice.rules import page

    summary, text = page(each)
    yield Text(f"{each.CODE} {each.SLUG}", "bold")
    yield Text()
    markdown = Markdown(f"{_sentence(summary)}\n\n{text}")
    with console.use_theme(_THEME):
        lines = console.render_lines(markdown, console.options.update_width(width))
    for line in lines:
        yield Text.assemble(*((segment.text, segment.style or "") for segment in line))
