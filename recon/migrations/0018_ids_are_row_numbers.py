"""On SQLite the tables are made anew, some ten seconds for each million rows. On PostgreSQL nothing changes."""

from django.db import migrations

from recon.models.fields import RowNumber


class Migration(migrations.Migration):
    dependencies = [("recon", "0017_claims_and_match_rows_by_key")]

    operations = [
        migrations.AlterField(model, "id", RowNumber(primary_key=True, serialize=False))
        for model in ("ledgerentry", "statementline", "match", "openitem")
    ]
