import sys
from importlib import import_module
from importlib.util import find_spec

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class ReconConfig(AppConfig):
    name = "recon"
    verbose_name = "Reconciliation"

    def ready(self) -> None:
        import_module("recon.usecases.rules.audit")  # once the models exist: it listens to the rules app
        spare_arrow_its_search()
        post_migrate.connect(import_module("recon.usecases.bulk.apart_indexes").mend_indexes, sender=self)
        post_migrate.connect(import_module("recon.usecases.bulk.embedded_indexes").mend_indexes, sender=self)


def spare_arrow_its_search() -> None:
    """PyArrow asks for dateutil whenever it converts a Python value. Where there is none, Python would search every
    folder for it each time, hundreds of times in a small run: 4 ms of its processor time."""
    if find_spec("dateutil") is None:
        sys.modules["dateutil.relativedelta"] = None  # type: ignore[assignment] # Python's word for: is not there
