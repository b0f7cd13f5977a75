"""Background work: what the worker's queue holds."""

from __future__ import annotations

import logging

from django.contrib.auth.models import User
from django_tasks import task

from recon.models import MatchingRun, Via
from recon.usecases.errors import Refused
from recon.usecases.events import Actor
from recon.usecases.runs import execution as run_execution
from recon.usecases.runs import undo

logger = logging.getLogger(__name__)


@task()
def execute_run(run_id: str) -> None:
    """Execute a matching run; harmless if it is over or another worker has it."""
    run_execution.execute_run(run_id)


@task()
def reverse_run(run_id: str, user_id: int | None, via: str, include_manual: bool, why: str) -> None:
    """Reverse a large run; harmless if that was done meanwhile."""
    by = Actor(User.objects.filter(pk=user_id).first() if user_id else None, Via(via))
    try:
        undo.reverse_run(by, MatchingRun.objects.get(pk=run_id), include_manual=include_manual, why=why)
    except Refused as refused:
        logger.info("Run %s was not reversed: %s", run_id, refused.message)
