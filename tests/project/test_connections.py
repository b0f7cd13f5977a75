"""Kept connections to PostgreSQL are looked at before they are used again, without a query."""

from __future__ import annotations

import copy
import select
import socket
import socketserver
import struct
import threading
from types import SimpleNamespace

import pytest
from django.db import OperationalError, connection

from recon.postgresql import NO_JIT, base

pytestmark = pytest.mark.skipif(connection.vendor != "postgresql", reason="about connections to a server")


@pytest.fixture
def kept(transactional_db):
    """A connection of its own, as a thread of the web server keeps it from request to request."""
    own = connection.copy()
    own.ensure_connection()
    yield own
    own.close()


def process_of(kept) -> int:
    with kept.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return int(cursor.fetchone()[0])


def test_a_connection_that_is_fine_is_kept_without_asking(kept):
    process = process_of(kept)
    with connection.cursor() as cursor:
        cursor.execute("SELECT query_start FROM pg_stat_activity WHERE pid = %s", [process])
        before = cursor.fetchone()
        kept.close_if_unusable_or_obsolete()
        kept.close_if_health_check_failed()
        cursor.execute("SELECT query_start FROM pg_stat_activity WHERE pid = %s", [process])
        assert cursor.fetchone() == before
    assert process_of(kept) == process


def test_a_connection_that_the_server_has_ended_is_made_anew(kept):
    process = process_of(kept)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 10000)", [process])
    assert select.select([kept.connection.fileno()], [], [], 10)[0]
    kept.close_if_unusable_or_obsolete()  # as at the beginning of a request
    assert process_of(kept) != process


def test_after_an_error_the_server_is_asked(kept):
    process = process_of(kept)
    kept.errors_occurred = True
    kept.close_if_unusable_or_obsolete()
    assert (kept.errors_occurred, process_of(kept)) == (False, process)


def test_a_connection_that_was_closed_underneath_is_made_anew(kept):
    process = process_of(kept)
    kept.connection.close()
    kept.close_if_unusable_or_obsolete()
    assert process_of(kept) != process


def test_statements_that_are_asked_often_are_parsed_once_a_connection(kept):
    for number in (1, 2):
        with kept.prepared_cursor() as cursor:
            cursor.execute("SELECT %s::int + 1", [number])
            assert cursor.fetchone() == (number + 1,)
    with kept.cursor() as cursor:
        cursor.execute("SELECT statement FROM pg_prepared_statements")
        assert cursor.fetchall() == [("SELECT $1::int + 1",)]


@pytest.fixture
def names(kept):
    """A table, and what its names are, asked by a statement that is parsed once."""

    def found() -> list:
        with kept.prepared_cursor() as cursor:
            cursor.execute("SELECT name FROM prepared_once")
            return cursor.fetchall()

    run(kept, "CREATE TABLE prepared_once (name varchar(20))")
    yield found
    run(kept, "DROP TABLE prepared_once")


def run(kept, *statements: str) -> None:
    with kept.cursor() as cursor:
        for each in statements:
            cursor.execute(each)


def test_a_statement_is_asked_anew_after_its_connection_was_lost_or_its_table_changed(kept, names):
    assert names() == []
    run(
        kept,
        "ALTER TABLE prepared_once DROP COLUMN name",
        "ALTER TABLE prepared_once ADD COLUMN name text DEFAULT 'there'",
        "INSERT INTO prepared_once DEFAULT VALUES",
    )
    assert names() == [("there",)]
    kept.close()
    assert names() == [("there",)]


def test_a_statement_is_asked_anew_when_a_column_has_another_type_or_somebody_has_discarded_it(kept, names):
    for change in ("ALTER TABLE prepared_once ALTER COLUMN name TYPE varchar(30)", "DISCARD ALL"):
        assert names() == []
        run(kept, change)
        assert names() == names() == []
        kept.close()


def test_statements_that_are_not_asked_often_are_not_kept_in_memory(kept):
    with kept.prepared_cursor() as cursor:
        cursor.execute("SELECT 1")
    assert kept.connection.prepare_threshold is None  # else psycopg keeps the texts of a hundred, with their values


def test_nothing_is_prepared_behind_a_pooler(kept):
    """As one tells itself: it gives out another number than that of the process that answers."""
    kept.prepares = base._answers_itself(BehindAPooler(kept.connection))  # type: ignore[arg-type] # has what it asks
    with kept.prepared_cursor() as cursor:
        cursor.execute("SELECT %s::int + 1", [1])
        assert cursor.fetchone() == (2,)
    with kept.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_prepared_statements")
        assert cursor.fetchone() == (0,)


class BehindAPooler:
    """A connection whose server's process is one of several."""

    def __init__(self, real) -> None:
        self.execute = real.execute
        self.info = SimpleNamespace(backend_pid=real.info.backend_pid + 1)


class Pooler(socketserver.BaseRequestHandler):
    """Refuses a connection that asks for options, as PgBouncer does, and passes on what others say."""

    def handle(self) -> None:
        while (start := self._start())[4:] in {SSL_REQUEST, GSS_REQUEST}:
            self.request.sendall(b"N")
        if b"\0options\0" in start:
            fields = b"SFATAL\0C08P01\0Munsupported startup parameter: options\0\0"
            self.request.sendall(b"E" + struct.pack("!i", len(fields) + 4) + fields)
            return
        with connected_to_the_server() as server:
            server.sendall(start)
            to_server = threading.Thread(target=pump, args=(self.request, server), daemon=True)
            to_server.start()
            pump(server, self.request)
            to_server.join(5)

    def _start(self) -> bytes:
        length = self.request.recv(4, socket.MSG_WAITALL)
        return bytes(length + self.request.recv(struct.unpack("!i", length)[0] - 4, socket.MSG_WAITALL))


SSL_REQUEST, GSS_REQUEST = struct.pack("!i", 80877103), struct.pack("!i", 80877104)


def connected_to_the_server() -> socket.socket:
    params = connection.get_connection_params()
    host, port = str(params.get("host", "127.0.0.1")), int(params.get("port") or 5432)
    if not host.startswith("/"):
        return socket.create_connection((host, port))
    server = socket.socket(socket.AF_UNIX)
    server.connect(f"{host}/.s.PGSQL.{port}")
    return server


def pump(source: socket.socket, target: socket.socket) -> None:
    while data := source.recv(65536):
        target.sendall(data)
    target.shutdown(socket.SHUT_WR)


def test_a_pooler_that_takes_no_options_is_asked_without(kept):
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Pooler) as pooler:
        pooler.daemon_threads = True
        threading.Thread(target=pooler.serve_forever, daemon=True).start()
        address = {"HOST": "127.0.0.1", "PORT": pooler.server_address[1]}
        settings = copy.deepcopy(kept.settings_dict) | address
        settings["OPTIONS"].pop("host", None)
        own = base.DatabaseWrapper(settings, alias="behind a pooler")
        try:
            asked_for = own.get_connection_params()
            assert process_of(own)
            assert "options" not in own.get_connection_params()
            own.close()
            own.get_new_connection(asked_for).close()  # of a thread that connected at the same moment
            own.settings_dict["OPTIONS"]["options"] = f"{NO_JIT} -c search_path=public"
            with pytest.raises(OperationalError, match="unsupported startup parameter"):
                own.ensure_connection()
        finally:
            own.close()
            pooler.shutdown()
