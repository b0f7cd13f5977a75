"""``./run inspect_statement FILE…``: how files are read. Stores nothing, needs neither database nor Django."""

from __future__ import annotations

import json
import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from recon.statements.inspection import in_words, inspect_file, not_read
from recon.statements.model import Hints

HELP = "Show how statement files are read: format, account, balances, totals and row errors. Stores nothing."


def main(arguments: Sequence[str]) -> int:
    """Print each file as soon as it is read; 1 if one of them cannot be read at all."""
    parser = ArgumentParser(prog="inspect_statement", description=HELP)
    add_arguments(parser)
    return run(parser.parse_args(arguments))


def add_arguments(parser: ArgumentParser) -> None:
    """What the command can be told."""
    parser.add_argument("files", nargs="+", metavar="FILE")
    parser.add_argument("--json", action="store_true", help="one line of JSON per file")
    parser.add_argument("--currency", help="the account's currency, for files that name none")
    parser.add_argument("--date-order", choices=("dmy", "mdy", "ymd"), help="for files that leave it open")


def run(options: Namespace) -> int:
    """Read and print the files of parsed arguments; the exit code."""
    hints = Hints(currency=options.currency, date_order=options.date_order)
    sys.stdout.reconfigure(errors="surrogateescape")  # type: ignore[union-attr] # names are printed as they were given
    all_read = True
    try:
        for name in options.files:
            found, was_read = _inspected(name, hints)
            all_read = all_read and was_read
            text = json.dumps(found, ensure_ascii=False) if options.json else in_words(found)
            sys.stdout.write(f"{text}\n")
            sys.stdout.flush()
    except BrokenPipeError:  # whoever reads has enough, as `head` does; nothing more can be written
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return 0 if all_read else 1


def _inspected(name: str, hints: Hints) -> tuple[dict[str, Any], bool]:
    try:
        return inspect_file(Path(name), name, hints)
    except Exception as problem:  # noqa: BLE001 - a fault of ours in one file must not keep the others from being shown
        return not_read(name, f"The file cannot be read: {type(problem).__name__}: {problem}"), False
