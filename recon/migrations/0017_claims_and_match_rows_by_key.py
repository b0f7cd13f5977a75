"""SQLite keeps claims and match rows in the order of their keys, once, instead of in the order of their arrival with
the keys a second time: half as much is written. Django has no word for that. A later migration that makes one of
these tables anew, as Django does on SQLite to alter a column, has to be followed by `kept_by_key`.
"""

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

KEYS = {
    "recon_claim": "account_id, side, row_id, part",
    "recon_matchrow": "match_id, side, row_id, part",
}


def kept_by_key(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    if schema_editor.connection.vendor != "sqlite":
        return
    with schema_editor.connection.cursor() as cursor:
        for table, key in KEYS.items():
            cursor.execute(
                "SELECT type = 'table', sql FROM sqlite_master WHERE tbl_name = %s AND sql IS NOT NULL"
                " ORDER BY type = 'table' DESC",
                [table],
            )
            (_, as_it_is), *indexes = cursor.fetchall()
            if as_it_is.endswith("WITHOUT ROWID"):
                continue
            cursor.execute(as_it_is.replace(f'"{table}"', f'"new__{table}"', 1) + " WITHOUT ROWID")
            cursor.execute(f"INSERT INTO new__{table} SELECT * FROM {table} ORDER BY {key}")  # noqa: S608 - names of ours
            cursor.execute(f"DROP TABLE {table}")
            cursor.execute(f"ALTER TABLE new__{table} RENAME TO {table}")
            for _, index in indexes:
                cursor.execute(index)


class Migration(migrations.Migration):
    dependencies = [("recon", "0016_claims_apart")]

    operations = [migrations.RunPython(kept_by_key, migrations.RunPython.noop)]
