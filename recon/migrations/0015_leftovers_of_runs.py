from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("recon", "0014_compare_states_one_by_one")]

    operations = [
        migrations.AddField("matchingrun", "stored_from", models.BigIntegerField(null=True)),
        migrations.AddField("matchingrun", "stored_to", models.BigIntegerField(null=True)),
        migrations.AddIndex(
            "matchingrun",
            models.Index(
                fields=["stored_from"], condition=models.Q(stored_from__isnull=False), name="run_with_leftovers"
            ),
        ),
    ]
