"""COMMIT and ROLLBACK are counted apart from statements, however a transaction is begun."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import Session

from dbperf.model.workload import Statement, Workload

Only = Callable[[Any, str], Statement]
Seen = Callable[[Any], Workload]
ASK = sa.text("select 1 as asked")


def ended(workload: Workload) -> tuple[int, int, int]:
    """Commits, rollbacks, and how many of these failed."""
    for each in workload.transactions:
        assert each.commit.count == each.commits
        return each.commits, each.rollbacks, each.errors
    return 0, 0, 0


def test_begin(engine: sa.Engine, seen: Seen) -> None:
    for _ in range(3):
        with engine.begin() as connection:
            connection.execute(ASK)
    assert ended(seen(engine)) == (3, 0, 0)
    with pytest.raises(sa.exc.DBAPIError), engine.begin() as connection:
        connection.execute(sa.text("select missing"))
    assert ended(seen(engine)) == (3, 1, 0)
    (transactions,) = seen(engine).transactions
    assert transactions.commit_seconds > 0
    assert transactions.rollback_seconds > 0


def test_a_connection_is_rolled_back_as_it_is_returned(engine: sa.Engine, seen: Seen) -> None:
    with engine.connect() as connection:
        connection.execute(ASK)
        connection.execute(ASK)
    assert ended(seen(engine)) == (0, 1, 0)
    with engine.connect():
        pass  # nothing ran, so there is nothing to roll back
    with engine.connect() as connection:
        connection.execute(ASK)
        connection.commit()
        connection.execute(ASK)
        connection.rollback()
    assert ended(seen(engine)) == (1, 2, 0)


def test_savepoints_are_statements(engine: sa.Engine, only: Only, seen: Seen) -> None:
    with engine.begin() as connection:
        connection.execute(ASK)
        with connection.begin_nested():
            connection.execute(ASK)
        with pytest.raises(LookupError), connection.begin_nested():
            raise LookupError
    assert ended(seen(engine)) == (1, 0, 0)
    assert only(engine, "asked").calls == 2
    kinds = ("SAVEPOINT", "RELEASE SAVEPOINT", "ROLLBACK TO SAVEPOINT")
    statements = seen(engine).statements
    counts = [sum(each.calls for each in statements if each.sql.startswith(kind)) for kind in kinds]
    assert counts == [2, 1, 1]


def test_autocommit(engine: sa.Engine, only: Only, seen: Seen) -> None:
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for _ in range(3):
            connection.execute(ASK)
    assert only(engine, "asked").calls == 3
    assert ended(seen(engine))[0] == 0


def test_a_session(engine: sa.Engine, seen: Seen) -> None:
    with Session(engine) as session:
        session.execute(ASK)
        session.commit()
        session.execute(ASK)
        session.commit()
        session.commit()  # of nothing
        session.execute(ASK)
    assert ended(seen(engine)) == (2, 1, 0)


def test_two_phases_are_statements(postgres: sa.Engine, only: Only) -> None:
    with postgres.connect() as connection:
        transaction = connection.begin_twophase()
        connection.execute(ASK)
        transaction.rollback()
    assert only(postgres, "asked").calls == 1


def test_a_commit_that_fails(postgres: sa.Engine, seen: Seen) -> None:
    with postgres.begin() as connection:
        connection.execute(sa.text("create table t (a int unique deferrable initially deferred)"))
    with pytest.raises(sa.exc.IntegrityError), postgres.begin() as connection:
        connection.execute(sa.text("insert into t values (1), (1)"))
    commits, rollbacks, errors = ended(seen(postgres))
    assert (commits, errors) == (1, 1)
    assert rollbacks <= 1


def test_asyncio(async_url: str, only: Only, asynchronously: Callable[..., Workload]) -> None:
    async def work(engine: AsyncEngine) -> None:
        for _ in range(3):
            async with engine.begin() as connection:
                await connection.execute(ASK)
        async with AsyncSession(engine) as session:
            await session.execute(ASK)

    workload = asynchronously(async_url, work)
    assert ended(workload) == (3, 1, 0)
    assert only(workload, "asked").calls == 4
