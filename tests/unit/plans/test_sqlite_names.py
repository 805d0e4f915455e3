"""Tables and columns are spelled as they were created, wherever facts name them."""

from __future__ import annotations

from dbperf.model.catalog import Catalog, Column, Table
from dbperf.model.facts import ColumnRef, TableRef
from dbperf.plans.sqlite.names import known_names, spelled
from dbperf.statements import analyze_statement

CATALOG = Catalog(
    {
        name: Table("", name, "r", 0, 0, 0, {column: Column(column, "text") for column in columns})
        for name, columns in {"Users": ("Id", "Name"), "Orders": ("UserId",)}.items()
    },
    search_path=("",),
    server_version="3",
    server_version_num=30000,
    database="x",
    dialect="sqlite",
)


def test_names_in_all_facts() -> None:
    sql = (
        "SELECT u.id, name FROM main.users u JOIN orders ON orders.userid = u.id "
        "WHERE name = 'x' AND EXISTS (SELECT userid FROM ORDERS o WHERE o.userid = u.ID)"
    )
    facts = spelled(analyze_statement(sql, "sqlite", known_names(CATALOG)), CATALOG)
    users, orders, inner = TableRef("", "Users", "u"), TableRef("", "Orders"), TableRef("", "Orders", "o")
    assert set(facts.tables) == {users, orders, inner}
    assert {(each.table, each.name) for each in facts.columns} == {
        (users, "Id"),
        (users, "Name"),
        (orders, "UserId"),
        (inner, "UserId"),
    }
    assert [each.table for each in facts.joins] == [orders]
    assert facts.selects[0].tables == (users, orders)
    assert facts.selects[0].output == (ColumnRef(users, "Id"), ColumnRef(users, "Name"))
    assert [each.of for each in facts.filters if each.operator == "="] == [(ColumnRef(users, "Name"),)]
    (exists,) = facts.subqueries
    assert exists.outer == (ColumnRef(users, "Id"),)
    assert exists.output == (ColumnRef(inner, "UserId"),)
