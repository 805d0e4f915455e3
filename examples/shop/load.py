"""Fill the shop: 1.6 million rows, made by the server, the same for the same seed.

The data is skewed (a few customers, products and categories have most of everything; nearly all orders are
done) and correlated (a city lies in one country, later ids have later dates), because that is where a planner
that assumes neither goes wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from sqlalchemy import Connection, Engine, text
from sqlalchemy.schema import AddConstraint, CreateTable

from shop.models import Base

OPENED = datetime(2024, 1, 1, tzinfo=UTC)
TODAY = datetime(2026, 1, 1, tzinfo=UTC)
"""The day after the last order: the shop's own clock, so that every run asks for the same dates."""

Progress = Callable[[int, int, str], None]
"""Called with the work done, all the work, and what is done next."""


def silent(*_: object) -> None:
    """Progress that nobody watches."""


_FIXED = {"categories": 40, "warehouses": 8}
_SCALED = {"products": 40_000, "users": 100_000, "orders": 300_000, "reviews": 150_000, "events": 250_000}
_ITEMS_PER_ORDER = 2.5


def _skewed(count: str) -> str:
    # With the cube, a tenth of the rows is drawn for almost half (0.1 ^ 1/3) of the draws.
    return f"1 + floor(:{count} * power(random(), 3))::int"


def _spread(count: str) -> str:
    return f":opened + (:today - :opened) * (i - random()) / :{count}"


_INSERTS = {
    "categories": """
        INSERT INTO categories (id, slug, title)
        SELECT i, 'shelf-' || i, 'Shelf ' || i FROM generate_series(1, :categories) AS i""",
    "warehouses": """
        INSERT INTO warehouses (id, city)
        SELECT i, 'Depot ' || i FROM generate_series(1, :warehouses) AS i""",
    "products": f"""
        INSERT INTO products (id, category_id, name, price)
        SELECT i, {_skewed("categories")},
               ('{{Oak,Steel,Linen,Glass,Cork,Wool}}'::text[])[1 + floor(6 * random())::int]
               || ' ' || ('{{table,lamp,chair,bowl,shelf,rug}}'::text[])[1 + floor(6 * random())::int]
               || ' ' || i,
               round((1 + 200 * power(random(), 4))::numeric, 2)
        FROM generate_series(1, :products) AS i""",
    "users": f"""
        INSERT INTO users (id, email, name, city, country, created_at)
        SELECT i, first || '.' || last || i || '@Example.com', first || ' ' || last,
               ('{{Paris,Berlin,Lyon,Madrid,Hamburg,Oslo,Nice,Porto,Bergen,Cadiz}}'::text[])[town],
               ('{{FR,DE,FR,ES,DE,NO,FR,PT,NO,ES}}'::text[])[town],
               {_spread("users")}
        FROM (SELECT i, 1 + floor(10 * power(random(), 2))::int AS town,
                     ('{{Ada,Ben,Cleo,Dan,Eva,Finn}}'::text[])[1 + floor(6 * random())::int] AS first,
                     ('{{Berg,Costa,Diaz,Roux,Vogel}}'::text[])[1 + floor(5 * random())::int] AS last
              FROM generate_series(1, :users) AS i) AS person""",
    "order_items": f"""
        INSERT INTO order_items (id, order_id, product_id, quantity, price)
        SELECT row_number() OVER (), i, product, quantity, price
        FROM (SELECT i, {_skewed("products")} AS product, 1 + floor(3 * power(random(), 2))::int AS quantity
              FROM generate_series(1, :orders) AS i,
                   generate_series(1, ('{{1,1,1,1,2,2,2,3,4,8}}'::int[])[1 + mod(i, 10)])) AS line
        JOIN products ON products.id = product""",
    "orders": f"""
        INSERT INTO orders
               (id, user_id, warehouse_id, status, total, tracking_number, created_at, delivered_at)
        SELECT i, user_id, warehouse_id, status, total, upper(substr(md5(i::text), 1, 16)), created_at,
               CASE WHEN status = 'done' THEN created_at + interval '3 days' END
        FROM (SELECT i, {_skewed("users")} AS user_id, {_skewed("warehouses")} AS warehouse_id,
                     CASE WHEN random() < 0.015 THEN 'returned'
                          WHEN i < 0.95 * :orders OR random() < 0.3 THEN 'done'
                          WHEN random() < 0.6 THEN 'shipped'
                          ELSE 'open' END AS status,
                     {_spread("orders")} AS created_at
              FROM generate_series(1, :orders) AS i) AS placed
        JOIN (SELECT order_id, sum(quantity * price) AS total FROM order_items GROUP BY order_id) AS bill
             ON bill.order_id = i
        ORDER BY i""",
    "reviews": f"""
        INSERT INTO reviews (id, product_id, user_id, rating, body, created_at)
        SELECT i, {_skewed("products")}, {_skewed("users")}, 1 + floor(5 * sqrt(random()))::int,
               repeat('Good value, came in time. ', 1 + floor(6 * random())::int), {_spread("reviews")}
        FROM generate_series(1, :reviews) AS i""",
    "audit_events": f"""
        INSERT INTO audit_events (id, entity_type, entity_id, action, actor, created_at)
        SELECT i, entity_type,
               1 + floor(power(random(), 3) * CASE entity_type WHEN 'product' THEN :products
                                                               WHEN 'order' THEN :orders
                                                               ELSE :users END)::int,
               ('{{create,update,price,note}}'::text[])[1 + floor(4 * random())::int],
               'staff-' || {_skewed("warehouses")}, {_spread("events")}
        FROM (SELECT i, ('{{product,product,order,user}}'::text[])[1 + floor(4 * random())::int]
                     AS entity_type
              FROM generate_series(1, :events) AS i) AS event""",
}


