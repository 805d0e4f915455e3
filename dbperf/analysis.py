"""workload + target -> Report: the one function behind `demo`, `analyze` and `dbperf.analyze()`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial

from dbperf.advice.indexes.search import Found, Trial, choose, search
from dbperf.advice.indexes.unproven import suggest
from dbperf.advice.kept import keep
from dbperf.advice.pools import on_pools
from dbperf.advice.rules import missing_index
from dbperf.advice.rules.missing_index import Proof, Timings
from dbperf.advice.selection import Selection, is_ignored, selection, told
from dbperf.advice.statements import on_statements
from dbperf.advice.subject import Subject, prepare
from dbperf.advice.usage import on_usage
from dbperf.advice.verdicts import not_planned, on_use, verdict
from dbperf.advice.verify import measure, why_not_timed
from dbperf.errors import InputError, StatementError, UnsafeError
from dbperf.model.catalog import Catalog
from dbperf.model.facts import StatementFacts
from dbperf.model.index import IndexSpec
from dbperf.model.recommendation import Evidence, Recommendation
from dbperf.model.report import ENVIRONMENTS, Coverage, Replayed, Report, Skipped, StatementReport, Target
from dbperf.model.runtime import Figure, together
from dbperf.model.workload import Statement, Workload
from dbperf.plans.remembered import remembered
from dbperf.plans.target import SYNTAX_ERROR, alike, open_target
from dbperf.plans.target import Target as Database
from dbperf.plans.whatif import Build, WhatIfIndex
from dbperf.report.format import plural
from dbperf.settings import resolve
from dbperf.workload.fold import merge

Progress = Callable[[float, str], None]
"""Called with the share of the work that is done, 0 to 1, and what is being done."""

TOP = 200
"""Statements that are judged unless more are asked for: those that took most of the time."""

_PLANNING, _SEARCHING, _MEASURING = 0.05, 0.1, 0.5
"""Where in the whole each part starts."""


@dataclass(frozen=True, slots=True)
class _Judged:
    """A statement of the target: a subject if it was explained, else the reason it was not."""

    statement: Statement
    facts: StatementFacts
    subject: Subject | None = None
    reason: str = ""
    syntax_error: bool = False


@dataclass(frozen=True, slots=True)
class _Advice:
    recommendations: tuple[Recommendation, ...]
    found: Found | None = None
    rejected: Mapping[IndexSpec, str] | None = None


def analyze(
    workload: Workload,
    url: str,
    *,
    environment: str = "production",
    verify: bool = False,
    top: int | None = TOP,
    store: str = "",
    select: Iterable[str] | None = None,
    ignore: Iterable[str] | None = None,
    progress: Progress = lambda _share, _what: None,
) -> Report:
    """Judge the statements of `workload` on the database at `url`, a libpq string or SQLAlchemy URL.

    Of more than `top` statements those that took least time are not judged, and their verdict says so.

    In PostgreSQL nothing is built unless `environment` is staging or disposable; a SQLite file is copied,
    and the copy serves to try. With `verify` the read-only statements that an index would serve are also
    timed, with and without it. In a `store`, a file or URL, the report is kept, with what becomes of its
    recommendations run after run, and facts and plans that still hold are taken from there; a store that
    fails is a note of the report. `select` and `ignore` say which rules are judged by, and come before the
    settings of these names. `progress` is told each step.
    Raises InputError, ConnectError or UnsafeError, each one line.
    """
    if environment not in ENVIRONMENTS:
        raise InputError(f"--environment is one of {', '.join(ENVIRONMENTS)}, not {environment!r}")
    if verify and environment == "production":
        raise UnsafeError(
            "--verify builds indexes and runs statements; point --db at a copy and say --environment staging"
        )
    settings = resolve()
    chosen = selection(
        settings.select if select is None else select, settings.ignore if ignore is None else ignore
    )
    progress(0.0, "reading the catalog")
    with open_target(url) as database:
        report = _analyze(workload, database, environment, verify, top, store, chosen, progress)
        return keep(report, store, database.catalog) if store else report


def replayed(report: Report, after: Workload) -> Report:
    """`report` with what the same traffic took after the advice was applied; matched by fingerprint."""
    found = {
        each.fingerprint: Replayed(each.calls, each.execute_seconds, each.fetch_seconds)
        for each in after.statements
    }
    statements = tuple(
        replace(each, after=found.get(each.statement.fingerprint)) for each in report.statements
    )
    return replace(report, statements=statements, applied=True)


def _analyze(
    workload: Workload,
    database: Database,
    environment: str,
    verify: bool,
    top: int | None,
    store: str,
    chosen: Selection,
    progress: Progress,
) -> Report:
    catalog = database.catalog
    recorded, figures = _of_target(workload, catalog)
    statements = sorted(recorded, key=lambda each: -each.seconds)
    progress(_PLANNING, f"planning {plural(len(statements[:top]), 'statement')}")
    with remembered(database, store, statements[:top]) if store else nullcontext(database) as asked:
        judged = [_judge(each, asked) for each in statements[:top]]
    judged += _beyond(statements, top or len(statements))
    subjects = [each.subject for each in judged if each.subject]
    if build := database.build(environment):
        advice = _proven(subjects, catalog, workload, build, verify, progress)
    else:
        advice = _unproven(subjects, catalog, workload)
    used = [(each.statement, each.facts) for each in judged[: len(statements[:top])]]
    ours = replace(workload, statements=tuple(statements), figures=figures)
    ignored = partial(is_ignored, chosen=chosen)
    found = [
        *advice.recommendations,
        *on_usage(ours, used),
        *on_statements(ours, used, catalog, ignored),
        *on_pools(ours),
    ]
    kept, left_out = told(found, statements, chosen)
    advice = replace(advice, recommendations=_ranked(kept, subjects))
    return Report(
        target=Target(catalog.database, catalog.server_version, environment),
        statements=tuple(_statement_report(each, catalog, advice) for each in judged),
        recommendations=advice.recommendations,
        coverage=_coverage(workload, judged, left_out),
        figures=figures,
    )


def _of_target(workload: Workload, catalog: Catalog) -> tuple[Sequence[Statement], tuple[Figure, ...]]:
    """What was recorded on the target; where the workload knows one database only, that one is meant."""
    ours = [each for each in workload.statements if each.dialect == catalog.dialect]
    databases = {each.database for each in ours}
    here = _same(databases, catalog)
    statements = [each for each in ours if each.database in here]
    # Operations are in no database, and all are told.
    figures = [each for each in workload.figures if not each.database or each.database in here]
    if len(databases) > 1:
        # Recorded on several hosts, as replicas are: one database here.
        moved = tuple(replace(each, database=catalog.database) for each in statements)
        statements = list(merge([Workload(moved)]).statements)
        figures = [replace(each, database=catalog.database if each.database else "") for each in figures]
    return statements, together(figures)


def _same(databases: Collection[str], catalog: Catalog) -> Collection[str]:
    """Those that are the target. Raises InputError where none of several is."""
    if len(databases) <= 1:
        return databases
    if found := alike(databases, catalog.database):
        return found
    name = catalog.database.rsplit("/", 1)[-1]
    listed = ", ".join(sorted(databases))
    raise InputError(f"the workload is of other databases ({listed}); none is named {name}")


def _judge(statement: Statement, database: Database) -> _Judged:
    facts = database.facts(statement)
    try:
        if not facts.parsed:  # by sqlglot, which knows less SQL than the server
            database.check_syntax(statement.sql)
        if reason := not_planned(facts):
            return _Judged(statement, facts, reason=reason)
        subject = prepare(statement, facts, database.catalog, database.explain, database.unit)
    except StatementError as error:
        reason = f"not explained: {error.reason}"
        return _Judged(statement, facts, reason=reason, syntax_error=error.sqlstate == SYNTAX_ERROR)
    return _Judged(statement, facts, subject)


def _beyond(statements: Sequence[Statement], top: int) -> list[_Judged]:
    """What is said of the statements after the first `top`."""
    reason = f"not judged: {plural(top, 'statement')} took more time than this one (--top judges more)"
    return [_Judged(each, StatementFacts(each.sql, parsed=False), reason=reason) for each in statements[top:]]


def _unproven(subjects: Sequence[Subject], catalog: Catalog, workload: Workload) -> _Advice:
    method = "from the plan and statistics alone: no index is built in production"
    advised = [
        missing_index.recommend(
            Proof(spec, dict.fromkeys(fingerprints, ()), method), subjects, catalog, workload.seconds
        )
        for spec, fingerprints in suggest(subjects, catalog).items()
    ]
    return _Advice(tuple(advised))


def _proven(
    subjects: Sequence[Subject],
    catalog: Catalog,
    workload: Workload,
    whatif: Build,
    verify: bool,
    progress: Progress,
) -> _Advice:
    found = search(subjects, whatif, _part(progress, _SEARCHING, _MEASURING))
    measuring = _part(progress, _MEASURING, 1.0)
    timings: dict[IndexSpec, Timings] = {}
    rejected: dict[IndexSpec, str] = {}
    while verify and (fresh := [each for each in found.chosen.indexes if each.spec not in timings]):
        timings |= _timings(fresh, found.chosen, subjects, catalog, whatif, measuring)
        rejected = {spec: why for spec, each in timings.items() if (why := missing_index.rejection(each))}
        if any(each.spec in rejected for each in fresh):
            found = choose(found, subjects, whatif, rejected)  # another index may do without the harm
    advised = [
        missing_index.recommend(proof, subjects, catalog, workload.seconds)
        for proof in missing_index.proofs(found.chosen, subjects, timings, whatif.method)
    ]
    return _Advice(tuple(advised), found, rejected)


def _timings(
    indexes: Sequence[WhatIfIndex],
    chosen: Trial,
    subjects: Sequence[Subject],
    catalog: Catalog,
    whatif: Build,
    progress: Progress,
) -> dict[IndexSpec, Timings]:
    """Every statement that would use one of `indexes`, for better or worse, timed where it may be run."""
    timings: dict[IndexSpec, Timings] = {}
    for number, index in enumerate(indexes):
        spec = index.spec
        progress(number / len(indexes), f"measuring {spec.table} ({', '.join(spec.columns)})")
        users = [
            each for each in subjects if index in chosen.used_by(each) and not why_not_timed(each, catalog)
        ]
        timings[spec] = measure(whatif, spec, users)
    return timings


def _part(progress: Progress, start: float, end: float) -> Progress:
    """Progress of a part of the work, as seen from the whole."""
    return lambda share, what: progress(start + share * (end - start), what)


def _ranked(advised: Sequence[Recommendation], subjects: Sequence[Subject]) -> tuple[Recommendation, ...]:
    """Those first that save most of the time over all calls, or that are about most of it."""
    weights = {each.statement.fingerprint: each.weight for each in subjects}

    def saved(evidence: Evidence) -> float:
        if evidence.cost_before is None:
            return evidence.seconds_saved or 0.0
        return weights[evidence.fingerprint] * (evidence.cost_before - (evidence.cost_after or 0.0))

    return tuple(sorted(advised, key=lambda each: sum(map(saved, each.evidence)), reverse=True))


def _statement_report(judged: _Judged, catalog: Catalog, advice: _Advice) -> StatementReport:
    subject, fingerprint = judged.subject, judged.statement.fingerprint
    mine = [each for each in advice.recommendations if fingerprint in each.statements]
    if subject is None:
        told, tables, cost = judged.reason, tuple(ref.name for ref in judged.facts.tables), None
    else:
        told = verdict(subject, catalog, mine, advice.found, advice.rejected or {})
        tables, cost = tuple(table.qualified for table in subject.tables), subject.cost
    return StatementReport(
        statement=judged.statement,
        verdict="; ".join([told, *on_use(fingerprint, mine)]),
        tables=tables,
        cost=cost,
        recommendations=tuple(each.id for each in mine),
        complexity=judged.facts.complexity if judged.facts.parsed else None,
    )


def _coverage(workload: Workload, judged: Sequence[_Judged], left_out: int) -> Coverage:
    ignored = (f"{plural(left_out, 'finding')} left out, as --select, --ignore or the code ask",)
    return Coverage(
        seen=len(judged),
        parsed=sum(each.facts.parsed for each in judged),
        explained=sum(each.subject is not None for each in judged),
        skipped=tuple(
            Skipped(each.statement.fingerprint, each.statement.sql, each.reason, each.syntax_error)
            for each in judged
            if each.subject is None
        ),
        other_databases=len(workload.statements) - len(judged),
        notes=workload.notes + (ignored if left_out else ()),
        unseen=workload.coverage,
    )
