from typing import Any

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


def make_matches_anew(apps: Any, schema_editor: Any) -> None:
    """SQLite compares with IN by making a table of the values for every row: a load of matches took twice as long.

    PostgreSQL does not, and its tables of large loads have the old constraints, which say the same: they stay.
    """
    if schema_editor.connection.vendor == "sqlite":
        schema_editor._remake_table(apps.get_model("recon", "Match"))


def one_of(field: str, *values: str) -> models.Q:
    return models.Q(*((field, value) for value in values), _connector="OR")


class Migration(migrations.Migration):
    dependencies = [
        ("recon", "0013_passed_over"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.RemoveConstraint(model_name="match", name="match_origin_known"),
                migrations.RemoveConstraint(model_name="match", name="match_state_known"),
                migrations.AddConstraint(
                    model_name="match",
                    constraint=models.CheckConstraint(
                        condition=one_of("origin", "rule", "subset_sum", "manual"), name="match_origin_known"
                    ),
                ),
                migrations.AddConstraint(
                    model_name="match",
                    constraint=models.CheckConstraint(
                        condition=one_of(
                            "state", "suggested", "confirmed", "rejected", "undone", "withdrawn", "proposed"
                        ),
                        name="match_state_known",
                    ),
                ),
            ],
        ),
        migrations.RunPython(make_matches_anew, migrations.RunPython.noop),
        # An index of those few items that are somebody's: each of a million others had its place in it, too.
        migrations.AlterField(
            model_name="openitem",
            name="owner",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddIndex(
            model_name="openitem",
            index=models.Index(condition=models.Q(("owner__isnull", False)), fields=["owner"], name="item_owner"),
        ),
    ]
