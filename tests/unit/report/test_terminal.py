from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from dbperf.model.histogram import Latency
from dbperf.model.recommendation import Level, Recommendation, Verification
from dbperf.model.report import Coverage, Replayed, Report, Skipped, StatementReport
from dbperf.model.workload import CallSite
from dbperf.report.terminal import open_console, render

DDL_START = "    CREATE INDEX"


def shown(report: Report, width: int = 80) -> str:
    """What a pipe of that width receives."""
    out = io.StringIO()
    render(report, Console(file=out, width=width, _environ={}))
    return out.getvalue()


def flat(text: str) -> str:
    """Without the line breaks, for sentences that may be folded."""
    return " ".join(text.split())


def with_sql(report: Report, sql: str) -> Report:
    """The report with another text for its first statement, everywhere it stands."""
    first, *rest = report.statements
    (index,) = report.recommendations
    changed = replace(first, statement=replace(first.statement, sql=sql))
    evidence = tuple(
        replace(each, sql=sql) if each.fingerprint == first.statement.fingerprint else each
        for each in index.evidence
    )
    skipped = (Skipped("f4", sql, "it does not parse"),)
    return replace(
        report,
        statements=(changed, *rest),
        recommendations=(replace(index, evidence=evidence),),
        coverage=replace(report.coverage, skipped=skipped),
    )


def assert_fits(text: str, width: int) -> None:
    for line in text.splitlines():
        if not line.startswith(DDL_START):
            assert cell_len(line) <= width, line
            assert line == line.rstrip(), f"{line!r} ends in white space"


@pytest.mark.parametrize("width", [80, 100, 120])
@pytest.mark.parametrize("applied", [False, True])
def test_no_line_is_wider_than_the_terminal(busy: Report, width: int, applied: bool) -> None:
    assert_fits(shown(replace(busy, applied=applied), width), width)


@pytest.mark.parametrize("width", [80, 120])
def test_where_the_time_went_and_what_failed(busy: Report, width: int) -> None:
    text = shown(busy, width)
    told = flat(text)
    assert "44.0 s 1,200 34.3 ms 35.7 ms SELECT" in told
    assert "execute 41.2 s + fetch 2.80 s; 4.40 s more waiting for a connection" in told
    assert "1 error, 3 timeouts: 3 QueryCanceled, 1 DeadlockDetected" in told
    assert told.startswith("1 missing index: 48.8 s of the 54.8 s captured can be saved (measured)")
    applied = flat(shown(replace(busy, applied=True), width))
    assert "44.0 s 2.84 s 15x faster SELECT" in applied, "as the application waited for it, both times"


def test_the_sections_of_what_ran_around_the_statements(busy: Report, shop: Report) -> None:
    text = shown(busy)
    places = [
        text.index(f"\n\n{title}  ") for title in ("Statements", "Operations", "Connections", "Coverage")
    ]
    assert places == sorted(places)
    assert "dbperf itself took about 1.90 µs a call, measured at 12,000 calls" in text
    assert "Operations" not in shown(shop)
    assert "Connections" not in shown(shop)


def test_the_verdict_comes_first(shop: Report) -> None:
    first, *_ = shown(shop).splitlines()
    assert first == "1 missing index: 46.1 s of the 52.0 s captured can be saved (measured)"


@pytest.mark.parametrize("width", [80, 120])
def test_a_recommendation_tells_where_what_and_how_it_is_known(shop: Report, width: int) -> None:
    text = shown(shop, width)
    told = flat(text)
    assert "#1  Missing index on orders" in text
    assert "    warning  DBP101: can save 46.1 s of the 52.0 s captured (89%)" in text
    assert "shop/orders.py:42 recent_orders, 1,100 calls" in text
    assert "/srv/shop/admin.py:7 export, 100 calls" in text
    assert "1,200 calls: 34.3 ms → 120 µs, 286x faster (measured)" in told
    assert "planner cost 24,310 → 8.44 (estimate, not time), 5 captured parameter sets" in told
    assert "Seq Scan on orders → Index Scan on orders using ix_orders" in told
    assert "Proof measured: the index was built and each statement timed" in told
    assert "on server version 18.4" in told
    assert 'In code Index("ix_orders_customer_id_created_at_status", Order.customer_id' in told
    assert "Size 32.1 MB" in told
    assert "Writes one more index for each INSERT" in told
    assert "Risk CONCURRENTLY takes no lock" in told
    assert "To prove" not in told


