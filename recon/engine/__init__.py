"""The matching engine: rules and two tables in; matches, unmatched items and reasons out. Plain Python and DuckDB."""
