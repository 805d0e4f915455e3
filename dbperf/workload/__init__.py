"""Observations folded into statements; saved and loaded."""
