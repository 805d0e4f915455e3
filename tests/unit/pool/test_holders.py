"""The stacks that a pool keeps of who takes its connections."""

from __future__ import annotations

import _thread
import sys
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from dbperf.pool import AdaptivePool
from dbperf.pool.holders import Stack, lines, site, stack_of, taken_by_thread

HERE = __file__


class Nothing:
    """A connection to nowhere."""

    def close(self) -> None: ...
    def rollback(self) -> None: ...


@pytest.fixture
def pool() -> AdaptivePool:
    return AdaptivePool(Nothing, reset_on_return=None)


def deep(levels: int, call: Callable[[], Any]) -> Any:
    return call() if levels == 0 else deep(levels - 1, call)


def in_thread(call: Callable[[], Stack]) -> Stack:
    """Of a thread with no frame but those of `call`."""
    results: SimpleQueue[Stack] = SimpleQueue()
    _thread.start_new_thread(lambda: results.put(call()), ())
    return results.get(timeout=10)


def functions(stack: Stack) -> list[str]:
    return [function.rpartition(".")[2] for _, _, function in lines(stack)]


def test_the_five_innermost_frames_are_kept(pool: AdaptivePool) -> None:
    connection = deep(6, pool.connect)
    ((_, _, stack),) = pool._out.values()
    connection.close()
    assert functions(stack) == ["deep"] * 5


def test_a_stack_of_fewer_frames_is_kept_whole() -> None:
    stack = in_thread(lambda: stack_of(sys._getframe()))
    assert functions(stack) == ["<lambda>", "<lambda>"]


def test_each_frame_has_its_own_line() -> None:
    def take() -> Stack:
        return stack_of(sys._getframe())

    at = sys._getframe().f_lineno
    stack = take()
    first, second, *_ = lines(stack)
    assert (first[:2], second[:2]) == ((HERE, at - 2), (HERE, at + 1))
    assert site(stack) == first


def test_what_the_engine_adds_is_left_out() -> None:
    engine = sa.create_engine("sqlite://", poolclass=AdaptivePool)
    with engine.connect():
        ((_, _, stack),) = engine.pool._out.values()
    assert functions(stack)[0] == "test_what_the_engine_adds_is_left_out"


def test_what_a_session_adds_is_left_out() -> None:
    engine = sa.create_engine("sqlite://", poolclass=AdaptivePool)
    with Session(engine) as session:
        session.execute(sa.text("SELECT 1"))
        ((_, _, stack),) = engine.pool._out.values()
    assert functions(stack)[0] == "test_what_a_session_adds_is_left_out"


def test_generated_code_is_not_the_applications() -> None:
    scope: dict[str, Any] = {"call": lambda: stack_of(sys._getframe())}
    exec(compile("def generated(): return call()", "<generated>", "exec"), scope)
    stack = scope["generated"]()[2:]  # as if it were what SQLAlchemy is called by
    assert functions(stack)[0] == "generated"
    assert site(stack)[2] == "test_generated_code_is_not_the_applications"


def test_who_asks_for_a_record_in_a_bare_thread_is_told_too() -> None:
    """There the stack has less above a checkout than SQLAlchemy puts there."""
    stack = in_thread(lambda: taken_by_thread(0.0)[2])
    assert functions(stack) == ["<lambda>", "<lambda>"]
