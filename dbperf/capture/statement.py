"""What is asked about a statement once, when it is first seen, or first seen to repeat."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any

from sqlalchemy.engine.interfaces import ExecuteStyle

from dbperf.capture.failure import kind_of
from dbperf.capture.slot import LOOP, PAGE, Site, Slot

_SAVEPOINT = re.compile(r"\bsa_savepoint_\d+")
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_READS = re.compile(
    r"\s*(?:/\*.*?\*/\s*|--[^\n]*\n\s*)*\(*\s*(?:select|with|values|show|table)\b", re.I | re.DOTALL
)
_OFFSET = re.compile(r"\boffset\b", re.I)
_OF_AN_INSERT = ("_select_names", "_post_values_clause", "_multi_values", "_prefixes")
"""What makes the rows of an INSERT others than its parameter sets, each None or () where there is none."""
_WRITES = re.compile(r"\b(?:insert|update|delete|merge|into)\b", re.I)


def key_of(statement: str, context: Any) -> str:
    """What a statement is known by: its text, unless that is another each time.

    Lists of IN and the batches of an insert are written out anew for each execution: then it is what
    SQLAlchemy compiled once, so 50 lengths of a list are one statement. Comments may tell a request's id.
    """
    compiled = getattr(context, "compiled", None)
    varies = getattr(compiled, "post_compile_params", None) or is_batched(context)
    if compiled is not None and varies and "schema_translate_map" not in context.execution_options:
        return str(compiled.string)
    if "sa_savepoint_" in statement:  # SQLAlchemy numbers them
        return _SAVEPOINT.sub("sa_savepoint", statement)
    return _COMMENT.sub("", statement) if "/*" in statement else statement


def describe(slot: Slot, statement: str, context: Any) -> None:
    """What is known of a statement from its first execution."""
    compiled = getattr(context, "compiled", None)
    if compiled is not None and not context.is_text:
        writes = context.is_crud or context.isddl or _writes_within(compiled)
        slot.reads = not writes and bool(_READS.match(statement))
        slot.batched = context.isinsert  # it may be, next time
        slot.inserts_each = context.isinsert and _inserts_each(compiled.statement)
    else:
        slot.reads = bool(_READS.match(statement)) and not _WRITES.search(statement)
    if context is not None and (asked := context.execution_options.get("dbperf_ignore")):
        several = isinstance(asked, list | tuple | set | frozenset)
        slot.ignored = ",".join(map(str, asked)) if several else str(asked)
    if _is_orm(context):
        _note_loads(slot, context)


def changed(slot: Slot, cursor: Any, parameters: Any, context: Any, *, many: bool) -> int | None:
    """How many rows a statement that writes has written; None where its fetch will tell.

    The driver may take long to say so: SQLAlchemy asks it of an UPDATE or DELETE alone, and once, so it is
    told what was answered to us.
    """
    if slot.inserts_each:
        if is_batched(context):
            return len(context.compiled_parameters)
        return len(parameters) if many else 1
    rows = cursor.rowcount
    # None, or worse. And SQLite has changed none yet where it returns what it changes.
    if type(rows) is not int or rows <= 0:
        return None
    asks = context is not None and (context.isupdate or context.isdelete) and context._rowcount is None
    if asks and cursor.description is None:
        context._rowcount = rows
    return rows


def _writes_within(compiled: Any) -> bool:
    """Whether a query writes in its WITH."""
    return any(getattr(each.element, "is_dml", False) for each in getattr(compiled, "ctes", None) or ())


def _inserts_each(statement: Any) -> bool:
    """Whether an INSERT writes each set of its parameters as one row, whatever is in the table."""
    parts = (getattr(statement, name, True) for name in _OF_AN_INSERT)
    return all(part is None or part == () for part in parts)


def continues(slot: Slot, context: Any, nanoseconds: int, cursor: Any, error: BaseException | None) -> bool:
    """Whether this is a later batch of an execution that was counted with its first; then it is added there.

    Its latency stays that of the first batch.
    """
    if not is_batched(context):
        return False
    if not getattr(context, "_dbperf_began", False):
        context._dbperf_began = True
        slot.more_sets += len(context.compiled_parameters) - 1
        return False
    slot.more_ns += nanoseconds
    if error is not None:
        slot.failed(kind_of(error), type(error).__name__)
    elif not slot.inserts_each and type(rows := cursor.rowcount) is int and rows > 0:
        slot.rows += rows
    slot.touched()
    return True


def note_load(site: Site, context: Any) -> None:
    """Ask the ORM what a line loads that runs its statement again and again."""
    site.load = PAGE if _is_page(context) else LOOP
    if _is_orm(context):
        with suppress(Exception):
            from dbperf.capture import orm

            site.load = orm.relationship_load(context) or site.load


def _is_page(context: Any) -> bool:
    """Whether an OFFSET is asked for. SQLite is sent one behind every LIMIT."""
    statement: Any = getattr(context, "invoked_statement", None)
    if hasattr(statement, "_offset_clause"):
        return statement._offset_clause is not None
    return bool(_OFFSET.search(getattr(context, "statement", None) or ""))


def _note_loads(slot: Slot, context: Any) -> None:
    # What the ORM knows is internal to it: where a version has it elsewhere, less is known, and no more.
    with suppress(Exception):
        from dbperf.capture import orm

        slot.loads = orm.loaded(context)
        if found := orm.eager(context):
            slot.home.along.note(slot, found)


def _is_orm(context: Any) -> bool:
    attributes = getattr(getattr(context, "invoked_statement", None), "_propagate_attrs", None) or {}
    return bool(attributes.get("compile_state_plugin") == "orm")


def is_batched(context: Any) -> bool:
    """Whether an execution is an insert in several batches, each a call of the driver."""
    return getattr(context, "execute_style", None) is ExecuteStyle.INSERTMANYVALUES