def load(engine: Engine, scale: float = 1.0, progress: Progress | None = None, seed: float = 0.5) -> None:
    """Create the tables of the shop in an empty schema and fill them.

    `scale` 1.0 makes 1.59 million rows; customers, products, orders, reviews and events grow with it. `seed`
    lies between -1 and 1. `progress` counts
    rows, and the keys as if they were some. All is one transaction but for the final VACUUM ANALYZE.
    Raises sqlalchemy.exc.ProgrammingError when a table is there already: nothing is ever dropped.
    """
    counts = _FIXED | {name: max(10, round(rows * scale)) for name, rows in _SCALED.items()}
    weights = {table: counts.get(table, 0) for table in _INSERTS} | {
        "order_items": round(counts["orders"] * _ITEMS_PER_ORDER),
        "audit_events": counts["events"],
    }
    rows = sum(weights.values())
    # Measured: the keys take as long as a third of the rows, the analysis as a tenth.
    done, total = 0, rows + rows // 3 + rows // 10
    tell = progress or silent
    with engine.begin() as connection:
        for table in Base.metadata.sorted_tables:
            connection.execute(CreateTable(table, include_foreign_key_constraints=()))
            connection.execute(text(f"ALTER TABLE {table.name} DROP CONSTRAINT {table.name}_pkey"))
        for name, insert in _INSERTS.items():
            tell(done, total, f"filling {name}")
            connection.execute(text("SELECT setseed(:seed)"), {"seed": seed})
            connection.execute(text(insert), {**counts, "opened": OPENED, "today": TODAY})
            done += weights[name]
        tell(done, total, "adding keys and indexes")
        _add_keys(connection)
    tell(done + rows // 3, total, "analyzing")
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM (ANALYZE) " + ", ".join(_INSERTS)))
    tell(total, total, "loaded")


def _add_keys(connection: Connection) -> None:
    # After the rows, because keeping indexes and checking foreign keys row by row takes longer.
    for table in Base.metadata.sorted_tables:
        connection.execute(text(f"ALTER TABLE {table.name} ADD PRIMARY KEY (id)"))
        connection.execute(
            text(f"SELECT setval(pg_get_serial_sequence('{table.name}', 'id'), max(id)) FROM {table.name}")
        )
        for index in table.indexes:
            index.create(connection)
    for table in Base.metadata.sorted_tables:
        for key in table.foreign_key_constraints:
            connection.execute(AddConstraint(key))
