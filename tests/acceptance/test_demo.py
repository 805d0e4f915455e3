"""`dbperf demo`, as a user runs it."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

COMMAND = [str(Path(sys.executable).with_name("dbperf")), "demo"]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A TMPDIR of its own, so that what is left behind can be seen; the server's account must get in."""
    folder = Path("/tmp") / f"dbperf-test-{os.getpid()}-{tmp_path.name}"
    folder.mkdir(mode=0o1777)
    folder.chmod(0o1777)
    return folder


def start(place: Path, *options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, *options],
        env=os.environ | {"TMPDIR": str(place)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def empty(place: Path) -> bool:
    return not any(place.iterdir())


def tables(place: Path) -> int:
    """How many tables of the shop exist by now; 0 as long as there is no server."""
    for folder in place.glob("dbperf-*/data"):
        try:
            with psycopg.connect(host=str(folder), user="postgres", dbname="shop") as connection:
                row = connection.execute("SELECT count(*) FROM pg_stat_user_tables").fetchone()
                return row[0] if row else 0
        except psycopg.OperationalError:
            return 0
    return 0


def test_the_demo_proves_its_advice_and_keeps_the_shop_when_asked(place: Path) -> None:
    demo = start(place, "--keep", "--format", "json")
    out, err = demo.communicate(timeout=600)
    assert demo.returncode == 0, err
    report = json.loads(out)

    found = {each["id"]: each for each in report["recommendations"]}
    assert {"DBP101:public.order_items(order_id)", "DBP101:public.orders(tracking_number)"} <= set(found)
    foreign_key = found["DBP101:public.order_items(order_id)"]
    assert foreign_key["verification"]["level"] == "measured"
    assert foreign_key["verification"]["seconds_after"] < foreign_key["verification"]["seconds_before"]
    assert any(site["file"].endswith("shop/sync.py") for site in foreign_key["call_sites"])
    verdicts = {each["sql"]: each["verdict"] for each in report["statements"]}
    assert all(verdicts.values())
    assert any("function on the column" in each for each in verdicts.values())
    assert report["summary"]["execute_seconds_after"] < report["summary"]["execute_seconds"]

    said = re.search(r"psql '(.+)'\n.*?(kill \d+)", err, re.DOTALL)
    assert said, err
    with psycopg.connect(said[1]) as connection:
        row = connection.execute("SELECT count(*) FROM pg_indexes WHERE indexname LIKE 'ix_%'").fetchone()
        assert row is not None
        proven = [each for each in found.values() if each["verification"]["level"] in {"measured", "what-if"}]
        assert row[0] >= sum(len(each["ddl"]) for each in proven)
        row = connection.execute("SELECT sum(n_live_tup) FROM pg_stat_user_tables").fetchone()
        assert row is not None
        assert row[0] >= 1_500_000
    subprocess.run(shlex.split(said[2]), check=True)
    wait_for(lambda: empty(place))
    place.rmdir()


@pytest.mark.parametrize(
    "moment",
    [
        pytest.param(lambda place: not empty(place), id="while PostgreSQL starts"),
        pytest.param(lambda place: tables(place) > 0, id="while the shop runs"),
    ],
)
def test_ctrl_c_leaves_nothing_behind(place: Path, moment: Callable[[Path], bool]) -> None:
    demo = start(place)
    wait_for(lambda: moment(place))
    demo.send_signal(signal.SIGINT)
    out, err = demo.communicate(timeout=60)
    assert demo.returncode == 130
    assert (out, err.strip()) == ("", "")
    wait_for(lambda: empty(place))
    place.rmdir()
