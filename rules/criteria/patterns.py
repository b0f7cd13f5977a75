"""Regular expressions of criteria: RE2 syntax, tried in DuckDB, because that is where they will run."""

from __future__ import annotations

import duckdb

from rules.criteria.problems import ExpectedError

MAX_PATTERN = 500


def check_pattern(pattern: object) -> str:
    """The pattern if DuckDB can compile it. Raises ExpectedError otherwise."""
    if not isinstance(pattern, str):
        raise ExpectedError("a regular expression as text", pattern)
    if len(pattern) > MAX_PATTERN:
        raise ExpectedError(f"a regular expression of at most {MAX_PATTERN} characters", f"{len(pattern)} characters")
    try:
        with duckdb.connect(":memory:") as connection:
            connection.execute("SELECT regexp_matches('', ?, 'i'), regexp_extract('', ?, 0, 'i')", [pattern, pattern])
    except (duckdb.Error, UnicodeError) as error:
        reason = str(error).splitlines()[0].removeprefix("Invalid Input Error: ")
        raise ExpectedError(f"a regular expression that compiles (RE2 syntax; {reason})", pattern) from error
    return pattern


def has_group(pattern: str) -> bool:
    """Whether a valid pattern captures a group; then the first group is what is compared, else the whole match."""
    quoted = pattern.replace("'", "''")
    with duckdb.connect(":memory:") as connection:
        try:
            # Naming one group is refused by the binder if the pattern has none.
            connection.execute(f"SELECT regexp_extract('', '{quoted}', ['first'], 'i')")
        except duckdb.BinderException:
            return False
    return True
