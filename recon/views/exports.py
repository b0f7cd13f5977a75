"""A run's results to take away: CSV that streams, XLSX that is written row by row."""

from __future__ import annotations

from collections.abc import Iterator

from django.http import FileResponse, HttpRequest, StreamingHttpResponse
from django.views.decorators.http import require_safe

from recon.usecases.runs.export_files import matches_csv, unmatched_csv, workbook
from recon.views.runs import with_results


@require_safe
def run_matches_csv(request: HttpRequest, run_id: str) -> StreamingHttpResponse:
    """All matches of a run as CSV."""
    run = with_results(run_id)
    return csv_response(f"run-{run.number}-matches.csv", matches_csv(run))


@require_safe
def run_unmatched_csv(request: HttpRequest, run_id: str) -> StreamingHttpResponse:
    """All rows a run left open as CSV."""
    run = with_results(run_id)
    return csv_response(f"run-{run.number}-unmatched.csv", unmatched_csv(run))


@require_safe
def run_xlsx(request: HttpRequest, run_id: str) -> FileResponse:
    """Matches and unmatched rows of a run as one workbook."""
    run = with_results(run_id)
    return FileResponse(workbook(run), as_attachment=True, filename=f"run-{run.number}.xlsx")


def csv_response(name: str, lines: Iterator[str]) -> StreamingHttpResponse:
    response = StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response
