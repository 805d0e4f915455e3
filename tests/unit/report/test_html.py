from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from dbperf.model.histogram import Latency
from dbperf.model.recommendation import Level, Recommendation, Severity
from dbperf.model.report import Coverage, Report, Skipped, StatementReport, Target
from dbperf.model.runtime import Figure
from dbperf.model.workload import CallSite
from dbperf.report.html import render
from dbperf.report.words import HOW_TO_RECORD

VOID = {"meta", "input", "rect", "br"}
RAW = ("style", "script")
HOSTILE = [
    "<script>alert(1)</script>",
    '" onmouseover="alert(1)',
    "' autofocus onfocus='alert(1)",
    "</style><img src=x onerror=alert(1)>",
    "</script><!-- ",
    "]]><!ENTITY x SYSTEM 'file:///etc/passwd'>",
    "{{ page.title }}{% raw %}",
    "&lt;b&gt; &#60;b&#62; &amp;",
    "a\u202eb\u2066c\u200bd",
    "nul\x00 bell\x07 escape\x1b[31m delete\x7f c1\x9b \ufffe",
    "half \udcff surrogate \ud800",
    "表 Ünïcode 🐘",
]


class Page(HTMLParser):
    """A page as a browser reads it: every tag closed, texts and attributes in their order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.texts: list[tuple[str, str]] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attributes}
        assert len(given) == len(attributes)
        self.tags.append((tag, given))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        assert tag == "rect"
        self.handle_starttag(tag, attributes)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append((self.open[-1] if self.open else "", data))

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")

    def raw(self, tag: str) -> str:
        """What a style or a script element holds."""
        return "".join(text for where, text in self.texts if where == tag)

    @property
    def text(self) -> str:
        """What is read on the page, white space as one space."""
        return " ".join(" ".join(text for where, text in self.texts if where not in RAW).split())

    def values(self, name: str) -> list[str]:
        return [given[name] for _, given in self.tags if name in given]


def everywhere(report: Report, text: str) -> Report:
    """The report with `text` in every field that comes from a database, a statement or an application."""
    site = CallSite(text, 7, text, 3)
    statements = tuple(
        replace(
            each,
            statement=replace(
                each.statement,
                sql=text,
                fingerprint=text + each.statement.fingerprint,
                call_sites=(site,),
                failures=((text, 3),),
            ),
            verdict=text,
            tables=(text,),
            recommendations=(text,),
        )
        for each in report.statements
    )
    (index,) = report.recommendations
    hostile = replace(
        index,
        id=text,
        code=text,
        slug=text,
        title=text,
        tables=(text,),
        call_sites=(site,),
        ddl=(text,),
        fix=text + text,
        evidence=tuple(
            replace(each, sql=text, parameters=text, plan_before=text, plan_after=text, not_timed=text)
            for each in index.evidence
        ),
        verification=replace(index.verification, method=text, server_version=text),
        write_cost=text,
        risk=text,
    )
    untimed = replace(hostile, evidence=tuple(replace(e, seconds_after=None) for e in hostile.evidence))
    return Report(
        Target(text, text, text),
        statements,
        (hostile, untimed),
        Coverage(4, 4, 3, (Skipped("f", text, text),), 1, (text,)),
        figures=(
            Figure.of("pool", text, text, {"checkouts": 1}),
            Figure.of("transactions", "", text + "2", {"commits": 1}),
            Figure.of("operation", text, "", {"calls": 1, f"marker {text}": 1}),
        ),
    )


@pytest.mark.parametrize("applied", [False, True])
def test_the_policy_allows_the_style_and_the_script_of_the_page_alone(shop: Report, applied: bool) -> None:
    page = Page(render(replace(shop, applied=applied)))
    (policy,) = (
        given["content"] for _, given in page.tags if given.get("http-equiv") == "Content-Security-Policy"
    )

    def source(tag: str) -> str:
        assert [name for name, _ in page.tags].count(tag) == 1
        digest = hashlib.sha256(page.raw(tag).encode()).digest()
        return f"'sha256-{base64.b64encode(digest).decode()}'"

    assert policy.split("; ") == [
        "default-src 'none'",
        f"style-src {source('style')}",
        f"script-src {source('script')}",
        "base-uri 'none'",
        "form-action 'none'",
    ]


def assert_harmless(text: str) -> Page:
    page = Page(text)
    for tag, given in page.tags:
        assert tag not in ("iframe", "object", "embed", "link", "base", "form", "img", "foreignobject"), tag
        assert not [name for name in given if name.startswith("on") or name == "style"], given
        assert "src" not in given
        assert given.get("href", "#").startswith("#")
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    assert {link[1:] for link in page.values("href")} <= set(ids)
    for where, data in page.texts:
        assert data.replace("\n", "").isprintable(), (where, data)
    for given in (value for _, each in page.tags for value in each.values()):
        assert given.isprintable()
    assert not re.search(r"//|url\(|@import|import\(|fetch|innerHTML", page.raw("style") + page.raw("script"))
    return page


@pytest.mark.parametrize("text", HOSTILE)
def test_whatever_a_database_says_is_text(shop: Report, text: str) -> None:
    for applied in (False, True):
        page = assert_harmless(render(replace(everywhere(shop, text), applied=applied)))
        shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
        assert page.text.count(shown.strip()) >= 20


def test_a_plain_report_is_harmless_too(shop: Report) -> None:
    page = assert_harmless(render(shop))
    head = [given for tag, given in page.tags if tag in ("html", "meta")]
    assert {"lang": "en"} in head
    assert {"charset": "utf-8"} in head
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in head
    assert render(shop).startswith("<!doctype html>\n")


def test_any_encoding_carries_the_page(shop: Report) -> None:
    assert render(everywhere(shop, "表 \udcff µ →")).isascii()


def test_the_first_words_are_the_verdict(shop: Report) -> None:
    told = Page(render(shop)).text
    head = "1 missing index: 46.1 s of the 52.0 s captured can be saved (measured)"
    about = "shop (localhost, port 5432) · server 18.4 · disposable · 4 statements · 6,211 calls in 52.0 s"
    saved = "Can be saved, measured 46.1 s 89% of the 52.0 s captured"
    assert f"{head} {about} {saved} Findings 1 1 warning Explained 3 of 4 statements" in told


def test_a_recommendation_tells_where_what_and_how_it_is_known(shop: Report, index: Recommendation) -> None:
    told = Page(render(shop)).text
    for sentence in (
        "#1 Missing index on orders (customer_id, created_at DESC, status)",
        "warning measured can save 46.1 s of the 52.0 s captured (89%) DBP101 missing-index",
        "shop/orders.py:42 recent_orders, 1,100 calls",
        f"DDL {index.ddl[0]} In code {index.fix} Evidence",
        "34.3 ms → 120 µs 286x faster, measured",
        "1,200 calls, 5 captured parameter sets; planner cost 24,310 → 8.44 (estimate, not time)",
        "Seq Scan on orders → Index Scan on orders using ix_orders",
        "Proof measured: the index was built and each statement timed",
        "on server version 18.4 Size 32.1 MB Writes one more index for each INSERT",
        "Risk CONCURRENTLY takes no lock",
    ):
        assert sentence in told
    assert told.index("286x faster, measured") < told.index("2.0x faster, measured"), "the largest gain first"


def test_an_estimate_is_a_cost_and_apart_from_what_was_measured(shop: Report, index: Recommendation) -> None:
    untimed = tuple(
        replace(
            each,
            seconds_before=None,
            seconds_after=None,
            not_timed="it writes or locks rows",
            cost_after=after,
        )
        for each, after in zip(index.evidence, (24310.5, 8.44), strict=True)
    )
    proof = replace(index.verification, level=Level.WHAT_IF, seconds_before=None, seconds_after=None)
    guess = replace(index, id="guess", evidence=untimed, verification=proof)
    told = Page(render(replace(shop, recommendations=(guess,)))).text
    assert "Can be saved, measured unknown no statement was timed with and without a change" in told
    # Of 6,200 calls at 24,310 units, 1,200 come to all but nothing.
    assert "Planner cost, estimated \N{MINUS SIGN}19% for 2 statements not timed; a cost is no time" in told
    assert "planner cost \N{MINUS SIGN}99.9% a cost, not a time; not timed: it writes or locks rows" in told
    assert "faster" not in told

    only_one = replace(guess, evidence=untimed[:1], id="other")
    both = Page(render(replace(shop, recommendations=(index, only_one)))).text
    assert "Can be saved, measured 46.1 s" in both
    assert "Planner cost, estimated" not in both, "a statement that was timed needs no estimate"


def test_code_keeps_its_lines_and_says_where_it_is_cut(shop: Report, index: Recommendation) -> None:
    several = replace(index, ddl=("CREATE INDEX a\r\n\tON t (x);\n", "ANALYZE t;"), fix="ANALYZE t;")
    text = render(replace(shop, recommendations=(several,)))
    assert "<pre><code>CREATE INDEX a\n    ON t (x);\nANALYZE t;</code></pre>" in text
    assert text.count("<figure") == 1, "a fix that is the DDL is not shown twice"
    long = replace(index, ddl=("x" * 30_000,))
    text = Page(render(replace(shop, recommendations=(long,)))).text
    assert "… and 10,000 more characters: --format json has them all" in text


def test_more_evidence_is_a_click_away(shop: Report, index: Recommendation) -> None:
    many = replace(index, evidence=index.evidence[:1] * 30)
    told = Page(render(replace(shop, recommendations=(many,)))).text
    assert "17 more statements with a smaller gain" in told
    assert "and 10 more statements: --format json has them all" in told
    assert told.count("2.0x faster, measured") == 20


def cells(text: str) -> list[dict[str, str]]:
    """The numbers of each row, by their column, as they are sorted by."""
    page = Page(text)
    found: list[dict[str, str]] = []
    for tag, given in page.tags:
        if tag == "tr" and "id" in given:
            found.append({})
        if tag == "td" and "data-label" in given:
            found[-1][given["data-label"]] = given["data-value"]
    return found


def test_every_statement_can_be_compared(shop: Report) -> None:
    first, second, *_ = cells(render(shop))
    assert first == {
        "total": "41.2",
        "calls": "1200",
        "mean": "0.03433",
        "p95": "0.03565",
        "rows": "3600",
    }
    assert float(second["total"]) == 10
    told = Page(render(shop)).text
    assert "Statements slowest in total first" in told
    assert "41.2 s 1,200 34.3 ms 35.7 ms 3,600" in " ".join(told.split())
    assert "no index helps: lower(email) is not a bare column" in told
    assert "#1 missing index shop/orders.py:42 recent_orders /srv/shop/admin.py:7 export" in told


def test_a_count_that_is_0_throughout_is_no_column(shop: Report) -> None:
    rows = [replace(each.statement, rows=0) for each in shop.statements]
    rows[1] = replace(rows[1], errors=2)
    statements = tuple(replace(each, statement=row) for each, row in zip(shop.statements, rows, strict=True))
    found = cells(render(replace(shop, statements=statements)))
    assert [each["errors"] for each in found] == ["0", "2", "0", "0"]
    assert all("rows" not in each for each in found)


def test_where_the_time_went_and_what_failed(busy: Report) -> None:
    told = Page(render(busy)).text
    assert "execute 41.2 s + fetch 2.80 s; 4.40 s more waiting for a connection" in told
    assert "1 error, 3 timeouts: 3 QueryCanceled, 1 DeadlockDetected" in told
    assert cells(render(busy))[0]["total"] == "44"


def test_operations_and_connections_have_their_sections(busy: Report, shop: Report) -> None:
    page = assert_harmless(render(busy))
    assert "Statements Operations Connections Coverage Method and limits" in page.text, "the links to them"
    assert "GET /orders checked after 3.00 ms, saved after 16.0 ms (900 times) 4 errors" in page.text
    assert "50.0 s 1,000 50.0 ms 48.2 ms 6.2 80%" in page.text
    assert (
        "Pool QueuePool: 12,000 checkouts, at most 14 of 15 in use at once in a process Wait 1.20 s"
        in page.text
    )
    assert "1,200 executions without a line of the application" in page.text
    assert {"operations", "connections"} <= set(page.values("id"))
    assert not {"operations", "connections"} & set(Page(render(shop)).values("id"))


def test_before_and_after(shop: Report) -> None:
    told = Page(render(replace(shop, applied=True))).text
    assert "The same traffic, measured 52.0 s → 5.95 s 8.7x faster" in told
    assert "Before and after the same traffic, as the application waited for it" in told
    first, _, _, broken = cells(render(replace(shop, applied=True)))
    assert (first["before"], first["after"], first["change"]) == ("41.2", "0.144", "286.1")
    assert (broken["after"], broken["change"]) == ("", "")


def test_statements_that_were_given_have_a_cost_and_no_times(shop: Report) -> None:
    given = tuple(
        replace(each, statement=replace(each.statement, calls=0, execute_seconds=0.0, latency=Latency()))
        for each in shop.statements
    )
    text = render(replace(shop, statements=given))
    assert [list(each) for each in cells(text)] == [["cost"]] * 4
    assert "Statements as given, without times" in Page(text).text
    assert "no calls captured" in Page(text).text


def test_what_nobody_judged_yet_says_so_once_and_first(shop: Report) -> None:
    statements = tuple(StatementReport(each.statement, "not judged yet") for each in shop.statements)
    seen = Report(replace(shop.target, environment=""), statements, (), Coverage(4, 0, 0))
    told = Page(render(seen)).text
    assert "dbperf 4 statements, not judged yet: run dbperf analyze" in told
    assert "Coverage 4 seen, not judged yet Method" in told
    assert "Explained" not in told


def test_nothing_explained_is_no_bar(shop: Report) -> None:
    coverage = replace(shop.coverage, explained=0)
    text = render(replace(shop, coverage=coverage))
    assert "Explained 0 of 4 statements" in Page(text).text
    assert 'class="bar explained"' not in text


def test_an_empty_report_says_how_to_fill_it(empty: Report) -> None:
    page = assert_harmless(render(empty))
    assert "Nothing to judge: the workload has no statement for this database" in page.text
    assert HOW_TO_RECORD in page.text
    assert "0 seen, 0 parsed, 0 explained, 0 skipped" in page.text
    assert not {"table", "article"} & {tag for tag, _ in page.tags}


def test_coverage_names_every_statement_and_its_reason(shop: Report) -> None:
    text = render(shop)
    told = Page(text).text
    assert "4 seen, 3 parsed, 3 explained, 1 skipped" in told
    assert "2 statements recorded on another database, left out" in told
    assert "120 executions were counted but not kept by statement" in told
    assert "1 skipped: it does not parse SELEC 1" in told
    assert '<a href="#s4"><code>SELEC 1</code></a>' in text


def test_what_the_levels_mean_is_told(shop: Report) -> None:
    told = Page(render(shop)).text.rpartition("Method and limits")[2]
    assert "planner" not in told, "a cost of SQLite is none of its planner's"
    for level in Level:
        assert re.search(rf"\b{level.value} [A-Z]", told)


def test_a_page_stays_small(shop: Report) -> None:
    sql = '"' * 1_000_000  # five characters each on a page
    first = shop.statements[0]
    many = tuple(
        StatementReport(replace(first.statement, sql=sql, fingerprint=str(n)), "fine") for n in range(510)
    )
    text = render(replace(shop, statements=many))
    assert len(text) < 2_000_000
    assert "10 more statements, 412 s in total: --format json has them all" in text
    assert "shown in part: --format json has them whole" in text


def test_severities_are_counted(shop: Report, index: Recommendation) -> None:
    kinds = (Severity.INFO, Severity.INFO, Severity.WARNING, Severity.ERROR, Severity.ERROR)
    found = tuple(replace(index, id=str(n), severity=kind) for n, kind in enumerate(kinds))
    assert "Findings 5 2 errors, 1 warning, 2 info" in Page(render(replace(shop, recommendations=found))).text
