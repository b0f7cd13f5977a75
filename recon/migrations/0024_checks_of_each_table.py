"""Checks of bulk tables are no longer inherited by the tables of large loads, which have them of their own.

A table cannot join one whose checks it inherits before the database has looked at each of its rows. Where a check is
about nothing but what is the same in all of them (`recon.usecases.bulk.apart_columns`) that look can wait until people
see them.
"""

from typing import Any

from django.db import migrations

TABLES = ("statementline", "ledgerentry", "match", "matchrow", "unmatcheditem", "claim", "openitem")

# A table that is no child any more keeps as its own what it has inherited. It could not leave its parent again with a
# check of the same name that is not inherited (RemoveInheritance in PostgreSQL's tablecmds.c); such are those of loads
# that came while an older version was back in use, which gave them the names their parent's have.
SEPARATE = """
    DO $$
    DECLARE
        parent CONSTANT regclass := 'recon_{0}'::regclass;
        children CONSTANT regclass[] := ARRAY(SELECT inhrelid FROM pg_inherits WHERE inhparent = parent);
        child regclass;
        name name;
        definition text;
    BEGIN
        FOR child, name IN
            SELECT conrelid, conname FROM pg_constraint c
            WHERE conrelid = ANY(children) AND contype = 'c' AND coninhcount = 0 AND EXISTS (
                SELECT FROM pg_constraint p WHERE p.conrelid = parent AND p.contype = 'c' AND p.conname = c.conname
            )
        LOOP
            EXECUTE format('ALTER TABLE %s RENAME CONSTRAINT %I TO %I', child, name, 'own_' || name);
        END LOOP;
        FOREACH child IN ARRAY children LOOP
            EXECUTE format('ALTER TABLE %s NO INHERIT %s', child, parent);
        END LOOP;
        FOR name, definition IN
            SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint
            WHERE conrelid = parent AND contype = 'c' AND NOT connoinherit
        LOOP
            EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', parent, name);
            EXECUTE format('ALTER TABLE %s ADD CONSTRAINT %I %s NO INHERIT', parent, name, definition);
            FOREACH child IN ARRAY children LOOP
                EXECUTE format('ALTER TABLE %s RENAME CONSTRAINT %I TO %I', child, name, 'own_' || name);
            END LOOP;
        END LOOP;
        FOREACH child IN ARRAY children LOOP
            EXECUTE format('ALTER TABLE %s INHERIT %s', child, parent);
        END LOOP;
    END $$
"""


def separate(apps: Any, schema_editor: Any) -> None:
    """Each row that lies in the large table itself is looked at once more."""
    if schema_editor.connection.vendor == "postgresql":
        for table in TABLES:
            schema_editor.execute(SEPARATE.format(table), params=None)


class Migration(migrations.Migration):
    dependencies = [("recon", "0023_claims_of_one_account")]
    operations = [migrations.RunPython(separate, migrations.RunPython.noop)]