def test_the_largest_gain_stands_first(shop: Report) -> None:
    text = shown(shop)
    assert text.index("286x faster") < text.index("2.0x faster")


@pytest.mark.parametrize("width", [80, 120])
def test_ddl_can_be_copied(shop: Report, index: Recommendation, width: int) -> None:
    lines = [line.strip() for line in shown(shop, width).splitlines()]
    assert index.ddl[0] in lines


def test_ddl_of_several_lines_keeps_them(shop: Report, index: Recommendation) -> None:
    several = replace(index, ddl=("CREATE INDEX a\n    ON t (x);\n", "ANALYZE t;"), fix="ANALYZE t;")
    lines = shown(replace(shop, recommendations=(several,))).splitlines()
    start = lines.index("    CREATE INDEX a")
    assert lines[start : start + 3] == ["    CREATE INDEX a", "        ON t (x);", "    ANALYZE t;"]
    assert lines.count("    ANALYZE t;") == 1, "a fix that is the DDL is not shown twice"


def test_code_of_several_lines_keeps_them(shop: Report, index: Recommendation) -> None:
    query = "SELECT id\n  FROM orders\n WHERE id = $1"
    lines = shown(replace(shop, recommendations=(replace(index, fix=query),))).splitlines()
    start = lines.index("    SELECT id")
    assert lines[start : start + 3] == ["    SELECT id", "      FROM orders", "     WHERE id = $1"]


def test_a_line_that_runs_several_statements_is_told_once(shop: Report, index: Recommendation) -> None:
    site = CallSite("/srv/shop/admin.py", 7, "export", 100)
    sites = (site, *(CallSite("/srv/shop/jobs.py", line, "job", 1) for line in range(6)), site)
    text = shown(replace(shop, recommendations=(replace(index, call_sites=sites),)))
    assert "/srv/shop/admin.py:7 export, 200 calls" in text
    assert "/srv/shop/jobs.py:3 job, 1 call" in text
    assert "and 2 more lines of the application" in text


@pytest.mark.parametrize("width", [80, 120])
def test_every_statement_has_its_times_and_its_verdict(shop: Report, width: int) -> None:
    told = flat(shown(shop, width))
    assert "41.2 s 1,200 34.3 ms 35.7 ms SELECT … FROM orders WHERE orders.customer_id" in told
    assert "shop/orders.py:42 recent_orders and 1 more line #1 missing index" in told
    assert "no index helps: lower(email) is not a bare column" in told
    assert "not explained: it does not parse" in told


def test_failures_and_missing_times_of_a_statement(shop: Report) -> None:
    first = shop.statements[0]
    failing = replace(first, statement=replace(first.statement, errors=3, cancellations=1))
    given = replace(first.statement, calls=0, execute_seconds=0.0, latency=Latency())
    listed = replace(first.statement, latency=Latency())
    report = replace(
        shop, statements=(failing, StatementReport(given, "no rule yet"), replace(first, statement=listed))
    )
    text = shown(report)
    assert "3 errors, 1 cancellation" in text
    rows = [line.split()[:6] for line in text.splitlines() if "SELECT …" in line]
    assert ["-", "-", "-", "-", "SELECT", "…"] in rows, "no time is shown for what never ran"
    assert ["41.2", "s", "1,200", "34.3", "ms", "-"] in rows, "no quantile is shown without a distribution"


def test_statements_that_were_given_have_no_times(shop: Report, index: Recommendation) -> None:
    site = CallSite("q.sql", 3, "", 0)
    given = replace(
        shop.statements[0].statement, calls=0, execute_seconds=0.0, latency=Latency(), call_sites=(site,)
    )
    told = replace(index, call_sites=(site,), evidence=(replace(index.evidence[1], calls=0),))
    text = shown(replace(shop, statements=(StatementReport(given, "fine"),), recommendations=(told,)))
    assert "    q.sql:3\n" in text, "no function, no calls"
    assert "the values as given" in flat(text)
    assert "Statements  as given, without times\n  SELECT … FROM orders" in text
    assert "\n  q.sql:3\n  fine\n" in text


