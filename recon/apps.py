from importlib import import_module

from django.apps import AppConfig


class ReconConfig(AppConfig):
    name = "recon"
    verbose_name = "Reconciliation"

    def ready(self) -> None:
        import_module("recon.usecases.rule_events")  # once the models exist: it listens to the rules app
