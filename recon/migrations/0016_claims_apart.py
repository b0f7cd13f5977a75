"""Claims of a large run have a table of their own (`recon.usecases.bulk.apart`); no unique key reaches across tables.

So the database itself sees to it that a row part is claimed once. Whoever adds claims of an account to the large table
holds a shared lock of the account until the transaction is over, and is refused what a table of a large run has; those
who meet there are told apart by the table's key. A table of a large run joins by `tieout_join_claims` only: that holds
the account's lock alone, and refuses a table that has a row part which another one has. A statement that comes after
the lock sees what its former holder has committed; so that this is so, claims are added under READ COMMITTED only.
"""

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

# The tables are listed anew, and each is named in a statement made for it: the database may keep the plan of a query
# on the large table although a table has joined meanwhile, because joining does not lock the large one.
FUNCTIONS = """
CREATE FUNCTION tieout_lock_claims(account bigint, alone boolean) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'claims are added under READ COMMITTED only' USING ERRCODE = 'feature_not_supported';
    END IF;
    IF alone THEN
        PERFORM pg_advisory_xact_lock(1416193391, hashint8(account));
    ELSE
        PERFORM pg_advisory_xact_lock_shared(1416193391, hashint8(account));
    END IF;
END $$;

CREATE FUNCTION tieout_claimed_twice(account bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a row part is claimed already in account %', account USING ERRCODE = 'unique_violation';
END $$;

CREATE FUNCTION tieout_claims_added() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    account bigint;
    others text;
    found boolean;
BEGIN
    FOR account IN SELECT DISTINCT account_id FROM added ORDER BY 1 LOOP
        PERFORM tieout_lock_claims(account, false);
        -- For each row one look into each table's key, however many rows the planner takes them for (OFFSET 0).
        SELECT string_agg(format(
            'SELECT 1 FROM ONLY %s'
            ' WHERE account_id = %s AND side = added.side AND row_id = added.row_id AND part = added.part',
            inhrelid::regclass, account
        ), ' UNION ALL ') INTO others FROM pg_inherits WHERE inhparent = TG_RELID;
        CONTINUE WHEN others IS NULL;
        EXECUTE format(
            'SELECT EXISTS (SELECT FROM added, LATERAL (%s OFFSET 0) other WHERE added.account_id = %s)',
            others, account
        ) INTO found;
        IF found THEN
            PERFORM tieout_claimed_twice(account);
        END IF;
    END LOOP;
    RETURN NULL;
END $$;

CREATE FUNCTION tieout_join_claims(child regclass) RETURNS void LANGUAGE plpgsql AS $$
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
    EXECUTE format('SELECT min(account_id) FROM ONLY %s', child) INTO account;
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

CREATE TRIGGER claims_added AFTER INSERT ON recon_claim REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION tieout_claims_added();
CREATE TRIGGER claim_frozen BEFORE UPDATE OF account_id, side, row_id, part ON recon_claim
    FOR EACH STATEMENT EXECUTE FUNCTION tieout_refuse_change('what is claimed');
"""

NONE = """
DROP TRIGGER claim_frozen ON recon_claim;
DROP TRIGGER claims_added ON recon_claim;
DROP FUNCTION tieout_join_claims(regclass);
DROP FUNCTION tieout_claims_added();
DROP FUNCTION tieout_claimed_twice(bigint);
DROP FUNCTION tieout_lock_claims(bigint, boolean);
"""


def create_functions(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(FUNCTIONS, params=None)


def drop_functions(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Not while claims have several tables: nothing would keep a row from being claimed twice."""
    if schema_editor.connection.vendor != "postgresql":
        return
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_inherits WHERE inhparent = 'recon_claim'::regclass")
        if cursor.fetchone()[0]:
            raise RuntimeError("Claims of large runs have tables of their own; merge them into recon_claim first.")
    schema_editor.execute(NONE, params=None)


class Migration(migrations.Migration):
    dependencies = [("recon", "0015_leftovers_of_runs")]
    operations = [migrations.RunPython(create_functions, drop_functions)]
