"""What a SQL text means: pure functions over sqlglot."""
