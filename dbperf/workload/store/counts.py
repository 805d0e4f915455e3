"""What was counted of a statement in a window, and its form in a row."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from sqlalchemy import Row

from dbperf.model.workload import CallSite, Statement

NUMBERS = ("calls", "parameter_sets", "rows", "errors", "cancellations", "execute_ns")


@dataclass(frozen=True, slots=True)
class Counts:
    """Counters of a statement; `numbers` by column, `latency` by bucket, `sites` by the site's id."""

    numbers: Counter[str] = field(default_factory=Counter)
    latency: Counter[int] = field(default_factory=Counter)
    sites: Counter[int] = field(default_factory=Counter)

    def plus(self, other: Counts) -> Counts:
        """Both together."""
        total = Counts(self.numbers.copy(), self.latency.copy(), self.sites.copy())
        total.numbers.update(other.numbers)
        total.latency.update(other.latency)
        total.sites.update(other.sites)
        return total

    def minus(self, other: Counts) -> Counts:
        """What is left without `other`, which was counted here."""
        rest = Counts(self.numbers.copy(), self.latency.copy(), self.sites.copy())
        rest.numbers.subtract(other.numbers)
        rest.latency.subtract(other.latency)
        rest.sites.subtract(other.sites)
        return Counts(rest.numbers, +rest.latency, +rest.sites)


def counts_of(statement: Statement) -> Counts:
    """The counters of a statement of a workload."""
    return Counts(
        Counter(
            calls=statement.calls,
            parameter_sets=statement.parameter_sets,
            rows=statement.rows,
            errors=statement.errors,
            cancellations=statement.cancellations,
            execute_ns=round(statement.execute_seconds * 1e9),
        ),
        Counter(dict(statement.latency.buckets)),
        Counter({site_id(each): each.calls for each in statement.call_sites}),
    )


def to_row(counts: Counts) -> dict[str, Any]:
    """The columns of a window that hold counts."""
    numbers = {name: counts.numbers[name] for name in NUMBERS}
    return numbers | {"latency": _to_text(counts.latency), "sites": _to_text(counts.sites)}


def from_row(row: Row[Any]) -> Counts:
    """The counts of a row, which may itself be a sum, with texts joined.

    Raises ValueError for text that dbperf did not write.
    """
    numbers = Counter({name: int(getattr(row, name)) for name in NUMBERS})
    return Counts(numbers, from_text(row.latency), from_text(row.sites))


def statement_id(statement: Statement) -> int:
    """The same in every store, so that writers need not ask for it."""
    return hashed(statement.fingerprint, statement.dialect, storable(statement.database))


def site_id(site: CallSite) -> int:
    """The same in every store. 48 bits, for it is in every row: among 10,000 lines, two are the same with a
    chance of 1 in 5 million.
    """
    return hashed(storable(site.file), str(site.line), site.function) >> 15


def hashed(*parts: str) -> int:
    """63 bits of BLAKE2b: among a million of them, two are the same with a chance of 1 in 18 million."""
    text = "\0".join(parts).encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(text, digest_size=8).digest()) >> 1


def storable(text: str) -> str:
    """Text as a database takes it: half surrogates have no UTF-8, and PostgreSQL stores no NUL."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8").replace("\0", "\\x00")


def _to_text(counter: Counter[int]) -> str:
    return " ".join(f"{key}*{calls}" for key, calls in sorted(counter.items()))


def from_text(text: str) -> Counter[int]:
    """The counts in a text, or in several joined by spaces. Raises ValueError for any other."""
    # Equal parts are many in texts that were joined, and are counted in C before they are read; keys become
    # numbers last: a month has millions of parts.
    calls: dict[str, int] = {}
    for part, times in Counter(text.split()).items():
        key, count = part.split("*")
        calls[key] = calls.get(key, 0) + int(count) * times
    return Counter({int(key): count for key, count in calls.items()})