def test_a_long_list_of_statements_is_cut_and_says_so(shop: Report) -> None:
    report = replace(shop, statements=shop.statements[:1] + shop.statements[2:3] * 29)
    told = flat(shown(report))
    assert "10 more statements, 8.00 s in total: --format json has them all" in told


def test_before_and_after(shop: Report) -> None:
    assert "Before and after" not in shown(shop)
    told = flat(shown(replace(shop, applied=True)))
    assert "Before and after the same traffic, as the application waited for it; slowest" in told
    assert "41.2 s 144 ms 286x faster SELECT" in told
    assert "800 ms 810 ms no difference SELECT" in told
    assert "52.0 s 5.95 s 8.7x faster total of 3 statements" in told
    assert "not run" in told


def test_a_sentence_said_of_many_findings_is_said_once(shop: Report) -> None:
    first = shop.recommendations[0]
    told = flat(shown(replace(shop, recommendations=(first, replace(first, id="another")))))
    assert told.count(first.risk) == 1
    assert "Risk as #1" in told
    assert f"Proof {first.verification.level}, as #1" in told


def test_traffic_that_was_not_the_same_is_told(shop: Report) -> None:
    first = replace(shop.statements[0], after=Replayed(600, 0.072))
    report = replace(shop, applied=True, statements=(first, *shop.statements[1:]))
    assert "1,200 calls, then 600" in shown(report)


def test_coverage_gives_every_reason(shop: Report) -> None:
    told = flat(shown(shop))
    assert "4 seen, 3 parsed, 3 explained, 1 skipped" in told
    assert "2 statements recorded on another database, left out" in told
    assert "120 executions were counted but not kept by statement" in told
    assert "1 skipped: it does not parse SELEC 1" in told


def test_reasons_are_grouped(shop: Report) -> None:
    skipped = tuple(Skipped(str(n), f"SELECT {n} FROM audit", "no permission") for n in range(40))
    told = flat(shown(replace(shop, coverage=Coverage(44, 44, 4, skipped))))
    assert "40 skipped: no permission for example SELECT 0 FROM audit" in told
    assert "SELECT 1 FROM audit" not in told


def test_an_unverified_recommendation_says_how_to_prove_it(shop: Report, index: Recommendation) -> None:
    untimed = tuple(
        replace(each, seconds_before=None, seconds_after=None, cost_after=None, plan_after="")
        for each in index.evidence
    )
    proof = Verification(Level.UNVERIFIED, "nothing may be built in production")
    report = replace(
        shop,
        target=replace(shop.target, environment="production"),
        recommendations=(replace(index, evidence=untimed, verification=proof),),
    )
    told = flat(shown(report))
    assert told.startswith("1 missing index (not verified)")
    assert "1,200 calls: not timed planner cost 24,310 (estimate, not time)" in told
    assert "Proof unverified: nothing may be built in production" in told
    assert "To prove analyze a copy of this database with --environment staging --verify" in told
    assert "faster" not in told


def test_a_finding_without_evidence_of_statements(shop: Report, index: Recommendation) -> None:
    told = flat(shown(replace(shop, recommendations=(replace(index, evidence=(), call_sites=()),))))
    assert "Overall 34.3 ms → 120 µs, 286x faster for a mean call (measured)" in told


def test_nothing_to_change(shop: Report) -> None:
    text = shown(replace(shop, recommendations=()))
    assert text.startswith("Nothing to change in what could be explained: 3 of 4 statements, no finding\n")
    assert "no index helps" in text


def test_an_empty_workload_says_how_to_fill_it(empty: Report) -> None:
    told = flat(shown(empty))
    assert told.startswith("Nothing to judge: the workload has no statement for this database")
    assert "dbperf.create_engine(url)" in told
    assert "--sql FILE" in told


