"""Which findings are told: by code, by place in the code, and what the code itself asks to leave out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from dbperf.advice.rules import RULES
from dbperf.errors import InputError
from dbperf.model.recommendation import Recommendation
from dbperf.model.workload import CallSite, Statement

_CODE = re.compile(r"DBP\d{0,3}")


@dataclass(frozen=True, slots=True)
class Selection:
    """What to tell. An entry is a code, the beginning of one or a rule's name: DBP305, DBP3, deep-offset.

    Nothing in `select` means all. An entry of `ignore` may name a place: DBP305@shop/reports.py is for the
    statements that only lines of files with this ending run, DBP305@shop/reports.py:monthly of this function.
    Of a finding on a pool it is for the lines that took the connections.
    """

    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()


def selection(select: Iterable[str] = (), ignore: Iterable[str] = ()) -> Selection:
    """Entries as people write them, with commas too. Raises InputError for a code that no rule has."""
    chosen = Selection(tuple(map(_checked, _split(select))), tuple(map(_checked, _split(ignore))))
    if placed := next((each for each in chosen.select if "@" in each), ""):
        raise InputError(f"{placed}: only --ignore takes a place; --select takes a code")
    return chosen


def _split(entries: Iterable[str]) -> list[str]:
    return [part.strip() for entry in entries for part in entry.split(",") if part.strip()]


def _checked(entry: str) -> str:
    """An entry with its rule by code."""
    rule, at, place = entry.partition("@")
    code = _code(rule)
    if not _CODE.fullmatch(code) or not any(each.CODE.startswith(code) for each in RULES):
        raise InputError(f"there is no rule {rule!r}; dbperf rule lists them")
    return code + at + place


def _code(rule: str) -> str:
    return next((each.CODE for each in RULES if rule.lower() == each.SLUG), rule.upper())


def told(
    found: Sequence[Recommendation], statements: Iterable[Statement], chosen: Selection
) -> tuple[list[Recommendation], int]:
    """The findings to tell, without the statements for which they are to be left out; and how many findings
    are left out as a whole.
    """
    by_print = {each.fingerprint: each for each in statements}
    selected = [each for each in found if _is_of(each.code, chosen.select or ("DBP",))]
    kept = [left for each in selected if (left := _without(each, by_print, chosen))]
    return kept, len(found) - len(kept)


def _without(
    finding: Recommendation, statements: Mapping[str, Statement], chosen: Selection
) -> Recommendation | None:
    if not finding.statements:  # on a pool
        placed = _is_placed(finding.code, finding.call_sites, chosen)
        return None if placed or is_ignored(finding.code, None, chosen) else finding
    evidence = tuple(
        each
        for each in finding.evidence
        if not is_ignored(finding.code, statements.get(each.fingerprint), chosen)
    )
    if not evidence and (finding.evidence or is_ignored(finding.code, None, chosen)):
        return None
    if len(evidence) == len(finding.evidence):
        return finding
    return replace(finding, evidence=evidence, statements=tuple(each.fingerprint for each in evidence))


def is_ignored(code: str, statement: Statement | None, chosen: Selection) -> bool:
    """Whether a rule is left out: everywhere, or for this statement."""
    entries = chosen.ignore
    anywhere = [each for each in entries if "@" not in each]
    if _is_of(code, anywhere):
        return True
    if statement is None:
        return False
    in_code = _split(each.loader for each in statement.accesses if each.kind == "ignored")
    if _is_of(code, map(_code, in_code)):
        return True
    return _is_placed(code, statement.call_sites, chosen)


def _is_placed(code: str, sites: Sequence[CallSite], chosen: Selection) -> bool:
    """Whether a rule is left out for all of the places."""
    placed = (each.partition("@") for each in chosen.ignore)
    places = [place for entry, _, place in placed if place and _is_of(code, [entry])]
    return bool(places and sites) and all(any(_is_at(site, place) for place in places) for site in sites)


def _is_of(code: str, entries: Iterable[str]) -> bool:
    return any(code.startswith(each) for each in entries)


def _is_at(site: CallSite, place: str) -> bool:
    path, _, function = place.partition(":")
    file = site.file.replace("\\", "/")
    return (file == path or file.endswith("/" + path)) and function in ("", site.function)
