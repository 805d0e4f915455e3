"""Observations folded into statements; saved, loaded, and kept in a store.

Nothing is imported here: a recorded process loads the spool alone, and neither sqlglot nor the store.
"""
