"""Facts of a statement: sqlglot's tree, read once."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from itertools import pairwise
from typing import TypeAlias

from sqlglot import exp
from sqlglot.dialects.dialect import Dialect
from sqlglot.tokenizer_core import Token, TokenType

from dbperf.errors import StatementError
from dbperf.model.facts import SelectFacts, StatementFacts, TableRef
from dbperf.statements.complexity import complexity
from dbperf.statements.confined import on_own_stack, within_budget
from dbperf.statements.findings import Findings
from dbperf.statements.lexer import code, words
from dbperf.statements.parse import LONGEST, ORDINARY, parse, weigh
from dbperf.statements.placeholders import canonical
from dbperf.statements.scopes import folded
from dbperf.statements.tokens import dialect_of, is_postgres
from dbperf.statements.writes import visit

_TRANSACTION = words("abort begin commit end release rollback savepoint start")
_UTILITY = words(
    "analyse analyze attach call checkpoint close cluster copy deallocate declare describe detach discard do "
    "execute explain fetch listen load lock move notify pragma prepare reset set show unlisten use vacuum"
)
_DDL = words("alter comment create drop grant import reassign refresh reindex revoke security truncate")
_DDL_READ = frozenset(["alter", "create", "drop", "truncate"])
_KINDS: tuple[tuple[type[exp.Expr] | tuple[type[exp.Expr], ...], str], ...] = (
    ((exp.Query, exp.Values), "select"),
    (exp.Insert, "insert"),
    (exp.Update, "update"),
    (exp.Delete, "delete"),
    (exp.Merge, "merge"),
)
_WRITES = (
    exp.Insert,
    exp.Update,
    exp.Delete,
    exp.Merge,
    exp.Into,
    exp.Lock,
    exp.Create,
    exp.Drop,
    exp.Command,
)
# Written like calls, but no functions of the server.
_SYNTAX = words(
    "all any array cast coalesce convert exists greatest grouping if in least nullif row some try_cast values"
)
_SERVER_NAMES = {"trim": "btrim"}

_Reading: TypeAlias = Callable[[str, str, Mapping[str, Collection[str]]], StatementFacts]
_REHEARSAL = "SELECT count(*) FROM t JOIN u ON t.a = u.a WHERE t.b = $1 AND u.c IN ($2, $3) GROUP BY t.d"


def analyze_statement(
    sql: str, dialect: str = "postgresql", columns: Mapping[str, Collection[str]] | None = None
) -> StatementFacts:
    """What one SQL statement means; `dialect` is SQLAlchemy's or sqlglot's name.

    Placeholders may be `$n` or in any style that people type. `columns` maps "table" or "schema.table" to
    column names: it tells whose an unqualified column is among several tables. Never raises: what cannot be
    read has `parsed` False and a `reason`.
    """
    known = columns or {}
    try:
        return _contained(sql, dialect, known)
    except RecursionError:
        return on_own_stack(lambda: or_too_deep(_contained, sql, dialect, known))


def _contained(sql: str, dialect: str, columns: Mapping[str, Collection[str]]) -> StatementFacts:
    text = sql
    try:
        text = canonical(sql, "auto").sql if len(sql) <= LONGEST else sql
        weight = weigh(text)
        word = _first_word(text)
        if word in _TRANSACTION | _UTILITY | (_DDL - _DDL_READ):
            kind = "transaction" if word in _TRANSACTION else "ddl" if word in _DDL else "utility"
            return StatementFacts(text, parsed=True, kind=kind)
        if weight <= ORDINARY:
            return read(text, dialect, columns)
        known = {table: tuple(names) for table, names in columns.items()}
        return within_budget(or_too_deep, (read, text, dialect, known), (read, _REHEARSAL, dialect, {}))
    except StatementError as error:
        return StatementFacts(text, parsed=False, reason=error.reason)


def or_too_deep(
    reading: _Reading, sql: str, dialect: str, columns: Mapping[str, Collection[str]]
) -> StatementFacts:
    """What `reading` finds, also where that is that the stack does not suffice."""
    try:
        return reading(sql, dialect, columns)
    except RecursionError:
        return StatementFacts(sql, parsed=False, reason="nested too deeply")


def read(sql: str, dialect: str, columns: Mapping[str, Collection[str]]) -> StatementFacts:
    """The facts of a statement with `$n` placeholders, in whatever time. Raises RecursionError alone."""
    try:
        # Only PostgreSQL's sqlglot reads `$1`; named placeholders are read in every dialect.
        parsed = sql if is_postgres(dialect) else re.sub(r"(?<![\w$])\$(\d+)", r":p\1", sql)
        tree, tokens = parse(parsed, dialect)
        word = _first_word(sql)
        if word in _DDL:
            return _ddl(sql, word, tree)
        return _facts(sql, parsed, tree, tokens, dialect_of(dialect), columns)
    except StatementError as error:
        return StatementFacts(sql, parsed=False, reason=error.reason)
    except RecursionError:
        raise
    except Exception as error:  # noqa: BLE001 - a tree that sqlglot built in a shape nobody expects
        return StatementFacts(sql, parsed=False, reason=f"not understood ({type(error).__name__})")


def _first_word(sql: str) -> str:
    word = re.search(r"[^\W\d]\w*", code(sql))
    return word.group().lower() if word else ""


def _facts(
    text: str,
    parsed: str,
    tree: exp.Expr,
    tokens: list[Token],
    dialect: Dialect,
    columns: Mapping[str, Collection[str]],
) -> StatementFacts:
    kind = next((kind for types, kind in _KINDS if isinstance(tree, types)), "")
    if not kind:
        raise StatementError("not a statement that dbperf reads")
    found = Findings(parsed, dialect, columns, visit)
    visit(found, tree, None, {})
    nodes = list(tree.walk())
    selects = tuple(found.selects.get(scope, SelectFacts(scope)) for scope in range(found.frames))
    subqueries = tuple(sorted(found.subqueries, key=lambda each: each.scope))
    return StatementFacts(
        sql=text,
        parsed=True,
        kind=kind,
        tables=tuple(found.tables),
        columns=found.columns(),
        joins=tuple(sorted(found.joins, key=lambda each: each.scope)),
        filters=tuple(found.filters),
        functions=tuple(_functions(nodes, tokens, parsed, dialect)),
        limit=bool(tree.args.get("limit")),
        offset=bool(tree.args.get("offset")),
        selects=selects,
        subqueries=subqueries,
        set_operations=tuple(found.set_operations),
        ctes=tuple(found.ctes),
        complexity=complexity(
            selects,
            subqueries,
            within=found.within,
            joins=len(found.joins),
            set_operations=len(found.set_operations),
            conditions=sum(map(_adds_condition, nodes)),
        ),
        read_only=kind == "select" and not any(isinstance(each, _WRITES) for each in nodes),
    )


def _ddl(text: str, word: str, tree: exp.Expr) -> StatementFacts:
    if isinstance(tree, exp.Command):
        raise StatementError(f"a form of {word.upper()} that sqlglot does not know")
    with_names = {folded(cte.args["alias"].this) for cte in tree.find_all(exp.CTE)}
    tables = [
        TableRef(folded(each.args.get("db")), folded(each.this), each.alias)
        for each in tree.find_all(exp.Table)
        if isinstance(each.this, exp.Identifier) and folded(each.this) not in with_names
    ]
    return StatementFacts(text, parsed=True, kind="ddl", tables=tuple(dict.fromkeys(tables)))


def _adds_condition(node: exp.Expr) -> bool:
    """Whether there is one condition more for this node: each AND and OR adds one to the first."""
    return isinstance(node, exp.Connector | exp.Where | exp.Having) or (
        isinstance(node, exp.Join) and node.args.get("on") is not None
    )


def _functions(nodes: Iterable[exp.Expr], tokens: list[Token], text: str, dialect: Dialect) -> Iterable[str]:
    """Names of functions as they are written: sqlglot renames those it knows (`now` to CURRENT_TIMESTAMP)."""
    names: dict[str, None] = {}
    for call in nodes:
        if not isinstance(call, exp.Func):
            continue
        if isinstance(call, exp.Anonymous):
            names[folded(call.this) if isinstance(call.this, exp.Expr) else call.name.lower()] = None
        elif (start := call.meta.get("start")) is not None:
            names[text[start : call.meta["end"] + 1].lower()] = None
    # Calls with a grammar of their own (`trim(both …)`) carry no position, nor does unnest in FROM.
    special = {*dialect.parser_class.FUNCTION_PARSERS, "UNNEST"}
    for token, following in pairwise(tokens):
        if following.token_type is TokenType.L_PAREN and token.text.upper() in special:
            names[token.text.lower()] = None
    return (_SERVER_NAMES.get(name, name) for name in names if name not in _SYNTAX)