HOSTILE = {
    "colour": "SELECT '\x1b[31mred\x1b[0m' FROM t",
    "title": "SELECT '\x1b]0;owned\x07' FROM t",
    "overwrite": "SELECT 1 FROM t\r\x08\x08DROP",
    "c1": "SELECT '\x9b31m' FROM t",
    "bidi": "SELECT '\u202e\u2066evil' FROM t",
    "surrogate": "SELECT '\udcff' FROM t",
    "markup": "SELECT '[red]x[/red] :smile: [link=http://x]' FROM t",
    "wide": "SELECT '" + "表" * 300 + "' FROM 注文 WHERE 名前 = $1",
    "emoji": "SELECT '" + "🐘👩‍💻" * 99 + "' FROM t",
    "one word": "SELECT/**/" + "a" * 100_000,
    "parentheses": "SELECT " + "(" * 5000 + "1" + ")" * 5000 + " FROM t",
    "lines": "SELECT 1\n\n\n\tFROM\u2028t\n",
    "empty": "",
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("width", [80, 120])
def test_text_of_others_cannot_touch_the_terminal(shop: Report, name: str, width: int) -> None:
    sql = HOSTILE[name]
    report = replace(with_sql(shop, sql), applied=True)
    first = report.statements[0]
    site = CallSite(f"/srv/{sql}.py", 1, sql, 9_999)
    (index,) = report.recommendations
    report = replace(
        report,
        target=replace(report.target, database=f"host/5432/{sql}"),
        statements=(
            replace(first, verdict=f"no: {sql}", statement=replace(first.statement, call_sites=(site, site))),
        ),
        recommendations=(
            replace(
                index,
                title=f"Missing {sql}",
                call_sites=(site,),
                risk=sql,
                fix=sql,
                ddl=(f"CREATE INDEX {sql}",),
            ),
        ),
        coverage=replace(report.coverage, notes=(sql,), skipped=(Skipped("f", sql, f"because {sql}"),)),
    )
    text = shown(report, width)
    text.encode("utf-8")
    assert all(character.isprintable() for character in text.replace("\n", ""))
    assert_fits(text, width)


def test_markup_is_shown_as_it_is(shop: Report) -> None:
    text = shown(with_sql(shop, HOSTILE["markup"]), 120)
    assert "SELECT '[red]x[/red] :smile: [link=http://x]' FROM t" in text


def test_controls_are_shown_as_escapes(shop: Report) -> None:
    assert r"SELECT '\x1b[31mred\x1b[0m' FROM t" in shown(with_sql(shop, HOSTILE["colour"]), 120)


def test_a_pipe_gets_no_escape_sequence(shop: Report) -> None:
    assert "\x1b" not in shown(shop)


def test_no_color_leaves_no_colour(shop: Report) -> None:
    coloured, plain = io.StringIO(), io.StringIO()
    environment = {"TERM": "xterm-256color"}
    render(shop, Console(file=coloured, width=80, force_terminal=True, _environ=environment))
    render(shop, Console(file=plain, width=80, force_terminal=True, _environ=environment | {"NO_COLOR": "1"}))
    assert "\x1b[32m" in coloured.getvalue()
    assert not any(f"\x1b[{colour}" in plain.getvalue() for colour in ("3", "4"))


def test_a_terminal_ends_with_the_verdict_that_scrolled_away(shop: Report) -> None:
    out = io.StringIO()
    render(shop, Console(file=out, width=80, height=24, force_terminal=True, _environ={"TERM": "dumb"}))
    first, *_, last = out.getvalue().splitlines()
    assert first == last
    assert shown(shop).count(first) == 1, "a pipe has it once"


def test_a_console_that_cannot_encode_gets_replacements(shop: Report) -> None:
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    render(with_sql(shop, "SELECT 表 FROM t"), Console(file=out, width=120, _environ={}))
    out.seek(0)
    text = out.read()
    assert "34.3 ms -> 120 us, 286x faster" in text
    assert r"SELECT \u8868 FROM t" in text


@pytest.mark.parametrize(("columns", "width"), [(None, 100), ("120", 120), ("", 100), ("wide", 100)])
def test_the_width_of_a_pipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, columns: str | None, width: int
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    if columns is not None:
        monkeypatch.setenv("COLUMNS", columns)
    with (tmp_path / "report.txt").open("w", encoding="utf-8") as file:
        assert open_console(file).width == width
