"""Statements: what banks and processors say."""

from __future__ import annotations

from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_safe

from recon.forms.filters import LineFilterForm, StatementFilterForm
from recon.forms.inputs import after_key
from recon.models import LoadState, MatchingRun, Side, Statement, StatementLine
from recon.partials import page_or_fragment
from recon.usecases.finding import matched_ids, page_in_file_order, page_of, statement_lines
from recon.usecases.imports.continuity import joint, span_of
from recon.usecases.imports.discrepancies import discrepancies
from recon.usecases.imports.facts import balance_verdict, statement_facts
from recon.usecases.review.row_history import settlements
from recon.views.rows import extra_facts

SHOWN_ERRORS = 100


@require_safe
def statements(request: HttpRequest) -> HttpResponse:
    """The list of statements, newest first, each with its latest run."""
    form = StatementFilterForm(request.GET)
    after = after_key(request.GET.get("after"))
    page = page_of(form.narrow(Statement.objects.select_related("account", "uploaded_by")), after, key="number")
    runs = MatchingRun.objects.filter(statement__in=[each.pk for each in page.rows]).order_by("number")
    latest = {run.statement_id: run for run in runs}
    context = {
        "form": form,
        "statements": [(each, balance_verdict(each), latest.get(each.pk)) for each in page.rows],
        "account": form.cleaned_data.get("account"),
        "discrepancy_count": discrepancies(form.cleaned_data.get("account")).count(),
        "after": after,
        "next_after": page.next_after,
        "is_filtered": any(request.GET.get(name) for name in form.fields),
    }
    fragments = {"statement-rows": "statements/_statement_rows.html"}
    return page_or_fragment(request, "statements/statements.html", fragments, context)


@require_safe
def statement(request: HttpRequest, upload_id: str) -> HttpResponse:
    """One statement: its proof, what could not be read, its runs and its lines in file order."""
    found = get_object_or_404(Statement.objects.select_related("account", "uploaded_by", "supersedes"), pk=upload_id)
    form = LineFilterForm(request.GET)
    after = after_key(request.GET.get("after"))
    page = page_in_file_order(statement_lines(found.number, form.row_filter()), after)
    matched = matched_ids(Side.STATEMENT, (line.pk for line in page.rows))
    context = {
        "statement": found,
        "form": form,
        "lines": [(line, line.pk in matched) for line in page.rows],
        "after": after,
        "next_after": page.next_after,
        "is_filtered": any(request.GET.get(name) for name in form.fields),
    }
    if request.headers.get("HX-Target") != "statement-lines":
        context |= {
            "facts": statement_facts(found),
            "joint": joint(found.account, span_of(found), found) if found.state == LoadState.READY else None,
            "replaced_by": Statement.objects.filter(supersedes=found).first(),
            "discrepancies": found.discrepancies.open(),
            "row_errors": found.row_errors.filter(settled_at=None)[:SHOWN_ERRORS],
            "error_count": found.row_errors.filter(settled_at=None).count(),
            "settled_rows": found.row_errors.exclude(settled_at=None).select_related("settled_by")[:SHOWN_ERRORS],
            "runs": found.runs.order_by("-number")[:10],
            "can_discard": found.state == LoadState.READY,
        }
    fragments = {"statement-lines": "statements/_statement_lines.html"}
    return page_or_fragment(request, "statements/statement.html", fragments, context)


@require_safe
def statement_line(request: HttpRequest, line_id: int) -> HttpResponse:
    """One line with everything the file said, and its matches."""
    line = get_object_or_404(StatementLine, pk=line_id)
    context = {
        "row": line,
        "statement": Statement.objects.select_related("account").filter(number=line.statement_number).first(),
        "extra": extra_facts(line.extra),
        "settlements": settlements(Side.STATEMENT, line.pk),
        "is_matched": bool(matched_ids(Side.STATEMENT, [line.pk])),
    }
    fragments = {"panel-body": "statements/_statement_line.html"}
    return page_or_fragment(request, "statements/statement_line.html", fragments, context)


@require_safe
def statement_file(request: HttpRequest, upload_id: str) -> FileResponse:
    """The original file, byte for byte."""
    found = get_object_or_404(Statement, pk=upload_id)
    if not found.file:
        raise Http404("this statement was made without a file")
    return FileResponse(found.file.open("rb"), as_attachment=True, filename=found.name)
