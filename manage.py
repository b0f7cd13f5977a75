#!/usr/bin/env python
"""Run a management command: `./run COMMAND …` prepares the environment and ends here."""

import os
import sys


def main() -> None:
    if sys.argv[1:2] == ["inspect_statement"]:
        # It only reads files; without Django its first line is there in half the time.
        from recon.statements.command import main as inspect_statement

        sys.exit(inspect_statement(sys.argv[2:]))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "recon.settings")
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import CommandError, execute_from_command_line
    from django.db import DatabaseError

    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        # A wrong setting is the operator's mistake, not a bug: one line says which one and what is expected.
        sys.exit(f"tieout: {error}")
    except DatabaseError:
        from recon.migrating import migrations_missing

        try:
            if not migrations_missing():
                raise
        except CommandError as error:
            sys.exit(f"tieout: {error}")
        sys.exit("tieout: the database has no tables yet, or those of an older version; ./run migrate makes them")


if __name__ == "__main__":
    main()
