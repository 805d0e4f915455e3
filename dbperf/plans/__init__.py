"""How the database runs a statement: EXPLAIN, catalog, what-if."""
