"""What the settings' ENGINE names: Django looks for `DatabaseWrapper` in a module ``base``."""

from __future__ import annotations

import select
from typing import Any

import psycopg
from django.db.backends.postgresql import base
from psycopg.errors import FeatureNotSupported, InvalidSqlStatementName
from psycopg.pq import TransactionStatus

from recon.postgresql import NO_JIT


class DatabaseWrapper(base.DatabaseWrapper):
    """A connection that every request checks before its first query, without asking the server.

    A server that restarts, fails over or ends the connection says so on it, or closes it: there is something to read
    then, where nothing was asked. Only then Django's own check, a query, decides. If the way to the server is cut
    without a word that query would get no answer either.
    """

    def is_usable(self) -> bool:
        if self.connection is None or self.connection.closed or self.errors_occurred:
            return super().is_usable()
        return not _has_something_to_say(self.connection.fileno()) or super().is_usable()

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """PgBouncer takes no options unless it is told to ignore them; to do without ours costs time only."""
        try:
            return super().get_new_connection(conn_params)
        except psycopg.OperationalError as error:
            if "unsupported startup parameter" not in str(error) or conn_params.get("options") != NO_JIT:
                raise
            self.settings_dict["OPTIONS"].pop("options", None)  # threads share it: another may have been faster
            return super().get_new_connection(self.get_connection_params())

    def init_connection_state(self) -> None:
        super().init_connection_state()
        self.prepares = _answers_itself(self.connection)
        # A cursor that outlives its transaction stays in a process that a pooler gives to others meanwhile.
        self.settings_dict["DISABLE_SERVER_SIDE_CURSORS"] = not self.prepares

    def prepared_cursor(self) -> Any:
        """A cursor as `cursor` gives one, each of whose statements the server parses once a connection: to parse and
        plan a small query takes it several times as long as to answer it."""
        self.close_if_health_check_failed()
        self.ensure_connection()
        if not self.prepares:
            return self.cursor()
        with self.wrap_database_errors:
            return self._prepare_cursor(_Prepared(self))  # type: ignore[attr-defined] # missing in the stubs


class _Prepared(psycopg.Cursor[Any]):
    """Sends parameters apart from the statement."""

    def __init__(self, wrapper: DatabaseWrapper) -> None:
        super().__init__(wrapper.connection)
        self._wrapper = wrapper

    def execute(self, query: Any, params: Any = None, **how: Any) -> Any:
        # Set for this only: psycopg would keep the texts of the last hundred statements of any kind, values included.
        self.connection.prepare_threshold = 1
        try:
            return super().execute(query, params, **{**how, "prepare": True})
        except (FeatureNotSupported, InvalidSqlStatementName):
            # A column has another type since, by a migration for example, or somebody has discarded the statement. It
            # would be so whenever this is asked again.
            self._wrapper.prepares = False
            if self.connection.info.transaction_status != TransactionStatus.IDLE:
                raise
            return super().execute(query, params, **{**how, "prepare": False})
        finally:
            self.connection.prepare_threshold = None


def _answers_itself(connection: psycopg.Connection[Any]) -> bool:
    """Whether who answers is the server's process that was connected to. A pooler gives each transaction to whichever
    is free, and that has no such statement, or another client's of the same name."""
    found = connection.execute("SELECT pg_backend_pid()").fetchone()
    return found is not None and found[0] == connection.info.backend_pid


def _has_something_to_say(socket: int) -> bool:
    """Whether there is something to read, or an end."""
    poll = select.poll()
    poll.register(socket, select.POLLIN)
    return bool(poll.poll(0))
