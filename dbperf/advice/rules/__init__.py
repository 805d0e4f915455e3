"""The rules, one file each; `RULES` is their table of contents, by code.

A rule has a `CODE` and a `SLUG`. Its docstring is its page in Markdown, after a first line
"CODE slug: what is wrong".
"""

from __future__ import annotations

from types import ModuleType
from typing import Final

from dbperf.advice.rules import (
    cartesian_product,
    connection_leak,
    correlated_subquery,
    count_for_existence,
    deep_offset,
    distinct_hides_fanout,
    function_on_column,
    having_for_where,
    huge_in_list,
    idle_in_transaction,
    implicit_cast,
    leading_wildcard,
    limit_without_order,
    missing_index,
    n_plus_one,
    not_in_nullable,
    or_across_columns,
    order_by_random,
    outer_join_made_inner,
    over_fetch,
    pool_too_large,
    pool_too_small,
    pruning_broken,
    repeated_query,
    select_star,
    unbounded_result,
    union_for_union_all,
    wasted_pre_ping,
    write_without_where,
)

RULES: Final[tuple[ModuleType, ...]] = (
    missing_index,
    function_on_column,
    implicit_cast,
    leading_wildcard,
    or_across_columns,
    not_in_nullable,
    deep_offset,
    select_star,
    distinct_hides_fanout,
    count_for_existence,
    order_by_random,
    cartesian_product,
    outer_join_made_inner,
    having_for_where,
    union_for_union_all,
    correlated_subquery,
    huge_in_list,
    unbounded_result,
    limit_without_order,
    write_without_where,
    pruning_broken,
    n_plus_one,
    repeated_query,
    over_fetch,
    pool_too_small,
    pool_too_large,
    connection_leak,
    idle_in_transaction,
    wasted_pre_ping,
)


def page(rule: ModuleType) -> tuple[str, str]:
    """What is wrong where a rule fires, in a line, and the rest of its page; Markdown both."""
    first, _, rest = (rule.__doc__ or "").partition("\n")
    return first.partition(": ")[2].strip(), rest.strip()
