"""A table of claims that are all of one account, and of rows that nobody has split, has a key of side and row alone
(`recon.usecases.bulk.apart_indexes.KEYS`): half of what is written and sorted while a large run completes.

That key says more than the whole one, whatever the table holds. Joining no longer finds the accounts by it: one of
them is read, and what comes before and after it is looked for, which a check of the table answers where it has that
one only. Tables of before keep the whole key, by which it is answered as quickly.
"""

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

# As in migration 0016 but for how accounts are found, and that tables are left out whose checks say that they have
# nothing of an account.
FUNCTION = """
CREATE OR REPLACE FUNCTION tieout_join_claims(child regclass) RETURNS void LANGUAGE plpgsql
SET constraint_exclusion = on AS $$
DECLARE
    large CONSTANT regclass := 'recon_claim'::regclass;
    account bigint;
    of_side smallint;
    first bigint;
    last bigint;
    place text;
    other regclass;
    found boolean;
BEGIN
    LOCK TABLE ONLY recon_claim IN ROW EXCLUSIVE MODE;  -- nobody merges its tables meanwhile
    EXECUTE format('SELECT account_id FROM ONLY %s LIMIT 1', child) INTO account;
    IF account IS NOT NULL THEN
        EXECUTE format('SELECT COALESCE(min(account_id), %s) FROM ONLY %s WHERE account_id < %1$s', account, child)
            INTO account;
    END IF;
    WHILE account IS NOT NULL LOOP
        PERFORM tieout_lock_claims(account, true);
        FOREACH of_side IN ARRAY ARRAY[0, 1] LOOP
            place := format('account_id = %s AND side = %s', account, of_side);
            EXECUTE format('SELECT min(row_id), max(row_id) FROM ONLY %s WHERE %s', child, place) INTO first, last;
            CONTINUE WHEN first IS NULL;
            place := format('%s AND row_id BETWEEN %s AND %s', place, first, last);
            FOR other IN SELECT large UNION ALL SELECT inhrelid FROM pg_inherits WHERE inhparent = large LOOP
                EXECUTE format('SELECT EXISTS (SELECT FROM ONLY %s WHERE %s)', other, place) INTO found;
                CONTINUE WHEN NOT found;
                EXECUTE format(
                    'SELECT count(*) > 0 FROM (SELECT row_id, part FROM ONLY %s WHERE %s) there'
                    ' JOIN (SELECT row_id, part FROM ONLY %s WHERE %2$s) here USING (row_id, part)',
                    other, place, child
                ) INTO found;
                IF found THEN
                    PERFORM tieout_claimed_twice(account);
                END IF;
            END LOOP;
        END LOOP;
        EXECUTE format('SELECT min(account_id) FROM ONLY %s WHERE account_id > %s', child, account) INTO account;
    END LOOP;
    EXECUTE format('CREATE TRIGGER claims_are_complete BEFORE INSERT OR UPDATE OF account_id, side, row_id, part ON %s'
        ' FOR EACH STATEMENT EXECUTE FUNCTION tieout_refuse_change(''a table of claims that has joined'')', child);
    EXECUTE format('ALTER TABLE %s INHERIT recon_claim', child);
END $$;
"""


def replace_function(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(FUNCTION, params=None)


class Migration(migrations.Migration):
    dependencies = [("recon", "0022_match_states_one_by_one_on_postgresql")]
    operations = [
        migrations.RunPython(replace_function, migrations.RunPython.noop),  # the function joins tables of either kind
    ]
