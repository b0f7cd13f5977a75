"""Texts are compared without characters that nobody sees: the keys of rows that have some are made again."""

from typing import Any

from django.db import migrations
from django.db.models import Q

from rules.criteria.text import text_key

UNSEEN = (
    "[\u00ad\u0600-\u0605\u061c\u06dd\u070f\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff\ufff9-\ufffb"
    "\U000e0001\U000e0020-\U000e007f]"
)
"""Unicode's category Cf, but for marks of scripts that no bank writes."""
FIELDS = ("reference", "description", "counterparty")
KEYS = [f"{name}_key" for name in FIELDS]


def make_keys_again(apps: Any, schema_editor: Any) -> None:
    for name in ("StatementLine", "LedgerEntry"):
        rows = apps.get_model("recon", name).objects
        has_some = Q()
        for key in KEYS:
            has_some |= Q(**{f"{key}__regex": UNSEEN})
        found = list(rows.filter(has_some).only("pk", *FIELDS))
        for row in found:
            for field, key in zip(FIELDS, KEYS, strict=True):
                setattr(row, key, text_key(getattr(row, field)))
        rows.bulk_update(found, KEYS, batch_size=500)


class Migration(migrations.Migration):
    dependencies = [("recon", "0019_items_apart")]

    operations = [migrations.RunPython(make_keys_again, migrations.RunPython.noop, elidable=True)]
