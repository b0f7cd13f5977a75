from typing import Any

from django.db import migrations

# The parent first: what a child inherits cannot be dropped there.
DROP = """
    DO $$
    DECLARE
        each regclass;
    BEGIN
        FOR each IN
            SELECT 'recon_match'::regclass UNION ALL
            (SELECT inhrelid FROM pg_inherits WHERE inhparent = 'recon_match'::regclass)
        LOOP
            EXECUTE format(
                'ALTER TABLE %s DROP CONSTRAINT IF EXISTS match_origin_known,'
                ' DROP CONSTRAINT IF EXISTS match_state_known', each
            );
        END LOOP;
    END $$
"""


def one_by_one(apps: Any, schema_editor: Any) -> None:
    """What 0014 did for SQLite. PostgreSQL writes a list of values down in other words than it reads them back from,
    and then takes a child's constraint, made from what it wrote, for another one than its parent's. Each match is
    looked at once more: a second or two for ten million."""
    if schema_editor.connection.vendor != "postgresql":
        return
    schema_editor.execute(DROP, params=None)
    match = apps.get_model("recon", "Match")
    for constraint in match._meta.constraints:
        if constraint.name in ("match_origin_known", "match_state_known"):
            schema_editor.add_constraint(match, constraint)


class Migration(migrations.Migration):
    dependencies = [("recon", "0021_compare_currencies_first")]

    operations = [migrations.RunPython(one_by_one, migrations.RunPython.noop)]
