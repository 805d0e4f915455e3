"""What was counted of a statement, or a run-time figure, in a window, and its form in a row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b
from typing import Any
from urllib.parse import quote, unquote

from sqlalchemy import Row

from dbperf.model.runtime import Figure
from dbperf.model.workload import COUNTS, TIMES, Access, CallSite, Statement, Workload
from dbperf.workload.keys import access_of, key_of
from dbperf.workload.store.tables import FIGURES, NAMED_BY, STATEMENTS, Family

Key = tuple[Family, int]
"""What counts are of: a statement or a figure, by its id."""

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_KEYS_KEPT = 100_000
_ACCESS_COUNTS = 4
"""Counts of an access: in texts, that many keys in a row are its."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Counters, by column: `numbers`, and `texts`, which each count by keys of their own."""

    numbers: Counter[str] = field(default_factory=Counter)
    texts: Mapping[str, Counter[Any]] = field(default_factory=dict)

    def plus(self, other: Counts) -> Counts:
        """Both together."""
        texts = {
            name: _sum(self.texts.get(name), other.texts.get(name)) for name in {**self.texts, **other.texts}
        }
        return Counts(_sum(self.numbers, other.numbers), texts)

    def minus(self, other: Counts) -> Counts:
        """What is left without `other`, which was counted here."""
        texts = {name: +_difference(each, other.texts.get(name)) for name, each in self.texts.items()}
        return Counts(_difference(self.numbers, other.numbers), texts)

    def names_nothing_beyond(self, other: Counts) -> bool:
        """Whether the sites and labels that are counted by here are all counted by there."""
        return all(
            self.texts[each].keys() <= other.texts[each].keys()
            for each in self.texts.keys() & NAMED_BY.keys()
        )

    @property
    def counted(self) -> int:
        """The sum of all of them: grows whatever is counted."""
        return self.numbers.total() + sum(each.total() for each in self.texts.values())


def _sum(one: Counter[Any] | None, other: Counter[Any] | None) -> Counter[Any]:
    if not one or not other:  # counters are not changed, so they may be shared
        return one or other or Counter()
    total = one.copy()
    total.update(other)
    return total


def _difference(one: Counter[Any], other: Counter[Any] | None) -> Counter[Any]:
    rest = one.copy()
    rest.subtract(other or {})
    return rest


def counts_of(statement: Statement) -> Counts:
    """The counters of a statement of a workload."""
    numbers = Counter({name: getattr(statement, name) for name in COUNTS})
    numbers |= {f"{name}_ns": round(getattr(statement, f"{name}_seconds") * 1e9) for name in TIMES}
    texts: dict[str, Counter[Any]] = {
        "latency": Counter(dict(statement.latency.buckets)),
        "sites": _counter((site_id(each), each.calls) for each in statement.call_sites),
        "failures": _counter((label_id("failure", name), calls) for name, calls in statement.failures),
        "operations": _counter((label_id("operation", name), calls) for name, calls in statement.operations),
        "accesses": _counter(_access_counts(statement.accesses)),
    }
    return Counts(numbers, texts)


def _counter(pairs: Iterable[tuple[int, int]]) -> Counter[int]:
    total: Counter[int] = Counter()
    for key, count in pairs:  # names that differ only in what cannot be stored have one key
        total[key] += count
    return total


def counts_by_id(workload: Workload) -> dict[Key, Counts]:
    """The counters of all statements and figures of a workload."""
    statements = {(STATEMENTS, statement_id(each)): counts_of(each) for each in workload.statements}
    figures = {(FIGURES, figure_id(each)): _figure_counts(each) for each in workload.figures}
    return {**statements, **figures}


def _figure_counts(figure: Figure) -> Counts:
    return Counts(texts={"counts": Counter(dict(figure.counts))})


def to_row(counts: Counts, family: Family) -> dict[str, Any]:
    """The columns of a window that hold counts."""
    numbers = {name: counts.numbers[name] for name in family.numbers}
    texts = {name: _to_text(counts.texts[name]) for name in family.texts}
    return {**numbers, **texts, "counted": counts.counted}


