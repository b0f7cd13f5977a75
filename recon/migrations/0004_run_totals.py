from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("recon", "0003_suggested_matches")]
    operations = [
        migrations.AddField(model_name="matchingrun", name="totals", field=models.JSONField(default=dict)),
    ]
