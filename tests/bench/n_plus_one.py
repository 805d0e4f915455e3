"""How many N+1 queries are found, and how many false alarms given, beside the closest peers.

    uv run --group bench python tests/bench/n_plus_one.py

The shapes of tests/shapes, on SQLite. dbperf has each run of one in an operation. The peers, queryspy and
pytest-queryguard, are pytest plugins and have each shape as one test, as they are meant to be used: with
`--queryspy-strict`, and pytest-queryguard with its defaults and its check of unused eager loads, which is off
by default, switched on.

Precision: of the shapes that a tool calls bad, those that are. Recall: of those that are bad, those it calls
so. An alarm is false where nothing is to be found. "Names the line": the finding has the line that is meant;
"names the option": it has the loader option that helps, of those shapes that one helps. Shapes that are none
only because there are few executions are left out: there each tool draws a line of its own. What each tool is
wrong on is told below the table; right and wrong are what the comments of the shapes say.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from xml.etree import ElementTree

import sqlalchemy as sa

import dbperf
from dbperf.report.format import place

TESTS = Path(__file__).parents[1]
sys.path.insert(0, str(TESTS))

from shapes import one_by_one, wasted, well_done  # noqa: E402
from shapes.models import fill  # noqa: E402
from shapes.shape import SHAPES, Shape, findings  # noqa: E402

MODULES = (one_by_one, wasted, well_done)
PEERS = {
    "queryspy": ["-p", "queryspy.pytest_plugin", "--queryspy-strict"],
    "pytest-queryguard": ["-p", "pytest_queryguard.plugin", "-o", "queryguard_unused_eager_load=fail"],
}
TITLES = {
    "DBP401": "N+1 (DBP401)",
    "DBP402": "the same again (DBP402)",
    "DBP403": "loaded and never read (DBP403)",
}
OURS = [each for each in SHAPES if "sqlite" in each.dialects and not each.few]

Alarms = Mapping[str, str]
"""What a tool says, by shape; shapes of which it says nothing are not in it."""


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool, its alarms, and the shapes that it could not run."""

    name: str
    alarms: Alarms
    failed: Alarms


def dbperf_on(url: sa.URL) -> Tool:
    """What dbperf finds."""
    alarms: dict[str, str] = {}
    for shape in OURS:
        if found := findings(shape, url):
            lines = [place(site) for each in found for site in each.call_sites]
            alarms[shape.name] = "\n".join([each.fix for each in found] + lines)
    return Tool(f"dbperf {dbperf.__version__}", alarms, {})


def peer_on(name: str, url: sa.URL, folder: Path) -> Tool:
    """What a pytest plugin fails tests for."""
    results = folder / f"{name}.xml"
    environment = {
        **os.environ,
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTHONPATH": os.pathsep.join([str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])]),
        "SHAPES_URL": url.render_as_string(),
    }
    module = str(TESTS / "bench" / "under_peers.py")
    command = [sys.executable, "-m", "pytest", "-q", "-c", os.devnull, f"--rootdir={TESTS}", *PEERS[name]]
    command += ["-p", "no:cacheprovider", f"--junitxml={results}", module]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if not results.exists():
        sys.exit(ran.stdout + ran.stderr)
    alarms: dict[str, str] = {}
    failed: dict[str, str] = {}
    for case in ElementTree.parse(results).iter("testcase"):
        shape = re.sub(r"^test\[(.*)\]$", r"\1", case.get("name", ""))
        for bad in (*case.findall("failure"), *case.findall("error")):
            told = f"{bad.get('message')}\n{bad.text}"
            mine = re.search(r"N\+1 detected|identical queries|queryguard: ", told)
            (alarms if mine else failed)[shape] = told
    return Tool(f"{name} {version(name)}", alarms, failed)


def tell(tools: list[Tool]) -> None:
    """Print the figures side by side, then every shape on which a tool is wrong."""
    width = max(len(each.name) for each in tools) + 2
    print(f"{len(OURS)} shapes, SQLAlchemy {version('sqlalchemy')}\n")
    print(" " * 34 + "".join(f"{each.name:>{width}}" for each in tools))
    clean = [each for each in OURS if not each.expected]
    for code, title in TITLES.items():
        bad = [each for each in OURS if code in each.codes]
        rows: dict[str, list[str]] = {}
        for tool in tools:
            for label, figure in _figures(tool, bad, clean).items():
                rows.setdefault(label, []).append(figure)
        print(f"{title}: {len(bad)} shapes, and {len(clean)} with nothing to find")
        for label, figures in rows.items():
            print(f"  {label:<32}" + "".join(f"{each:>{width}}" for each in figures))
    print()
    for tool in tools:
        missed = [each.name for each in OURS if each.expected and each.name not in tool.alarms]
        false = [each.name for each in clean if each.name in tool.alarms]
        print(f"{tool.name}\n  missed: {_listed(missed)}\n  false alarms: {_listed(false)}")
        if tool.failed:
            print(f"  could not run: {_listed(list(tool.failed))}")


def _figures(tool: Tool, bad: list[Shape], clean: list[Shape]) -> dict[str, str]:
    right = [each for each in bad if each.name in tool.alarms]
    false = [each for each in clean if each.name in tool.alarms]
    alarms = len(right) + len(false)
    lines = sum(all(f":{one.line}" in tool.alarms[each.name] for one in each.expected) for each in right)
    helped = [(each, option) for each in bad if (option := _option(each))]
    options = sum(option in tool.alarms.get(each.name, "") for each, option in helped)
    return {
        "precision": f"{len(right) / alarms:.2f}" if alarms else "-",
        "recall": f"{len(right) / len(bad):.2f}",
        "names the line": f"{lines} of {len(bad)}",
    } | ({"names the option": f"{options} of {len(helped)}"} if helped else {})


def _option(shape: Shape) -> str:
    """The last loader option that a shape asks for: `selectinload(Post.comments)`."""
    texts = [each.text for each in shape.expected]
    found = re.findall(r"(?:\w+load|undefer)\([\w.]+\)", " ".join(texts))
    return found[-1] if found else ""


def _listed(names: list[str]) -> str:
    return ", ".join(names) or "none"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        url = sa.URL.create("sqlite", database=f"{folder}/shapes.db")
        engine = sa.create_engine(url)
        fill(engine)
        engine.dispose()
        tell([dbperf_on(url), *(peer_on(each, url, Path(folder)) for each in PEERS)])


if __name__ == "__main__":
    main()