def from_row(row: Row[Any], family: Family) -> Counts:
    """The counts of a row, which may itself be a sum, with texts joined.

    Raises ValueError for text that dbperf did not write.
    """
    numbers = Counter({name: int(getattr(row, name)) for name in family.numbers})
    return Counts(numbers, {name: from_text(getattr(row, name), named=family.named) for name in family.texts})


def statement_id(statement: Statement) -> int:
    """The same in every store, so that writers need not ask for it."""
    return hashed(statement.fingerprint, statement.dialect, storable(statement.database))


def site_id(site: CallSite) -> int:
    """The same in every store. 48 bits, for it is in every row: among 10,000 lines, two are the same with a
    chance of 1 in 5 million.
    """
    return hashed(storable(site.file), str(site.line), site.function) >> 15


@lru_cache(maxsize=10_000)  # the same are told again and again, each second
def label_id(kind: str, body: str) -> int:
    """The same in every store; 48 bits, as that of a site."""
    return hashed(kind, storable(body)) >> 15


def figure_id(figure: Figure) -> int:
    """The same in every store."""
    return hashed(figure.kind, storable(figure.name), storable(figure.database))


def hashed(*parts: str) -> int:
    """63 bits of BLAKE2b: among a million of them, two are the same with a chance of 1 in 18 million."""
    text = "\0".join(parts).encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(text, digest_size=8).digest()) >> 1


def storable(text: str) -> str:
    """Text as a database takes it: half surrogates have no UTF-8, and PostgreSQL stores no NUL."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8").replace("\0", "\\x00")


def _access_counts(accesses: Iterable[Access]) -> Iterator[tuple[int, int]]:
    for each in accesses:
        key = label_id("access", key_of(each)) * _ACCESS_COUNTS
        counts = (each.operations, each.calls, each.nanoseconds, each.reads)
        yield from ((key + number, count) for number, count in enumerate(counts) if count)


def accesses_from(counts: Mapping[int, int], labels: Mapping[int, str]) -> list[Access]:
    """Accesses from their counts and the labels that are their keys. Raises ValueError for other labels."""
    ids = {key // _ACCESS_COUNTS for key in counts}
    return [
        access_of(
            labels[each], *(counts.get(each * _ACCESS_COUNTS + number, 0) for number in range(_ACCESS_COUNTS))
        )
        for each in ids
        if each in labels
    ]


def named_in(text: str, column: str) -> set[int]:
    """The ids in the table that names what a text of a column counts by."""
    keys = set(from_text(text))
    return {key // _ACCESS_COUNTS for key in keys} if column == "accesses" else keys


# In texts, a number is written in base 36 before its count, which is left out where it is 1: "4p:3 4q:". A
# name is quoted: "GET%20%2F*3". The numbers of older stores are decimal, "170*3".


def _to_text(counter: Counter[Any]) -> str:
    return " ".join(_part(key, calls) for key, calls in sorted(counter.items()))


def _part(key: Any, calls: int) -> str:
    if type(key) is str:
        return f"{quote(key, safe='', errors='surrogatepass')}*{calls}"
    return f"{_base36(key)}:{'' if calls == 1 else calls}"


@lru_cache(maxsize=_KEYS_KEPT)
def _base36(number: int) -> str:
    digits = ""
    while True:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
        if not number:
            return digits


def from_text(text: str, *, named: bool = False) -> Counter[Any]:
    """The counts in a text, or in several joined by spaces. Raises ValueError for any other."""
    if not text:
        return Counter()
    # Equal parts are many in texts that were joined, and are counted in C before they are read; keys become
    # numbers last: a month has millions of parts.
    calls: dict[str, int] = {}
    for part, times in Counter(text.split()).items():
        key, mark, count = part.partition(":")
        if not mark:
            key, count = part.split("*")
            key += "*"
        calls[key] = calls.get(key, 0) + (int(count) if count or not mark else 1) * times
    read = _name if named else _number
    total: Counter[Any] = Counter()
    for key, added in calls.items():
        total[read(key)] += added
    return total


def _name(key: str) -> str:
    return unquote(key.removesuffix("*"), errors="surrogatepass")


@lru_cache(maxsize=_KEYS_KEPT)
def _number(key: str) -> int:
    return int(key[:-1]) if key.endswith("*") else int(key, 36)
