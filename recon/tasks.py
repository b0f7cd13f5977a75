"""Background work: what the worker's queue holds."""

from __future__ import annotations

from django_tasks import task

from recon.usecases import run_execution


@task()
def execute_run(run_id: str) -> None:
    """Execute a matching run; harmless if it is over or another worker has it."""
    run_execution.execute_run(run_id)
