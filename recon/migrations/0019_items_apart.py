"""Open items that a large change opens or resolves at once move to a table of their own (`recon.usecases.bulk.apart`),
as claims do (migration 0016), and as there the database sees to it that a row part has one item.

Whoever adds items of an account to the large table, or changes what row part one stands for, holds a shared lock of
the account until the transaction is over, and is refused what another table has. A table of its own joins by
`tieout_join_items` only: that holds the account's lock alone, and refuses a table that has what another one has.
"""

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

# Tables are listed anew, and each is named in a statement made for it: see migration 0016.
FUNCTIONS = """
CREATE FUNCTION tieout_lock_items(account bigint, alone boolean) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'open items are added under READ COMMITTED only' USING ERRCODE = 'feature_not_supported';
    END IF;
    IF alone THEN
        PERFORM pg_advisory_xact_lock(1416193392, hashint8(account));
    ELSE
        PERFORM pg_advisory_xact_lock_shared(1416193392, hashint8(account));
    END IF;
END $$;

CREATE FUNCTION tieout_opened_twice(account bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a row part has an open item already in account %', account USING ERRCODE = 'unique_violation';
END $$;

CREATE FUNCTION tieout_items_added() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    account bigint;
    others text;
    found boolean;
BEGIN
    FOR account IN SELECT DISTINCT account_id FROM added ORDER BY 1 LOOP
        PERFORM tieout_lock_items(account, false);
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
            PERFORM tieout_opened_twice(account);
        END IF;
    END LOOP;
    RETURN NULL;
END $$;

-- A person splits an item, or joins its parts.
CREATE FUNCTION tieout_item_changed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    other regclass;
    found boolean;
BEGIN
    PERFORM tieout_lock_items(NEW.account_id, false);
    FOR other IN SELECT 'recon_openitem'::regclass
        UNION ALL SELECT inhrelid FROM pg_inherits WHERE inhparent = 'recon_openitem'::regclass
    LOOP
        CONTINUE WHEN other = TG_RELID;
        EXECUTE format(
            'SELECT EXISTS (SELECT FROM ONLY %s'
            ' WHERE account_id = $1 AND side = $2 AND row_id = $3 AND part = $4)', other
        ) INTO found USING NEW.account_id, NEW.side, NEW.row_id, NEW.part;
        IF found THEN
            PERFORM tieout_opened_twice(NEW.account_id);
        END IF;
    END LOOP;
    RETURN NEW;
END $$;

CREATE FUNCTION tieout_watch_items(items regclass) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE TRIGGER item_changed BEFORE UPDATE OF account_id, side, row_id, part ON %s FOR EACH ROW'
        ' WHEN ((OLD.account_id, OLD.side, OLD.row_id, OLD.part) IS DISTINCT FROM'
        ' (NEW.account_id, NEW.side, NEW.row_id, NEW.part)) EXECUTE FUNCTION tieout_item_changed()', items);
END $$;

CREATE FUNCTION tieout_join_items(child regclass) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    large CONSTANT regclass := 'recon_openitem'::regclass;
    account bigint;
    of_side smallint;
    first bigint;
    last bigint;
    place text;
    other regclass;
    found boolean;
BEGIN
    LOCK TABLE ONLY recon_openitem IN ROW EXCLUSIVE MODE;  -- nobody merges its tables meanwhile
    EXECUTE format('SELECT min(account_id) FROM ONLY %s', child) INTO account;
    WHILE account IS NOT NULL LOOP
        PERFORM tieout_lock_items(account, true);
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
                    PERFORM tieout_opened_twice(account);
                END IF;
            END LOOP;
        END LOOP;
        EXECUTE format('SELECT min(account_id) FROM ONLY %s WHERE account_id > %s', child, account) INTO account;
    END LOOP;
    EXECUTE format('CREATE TRIGGER items_are_complete BEFORE INSERT ON %s'
        ' FOR EACH STATEMENT EXECUTE FUNCTION tieout_refuse_change(''a table of open items that has joined'')', child);
    PERFORM tieout_watch_items(child);
    EXECUTE format('ALTER TABLE %s INHERIT recon_openitem', child);
END $$;

CREATE TRIGGER items_added AFTER INSERT ON recon_openitem REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION tieout_items_added();
SELECT tieout_watch_items('recon_openitem');
"""

NONE = """
DROP TRIGGER item_changed ON recon_openitem;
DROP TRIGGER items_added ON recon_openitem;
DROP FUNCTION tieout_join_items(regclass);
DROP FUNCTION tieout_watch_items(regclass);
DROP FUNCTION tieout_item_changed();
DROP FUNCTION tieout_items_added();
DROP FUNCTION tieout_opened_twice(bigint);
DROP FUNCTION tieout_lock_items(bigint, boolean);
"""


def create_functions(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(FUNCTIONS, params=None)


def drop_functions(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Not while open items have several tables: nothing would keep a row part from having two."""
    if schema_editor.connection.vendor != "postgresql":
        return
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_inherits WHERE inhparent = 'recon_openitem'::regclass")
        if cursor.fetchone()[0]:
            raise RuntimeError("Open items have tables of their own; merge them into recon_openitem first.")
    schema_editor.execute(NONE, params=None)


class Migration(migrations.Migration):
    dependencies = [("recon", "0018_ids_are_row_numbers")]
    operations = [migrations.RunPython(create_functions, drop_functions)]
