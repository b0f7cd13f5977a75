"""What the settings' ENGINE names: Django looks for `DatabaseWrapper` in a module ``base``."""

from __future__ import annotations

import select
from typing import Any

import psycopg
from django.db.backends.postgresql import base


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

    def prepared_cursor(self) -> Any:
        """A cursor as `cursor` gives one, each of whose statements the server parses once a connection: to parse and
        plan a small query takes it several times as long as to answer it."""
        self.close_if_health_check_failed()
        self.ensure_connection()
        with self.wrap_database_errors:
            return self._prepare_cursor(_Prepared(self.connection))  # type: ignore[attr-defined] # missing in the stubs


class _Prepared(psycopg.Cursor[Any]):
    """Sends parameters apart from the statement."""

    def execute(self, query: Any, params: Any = None, **how: Any) -> Any:
        return super().execute(query, params, **{**how, "prepare": True})


def _has_something_to_say(socket: int) -> bool:
    """Whether there is something to read, or an end."""
    poll = select.poll()
    poll.register(socket, select.POLLIN)
    return bool(poll.poll(0))
