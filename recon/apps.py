from importlib import import_module

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class ReconConfig(AppConfig):
    name = "recon"
    verbose_name = "Reconciliation"

    def ready(self) -> None:
        import_module("recon.usecases.rule_events")  # once the models exist: it listens to the rules app
        post_migrate.connect(import_module("recon.usecases.apart").mend_indexes, sender=self)
        post_migrate.connect(import_module("recon.usecases.embedded_load").mend_indexes, sender=self)
