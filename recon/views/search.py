"""The search box (Ctrl-K)."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from recon.context import address
from recon.partials import page_or_fragment
from recon.usecases.search import search as find


@require_safe
def search(request: HttpRequest) -> HttpResponse:
    """Hits as a page, or as the list under the box."""
    text = request.GET.get("q", "")[:200]
    hits = [(hit, url) for hit in find(text) if (url := address(hit.view, hit.key))]
    context = {"q": text, "hits": hits, "is_asked": len(text.strip()) >= 2}
    return page_or_fragment(request, "search/search.html", {"search-results": "search/_search_results.html"}, context)
