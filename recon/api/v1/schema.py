"""The OpenAPI document of this API, and the page to read it on and try it."""

from __future__ import annotations

from functools import lru_cache
from http import HTTPStatus
from typing import Any, Final

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe
from drf_spectacular.generators import SchemaGenerator

from recon.api.problems import BASE, CONTENT_TYPE, KINDS, Problem, body
from rules.criteria.schema import criterion_schema

PREFIX: Final = "/api/v1/"
CRITERION: Final = "Criterion"

DESCRIPTION: Final = """\
Everything the pages of Tieout can do. `docs/api.md` is the guide.

- **Keys**: `Authorization: Bearer <key>`; each operation names the scope it needs. A signed-in browser may call
  it too, with its CSRF token.
- **Amounts** are exact decimals as text: `"12.50"`. Instants are UTC, days are plain dates.
- **Lists** come in pages: `limit` and `cursor`; `next_cursor` is null on the last one. `fields=` narrows them.
- **Errors** are problem details (RFC 9457); `errors` names each place and what was expected there.
- **Unknown fields and parameters are refused**: a mistyped `dryrun` must not become a real run.
"""

TAGS: Final = (
    ("Accounts", "What is reconciled, against which part of the ledger, and by which rules."),
    ("Ledger", "What our books say: entries, and the imports they came with."),
    ("Statements", "What banks and processors say: files, lines, balances and rows that could not be read."),
    ("Rules", "Matching rules, their versions, and trying them before they are used."),
    ("Runs", "Matching runs: start, watch, apply, take back, and what they found."),
    ("Matches", "Rows that settle each other: why, and a person's decision on them."),
    ("Exceptions", "Open items: what is not settled yet, and what becomes of it."),
    ("Reports", "What ties out and what does not, today or as at a past day."),
    ("Audit", "Who did what, when, through what and why."),
    ("Webhooks", "Who is told of what, and how telling them went."),
    ("Connectors", "Ledgers that run elsewhere and are read from, and how reading them went."),
    ("Keys", "API keys: made, shown once, revoked."),
    ("About", "The caller, the people, kinds of problems."),
)


RETRY_AFTER: Final = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}}


@login_not_required
@require_safe
def schema(request: HttpRequest) -> JsonResponse:
    """The document, as JSON: the same for everybody."""
    return JsonResponse(document(), json_dumps_params={"ensure_ascii": False})


@login_not_required
@require_safe
def docs(request: HttpRequest) -> HttpResponse:
    """The document to read and to try, in a browser."""
    return render(request, "api/docs.html")


@login_not_required
@csrf_exempt
def missing(request: HttpRequest, path: str = "") -> JsonResponse:
    """Any other path below ours."""
    problem = Problem("not-found", f"There is nothing at {request.path}; {PREFIX}schema/ lists what there is.")
    return JsonResponse(body(problem), status=404, content_type=CONTENT_TYPE)


@login_not_required
@require_safe
def problem_kind(request: HttpRequest, kind: str) -> JsonResponse:
    """What the `type` of a problem means."""
    if kind not in KINDS:
        return missing(request)
    status, title, meaning = KINDS[kind]
    return JsonResponse({"type": BASE + kind, "status": status, "title": title, "meaning": meaning})


def document() -> dict[str, Any]:
    """The OpenAPI document; what a criterion is, is asked of the operators there are."""
    made = of_routes()
    schemas = made["components"]["schemas"] | {CRITERION: criterion_schema()}
    return made | {"components": made["components"] | {"schemas": schemas}}


@lru_cache(maxsize=1)
def of_routes() -> dict[str, Any]:
    """The document as the routes have it, made once: they do not change while a process runs."""
    generator: Any = SchemaGenerator  # its functions are not annotated
    made: dict[str, Any] = generator().get_schema(request=None, public=True)
    return made


def only_ours(endpoints: list[Any]) -> list[Any]:
    """drf-spectacular's preprocessing: the paths of this API."""
    return [each for each in endpoints if each[0].startswith(PREFIX)]


def finished(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """drf-spectacular's postprocessing: what its inspection of serializers cannot know."""
    schemas = result["components"]["schemas"]
    schemas[CRITERION] = {}  # `document` fills it in
    result["info"]["description"] = DESCRIPTION
    result["tags"] = [{"name": name, "description": words} for name, words in TAGS]
    result["security"] = [{name: []} for name in result["components"]["securitySchemes"]]
    result["components"]["responses"] = problem_responses()
    for operation in _operations(result):
        operation["security"] = result["security"]
        for status in operation["responses"]:
            if status >= "400":
                operation["responses"][status] = {"$ref": f"#/components/responses/{HTTPStatus(int(status)).name}"}
    for name in _named(result, narrowed=True):
        schemas[name].pop("required", None)  # `fields` may leave any of them out
    for name in _named(result, narrowed=False):
        schemas[name]["additionalProperties"] = False
    return result


def problem_responses() -> dict[str, Any]:
    """Each error as a response that operations refer to."""
    fault = {"place": "body.name", "message": "This field is required.", "expected": "a text", "found": None}
    return {
        HTTPStatus(status).name: {
            "description": f"{title}. {meaning}",
            "content": {
                CONTENT_TYPE: {
                    "schema": {"$ref": "#/components/schemas/Problem"},
                    "example": {**body(Problem(kind, meaning)), "errors": [fault] if kind == "invalid" else []},
                }
            },
            **({"headers": RETRY_AFTER} if status == HTTPStatus.TOO_MANY_REQUESTS else {}),
        }
        for kind, (status, title, meaning) in reversed(KINDS.items())
    }


def _operations(result: dict[str, Any]) -> list[dict[str, Any]]:
    return [each for path in result["paths"].values() for each in path.values()]


def _named(result: dict[str, Any], *, narrowed: bool) -> set[str]:
    """Names of the components that answers may show in part, or that are bodies."""
    names = set()
    for operation in _operations(result):
        if narrowed and any(each["name"] == "fields" for each in operation.get("parameters", [])):
            names |= _shown(result, operation)
        elif not narrowed and "requestBody" in operation:
            for media in operation["requestBody"]["content"].values():
                names |= _within(result, _references(media["schema"]))
    return names


def _shown(result: dict[str, Any], operation: dict[str, Any]) -> set[str]:
    """The component of an answer; of a page, the one of its items."""
    content = operation["responses"].get("200", {}).get("content", {}).get("application/json", {})
    names = _references(content.get("schema", {}))
    items = [result["components"]["schemas"][name].get("properties", {}).get("items", {}) for name in names]
    inner = {name for each in items for name in _references(each)}
    return inner or names


def _references(schema: Any) -> set[str]:
    if isinstance(schema, dict):
        own = {schema["$ref"].rpartition("/")[2]} if "$ref" in schema else set()
        return own.union(*(_references(each) for each in schema.values()))
    return set().union(*map(_references, schema)) if isinstance(schema, list) else set()


def _within(result: dict[str, Any], names: set[str]) -> set[str]:
    """The components named, and those inside them that are objects."""
    schemas = result["components"]["schemas"]
    inner = set().union(*(_references(schemas[name]) for name in names)) - names
    found = names | (_within(result, inner) if inner else set())
    return {name for name in found if schemas[name].get("type") == "object"}
