#!/usr/bin/env python
"""Run a management command: `./run COMMAND …` prepares the environment and ends here."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "recon.settings")
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line

    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        # A wrong setting is the operator's mistake, not a bug: one line says which one and what is expected.
        sys.exit(f"tieout: {error}")


if __name__ == "__main__":
    main()
