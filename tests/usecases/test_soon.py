"""A small write gets in while a load goes on, and what is wrong with it is said at once."""

from __future__ import annotations

import threading
import time

import pytest
from django.db import OperationalError, connection, transaction

from recon.models import IdBlock
from recon.usecases.bulk.soon import soon

pytestmark = [
    pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL has many writers"),
    pytest.mark.django_db(transaction=True),
]


def test_it_finds_the_short_moments_between_the_transactions_of_a_load():
    over, written = threading.Event(), list[int]()

    def load() -> None:
        while not over.is_set():
            with transaction.atomic():
                written.append(IdBlock.objects.filter(table="loaded").update(next_id=len(written)))
                time.sleep(0.1)
            time.sleep(0.015)  # what comes next is made ready
        connection.close()

    IdBlock.objects.create(table="loaded")
    loading = threading.Thread(target=load)
    loading.start()
    try:
        while not written:
            time.sleep(0.001)
        soon(lambda: IdBlock.objects.create(table="small"))
        transactions = len(written)
    finally:
        over.set()
        loading.join()
    assert transactions < 30
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA busy_timeout")
        assert cursor.fetchone()[0] == 60_000


def test_what_else_is_wrong_is_raised(db):
    def wrong() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM nowhere")

    with pytest.raises(OperationalError, match="nowhere"):
        soon(wrong)
