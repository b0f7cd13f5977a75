from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("recon", "0002_events_are_append_only")]
    operations = [
        migrations.AddIndex(
            model_name="match",
            index=models.Index(
                fields=["account_id", "id"], condition=models.Q(state="suggested"), name="match_suggested"
            ),
        ),
    ]
