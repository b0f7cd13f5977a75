"""Uploads and runs: `/reconciliation/upload`, `/reconciliation/start`, `/reconciliation/start-instant`, results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.core.files.uploadedfile import TemporaryUploadedFile, UploadedFile
from django.db.models import QuerySet
from rest_framework.parsers import FormParser, MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from recon.api.auth import actor
from recon.api.blnk.base import BlnkView, flag_of, json_object, text_of
from recon.api.blnk.errors import BlnkError
from recon.api.idempotency import done_earlier, idempotent
from recon.api.json import StorableJSONParser, dumps_flat
from recon.models import Account, MatchingRun, RunKind, RunState, Statement, Strategy
from recon.usecases.accounts.scope import builtin_account
from recon.usecases.errors import Refused
from recon.usecases.imports.fetching import HostRefused, UrlInvalid, fetched_file
from recon.usecases.imports.importing import import_statement
from recon.usecases.ledger.transactions import NEVER
from recon.usecases.runs.at_once import may_run_at_once, on_the_way, run_at_once
from recon.usecases.runs.engine_options import check_method, rules_in
from recon.usecases.runs.starting import start_run
from rules.authoring import current_versions, listed_version
from rules.kept_queries import KeptQuery
from rules.models import MatchingRule, RuleVersion

STATUS: Final = {
    RunState.QUEUED: "started",
    RunState.RUNNING: "in_progress",
    RunState.COMPLETED: "completed",
    RunState.REVERSED: "completed",
    RunState.FAILED: "failed",
    RunState.CANCELLED: "failed",
}
"""Blnk knows these four; a cancelled run has no results, so it counts as failed there."""


LONGEST_SOURCE: Final = 200
"""Characters."""

EXTERNAL: Final = ("id", "amount", "reference", "currency", "description", "date", "source")
"""What an external transaction has in Blnk. What else a program sends with it is ignored, as everywhere."""

NO_DATE: Final = NEVER.isoformat().replace("+00:00", "Z")
"""How programs in Go send a date that they do not have."""

MOST_LISTED: Final = 1_000


class Upload(BlnkView):
    """A file in a form, or the address of one: ``{"url", "source"}``. A file wins over an address, as in Blnk."""

    scopes = {"POST": "upload"}
    parser_classes = (StorableJSONParser, MultiPartParser, FormParser)

    @idempotent(in_steps=True)
    def post(self, request: Request) -> Response:
        source = text_of(request.data, "source")
        if len(source) > LONGEST_SOURCE:
            raise BlnkError("GEN_VALIDATION_ERROR", f"source must have at most {LONGEST_SOURCE} characters")
        if stored := done_earlier(request, "statement"):
            return Response(uploaded(Statement.objects.get(pk=stored), source))
        file, url = request.FILES.get("file"), text_of(request.data, "url")
        try:
            if file is not None:
                return Response(uploaded(stored_file(request, on_disk(file), file.name or "upload", source), source))
            if url:
                with fetched_file(url) as (path, name):
                    return Response(uploaded(stored_file(request, path, name, source), source))
        except UrlInvalid as refused:
            raise BlnkError("RECON_UPLOAD_URL_INVALID", refused.message) from refused
        except HostRefused as refused:
            raise BlnkError("RECON_UPLOAD_HOST_NOT_ALLOWED", refused.message) from refused
        except Refused as refused:
            raise BlnkError("RECON_UPLOAD_FAILED", with_advice(refused), row_errors(refused)) from refused
        raise BlnkError(
            "RECON_UPLOAD_FAILED", "File upload failed", [{"expected": "a form with file, or JSON with url"}]
        )


def on_disk(file: UploadedFile[bytes]) -> Path | bytes:
    """Django keeps large uploads on disk: they need not come into memory."""
    return Path(file.temporary_file_path()) if isinstance(file, TemporaryUploadedFile) else file.read()


def stored_file(request: Request, source: Path | bytes, name: str, label: str) -> Statement:
    return import_statement(actor(request), builtin_account(), source, name, label=label, repeats="import")


class Start(BlnkView):
    scopes = {"POST": "run"}

    @idempotent()
    def post(self, request: Request) -> Response:
        body = json_object(request)
        versions = chosen_rules(body)
        upload_id = text_of(body, "upload_id", required=True)
        statement = Statement.objects.ready().filter(pk=upload_id, account=builtin_account()).first()
        if statement is None:
            raise BlnkError("RECON_NOT_FOUND", f"Upload with ID '{upload_id}' not found")
        return started(request, body, statement, versions, RunKind.BATCH)


class StartInstant(BlnkView):
    scopes = {"POST": "run"}

    @idempotent(in_steps=True)
    def post(self, request: Request) -> Response:
        if run_id := done_earlier(request, "run"):
            return Response({"reconciliation_id": run_id})
        with on_the_way():
            body = json_object(request)
            rows = instant_rows(body)
            versions = chosen_rules(body)
            refuse_bare(rows)
            strategy, account = check_strategy(body), builtin_account()
            if may_run_at_once(account, len(rows), strategy) and not done_earlier(request, "statement"):
                return ran_at_once(request, body, account, rows, versions)
        refuse_bad_method(body, versions)
        statement = instant_statement(request, rows)
        return started(request, body, statement, versions, RunKind.INSTANT)


def instant_rows(body: Mapping[str, Any]) -> list[Any]:
    rows = body.get("external_transactions")
    if rows is None or rows == []:
        raise BlnkError("RECON_EXTERNAL_TXNS_REQUIRED", "external_transactions is required")
    if not isinstance(rows, list):
        raise BlnkError("GEN_MALFORMED_REQUEST", "external_transactions must be a list")
    if len(rows) > settings.INSTANT_LIMIT:
        message = f"too many external_transactions; max is {settings.INSTANT_LIMIT}"
        raise BlnkError("GEN_VALIDATION_ERROR", message)
    return [external_transaction(place, row) for place, row in enumerate(rows)]


def refuse_bare(rows: list[dict[str, Any]]) -> None:
    """What all rows lack would be asked for as a column of a file."""
    for name in ("amount", "currency"):
        if all(row.get(name) in (None, "") for row in rows):
            raise BlnkError("GEN_VALIDATION_ERROR", f"external_transactions[0].{name} is required")


def external_transaction(place: int, row: Any) -> dict[str, Any]:
    if not isinstance(row, dict):
        raise BlnkError("GEN_VALIDATION_ERROR", f"external_transactions[{place}] must be an object")
    known = {name: row[name] for name in EXTERNAL if name in row}
    if known.get("date") == NO_DATE:
        del known["date"]
    return known


def ran_at_once(
    request: Request, body: Mapping[str, Any], account: Account, rows: list[Any], versions: Sequence[RuleVersion]
) -> Response:
    text_of(body, "grouping_criteria")  # nothing is grouped one to one, but it must be a text
    is_dry_run = flag_of(body, "dry_run")
    try:
        run = run_at_once(
            actor(request), account, dumps_flat(rows).encode(), "instant.json", versions, is_dry_run=is_dry_run
        )
    except Refused as refused:
        raise BlnkError("GEN_VALIDATION_ERROR", refused.message, row_errors(refused)) from refused
    return Response({"reconciliation_id": run.run_id})


def instant_statement(request: Request, rows: list[Any]) -> Statement:
    if stored := done_earlier(request, "statement"):
        return Statement.objects.get(pk=stored)
    try:
        return import_statement(
            actor(request),
            builtin_account(),
            dumps_flat(rows).encode(),
            "instant.json",
            repeats="import",
            every_row=True,
        )
    except Refused as refused:
        raise BlnkError("GEN_VALIDATION_ERROR", refused.message, row_errors(refused)) from refused


class Reconciliations(BlnkView):
    def get(self, request: Request) -> Response:
        start, most = number_in(request, "offset", 0), number_in(request, "limit", 100)
        most = min(most, MOST_LISTED)
        return Response([shown(run) for run in runs()[start : start + most]])


class Reconciliation(BlnkView):
    def get(self, request: Request, reconciliation_id: str) -> Response:
        return Response(shown(found(reconciliation_id)))


def number_in(request: Request, name: str, default: int) -> int:
    """A whole number among the parameters."""
    text = request.query_params.get(name, str(default))
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise BlnkError("GEN_VALIDATION_ERROR", f"{name} must be a whole number, found {text[:40]!r}")
    return int(text)


def uploaded(statement: Statement, source: str) -> dict[str, Any]:
    return {"upload_id": statement.upload_id, "record_count": statement.record_count, "source": source}


def runs() -> QuerySet[MatchingRun]:
    """The latest first."""
    return MatchingRun.objects.filter(account=builtin_account()).select_related("statement").order_by("-number")


_SHOWN: Final = (
    "statement", "state", "error", "is_dry_run", "lines_total", "lines_matched", "lines_suggested",
    "created_at", "started_at", "completed_at",
)  # fmt: skip
_by_id = KeptQuery(lambda run_id: MatchingRun.objects.filter(pk=run_id, account__is_builtin=True).only(*_SHOWN))


def found(reconciliation_id: str) -> MatchingRun:
    run = _by_id.first(reconciliation_id)
    if run is None:
        raise BlnkError("RECON_NOT_FOUND", "Reconciliation not found")
    return run


def chosen_rules(body: Mapping[str, Any]) -> list[RuleVersion]:
    """The current versions of the rules named, in the order given."""
    ids = body.get("matching_rule_ids")
    if ids is None or ids == []:
        raise BlnkError("RECON_MATCHING_RULES_REQUIRED", "matching_rule_ids is required")
    if not isinstance(ids, list) or not all(isinstance(each, str) for each in ids):
        raise BlnkError("GEN_MALFORMED_REQUEST", "matching_rule_ids must be a list of texts")
    if len(ids) == 1 and (only := listed_version(ids[0])) is not None:
        return [only]
    rules = MatchingRule.objects.listed().in_bulk(ids)
    if missing := [each for each in ids if each not in rules]:
        raise BlnkError("RECON_RULE_NOT_FOUND", f"Matching rule with ID '{missing[0]}' not found")
    return current_versions([rules[each] for each in ids])


def check_strategy(body: Mapping[str, Any]) -> str:
    strategy = text_of(body, "strategy") or Strategy.ONE_TO_ONE.value
    if strategy not in Strategy.values:
        message = f"unknown strategy '{strategy}'; expected one of {', '.join(Strategy.values)}"
        raise BlnkError("GEN_VALIDATION_ERROR", message)
    return strategy


def refuse_bad_method(body: Mapping[str, Any], versions: Sequence[RuleVersion]) -> None:
    """What can be said of a run before its rows are stored."""
    try:
        check_method(rules_in(versions), check_strategy(body), text_of(body, "grouping_criteria"), {})
    except Refused as refused:
        raise BlnkError("GEN_VALIDATION_ERROR", refused.message) from refused


def started(
    request: Request, body: Mapping[str, Any], statement: Statement, versions: Sequence[RuleVersion], kind: RunKind
) -> Response:
    try:
        run = start_run(
            actor(request),
            statement.account,
            statement,
            versions,
            kind=kind,
            is_dry_run=flag_of(body, "dry_run"),
            strategy=check_strategy(body),
            grouping=text_of(body, "grouping_criteria"),
        )
    except Refused as refused:
        raise BlnkError("GEN_VALIDATION_ERROR", refused.message) from refused
    return Response({"reconciliation_id": run.run_id})


def shown(run: MatchingRun) -> dict[str, Any]:
    """A run in Blnk's words; suggestions confirm nothing, so their lines count as unmatched."""
    total = run.lines_total or (run.statement.record_count if run.statement else 0)
    failure = {"failure": run.error} if run.error else {}
    return {
        "reconciliation_id": run.run_id,
        "upload_id": run.statement_id or "",
        "status": STATUS[RunState(run.state)],
        "matched_transactions": run.lines_matched,
        "unmatched_transactions": total - run.lines_matched,
        "suggested_transactions": run.lines_suggested,
        "is_dry_run": run.is_dry_run,
        "started_at": run.started_at or run.created_at,
        "completed_at": run.completed_at,
        **failure,
    }


def with_advice(refused: Refused) -> str:
    """A refusal; of a file that leaves something open also where that can be answered, as this API has no place."""
    is_open = any((each.column or "").startswith("mapping.") for each in refused.row_errors)
    return (
        f"{refused.message} Upload it to /api/v1/statements, which takes the answer." if is_open else refused.message
    )


def row_errors(refused: Refused) -> list[dict[str, Any]] | None:
    """Where in the file the trouble stands."""
    return [
        {
            "line": each.line,
            "column": each.column,
            "found": each.found,
            "expected": each.expected,
            "message": each.message,
        }
        for each in refused.row_errors
    ] or None
