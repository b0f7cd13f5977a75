from typing import Any

from django.db import migrations

CURRENCY_SHAPES = (
    ("recon_statementline", "line"),
    ("recon_ledgerentry", "entry"),
    ("recon_statementbalance", "balance"),
    ("recon_matchdifference", "difference"),
    ("recon_openitem", "item"),
)


def compare_first(apps: Any, schema_editor: Any) -> None:
    """PostgreSQL looked at each currency with a regular expression, which took a load of a million rows 0.4 s. The new
    constraint says the same; the tables of large loads get it with their parents. Each row is looked at once more: a
    second or two for ten million. SQLite has had no regular expression."""
    if schema_editor.connection.vendor != "postgresql":
        return
    for table, prefix in CURRENCY_SHAPES:
        name = f"{prefix}_currency_shape"
        for each in (table, *children(schema_editor, table)):  # a child may have the constraint also as its own
            schema_editor.execute(f"ALTER TABLE {each} DROP CONSTRAINT IF EXISTS {name}")
        schema_editor.execute(
            f"ALTER TABLE {table} ADD CONSTRAINT {name} CHECK"
            " (currency = 'EUR' OR currency = 'USD' OR currency = 'GBP' OR currency ~ '^[A-Z]{3}$')"
        )


def children(schema_editor: Any, table: str) -> list[str]:
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = %s::regclass", [table])
        return [name for (name,) in cursor.fetchall()]


class Migration(migrations.Migration):
    dependencies = [("recon", "0020_keys_without_unseen_characters")]

    operations = [migrations.RunPython(compare_first, migrations.RunPython.noop)]
