from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("recon", "0012_closings")]

    operations = [
        migrations.CreateModel(
            name="PassedOver",
            fields=[
                (
                    "account",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="passed_over",
                        serialize=False,
                        to="recon.account",
                    ),
                ),
                ("run_number", models.BigIntegerField()),
                ("until", models.DateField()),
                ("next_id", models.BigIntegerField(default=0)),
            ],
        ),
    ]
