"""How much a statement asks for, as a number from 0 to 100.

The score is a convention, not a measurement: it says which statements to look at first for what they say,
not which are slow. Each part counts so many points:

- a join: 4, for the planner's choices grow with each;
- a subquery or CTE: 4;
- each level that queries are nested in: 4, as a reader holds all of them in mind;
- a further branch of UNION, INTERSECT or EXCEPT: 4;
- a SELECT that groups, aggregates or removes duplicates: 3;
- a window function: 3;
- a condition of WHERE, ON or HAVING: 1, each of those that AND and OR connect.

The score is 100 · (1 - exp(-points/50)): a lookup by key has 2, a page of three joined tables about 20, a
report of several levels 60 and more. It never reaches 100, and nothing that is added lowers it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from math import exp
from typing import Final

from dbperf.model.facts import Complexity, SelectFacts, SubqueryFacts

_POINTS: Final = {
    "joins": 4,
    "subqueries": 4,
    "nesting": 4,
    "set operations": 4,
    "groupings": 3,
    "windows": 3,
    "conditions": 1,
}
_SCALE: Final = 50


def complexity(
    selects: Sequence[SelectFacts],
    subqueries: Sequence[SubqueryFacts],
    *,
    within: Mapping[int, int],
    joins: int,
    set_operations: int,
    conditions: int,
) -> Complexity:
    """The score of a statement of these parts; `conditions` are all that AND and OR connect.

    `within` has by the scope of a query that of the one around it.
    """
    counts = {
        "joins": joins,
        "subqueries": len(subqueries),
        "nesting": _depth({each.scope for each in subqueries}, within),
        "set operations": set_operations,
        "groupings": sum(bool(each.grouped or each.aggregates or each.distinct) for each in selects),
        "windows": sum(each.windows for each in selects),
        "conditions": conditions,
    }
    return Complexity(_score(counts), counts)


def _score(counts: Mapping[str, int]) -> int:
    points = sum(_POINTS[name] * count for name, count in counts.items())
    return min(99, round(100 * (1 - exp(-points / _SCALE))))


def _depth(subqueries: Set[int], within: Mapping[int, int]) -> int:
    """How many levels of subqueries there are; the parts of a set operation are on the level of it."""
    depths: dict[int, int] = {}
    for scope in sorted(within):  # one around has a lower number than those in it
        depths[scope] = depths.get(within[scope], 0) + (scope in subqueries)
    return max(depths.values(), default=0)
