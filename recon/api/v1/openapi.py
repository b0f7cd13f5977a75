"""An operation's entry in the OpenAPI document, made from its `Spec`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers

from recon.api import problems
from recon.api.v1.fields import Shape
from recon.api.v1.spec import FIELDS, Spec

PATH: Final[dict[str, tuple[str, Any]]] = {
    "account_id": ("Id of an account.", 1),
    "adjustment_id": ("Id of an adjustment.", 1),
    "closing_id": ("Id of a closing.", 1),
    "connector_id": ("Id of a connector.", 1),
    "delivery_id": ("Id of a delivery.", 1),
    "discrepancy_id": ("Id of a discrepancy.", 1),
    "entry_id": ("Id of a ledger entry.", "txn_b1d8c2f0-4a55-8e01-8000-00000000002a"),
    "error_id": ("Id of a row that could not be read.", 1),
    "event_id": ("Id of an event.", 1),
    "import_id": ("Id of a ledger import.", "import_6b0f5a3c-93e2-4c0b-8a53-0d8f5f9d3a11"),
    "item_id": ("Id of an open item.", 1),
    "key_id": ("Id of an API key.", 1),
    "kind": ("Name of a kind of problem.", "invalid"),
    "line_id": ("Id of a statement line.", 1),
    "match_id": ("Id of a match.", 1),
    "number": ("Number of a version.", 1),
    "profile_id": ("Id of an import profile.", 1),
    "rule_id": ("Id of a matching rule.", "rule_0c9d1f8e-6a0b-4f5e-9d5c-2f6f3c1b7a10"),
    "run_id": ("Id of a run.", "recon_5f3c1b7a-10c9-4d1f-8e6a-0b4f5e9d5c2f"),
    "sync_id": ("Id of a reading of a connector.", 1),
    "webhook_id": ("Id of a webhook.", 1),
    "upload_id": ("Id of a statement.", "upload_9d5c2f6f-3c1b-4a10-8c9d-1f8e6a0b4f5e"),
}
"""Parameters of paths: what they are, and one that looks like it."""


class FaultShape(Shape):
    """One thing that is wrong with a request."""

    place = serializers.CharField(help_text="Where: `body.rules[0].enabled`, `query.limit`, `line 12, Amount`.")
    message = serializers.CharField(help_text="What is wrong, for people.")
    expected = serializers.CharField(allow_null=True, help_text="What was expected there.")
    found = serializers.CharField(allow_null=True, help_text="What was found there.")


class ProblemShape(Shape):
    """Problem details (RFC 9457)."""

    type = serializers.CharField(help_text="Path of the kind of problem; stable.")
    title = serializers.CharField(help_text="The kind in words.")
    status = serializers.IntegerField(help_text="The HTTP status.")
    detail = serializers.CharField(help_text="What happened, for people.")
    errors: Any = FaultShape(many=True, help_text="Each thing that is wrong, with its place.")


def described(handler: Callable[..., Any], spec: Spec) -> Any:
    """The handler with its entry."""
    note = f"Needs the scope `{spec.scope}`."
    return extend_schema(
        operation_id=spec.name,
        summary=spec.summary,
        description=f"{spec.description}\n\n{note}" if spec.description else note,
        tags=[spec.tag],
        parameters=[*_path(spec), *_query(spec), *_headers(spec)],
        request=_request(spec),
        responses=_responses(spec),
        examples=_examples(spec),
        extensions={"x-scope": spec.scope},
    )(handler)


def _path(spec: Spec) -> list[OpenApiParameter]:
    types: dict[str, type] = {"int": int, "str": str}
    return [
        OpenApiParameter(
            name, types[kind], OpenApiParameter.PATH, description=PATH[name][0],
            examples=[OpenApiExample(name, PATH[name][1])],
        )
        for name, kind in spec.path.items()
    ]  # fmt: skip


def _query(spec: Spec) -> list[Any]:
    parameters: list[Any] = [spec.query] if spec.query().fields else []
    if spec.takes_fields and spec.gives:
        known = ", ".join(spec.gives().fields)
        words = f"Names of the fields to answer with, comma separated; all by default. Known: {known}."
        parameters.append(OpenApiParameter(FIELDS, str, description=words))
    return parameters


def _headers(spec: Spec) -> list[OpenApiParameter]:
    headers = []
    if spec.guarded:
        words = "The `ETag` of the state this change is based on; 412 if somebody changed it meanwhile."
        headers.append(OpenApiParameter("If-Match", str, OpenApiParameter.HEADER, description=words))
    if spec.repeatable:
        words = "Any text of at most 255 characters: the same request sent again with it is worked on once."
        headers.append(OpenApiParameter("Idempotency-Key", str, OpenApiParameter.HEADER, description=words))
    return headers


def _request(spec: Spec) -> Any:
    if spec.takes is None:
        return None
    if spec.streams:
        return {"application/json": spec.takes(many=True), "application/x-ndjson": spec.takes}
    return {"multipart/form-data" if spec.files else "application/json": spec.takes}


def _responses(spec: Spec) -> dict[Any, Any]:
    answers: dict[Any, Any] = {(status, problems.CONTENT_TYPE): ProblemShape for status in _statuses(spec)}
    done = problems.title_of(spec.status)
    if spec.downloads:
        kind = OpenApiTypes.ANY if spec.downloads == "application/json" else OpenApiTypes.BINARY
        answers[spec.status, spec.downloads] = OpenApiResponse(kind, description="The file.")
    elif spec.gives is None:
        answers[spec.status] = OpenApiResponse(None, description=done)
    else:
        shape = page_shape(spec.gives) if spec.paged else spec.gives
        answers[spec.status, "application/json"] = OpenApiResponse(shape, description=done)
        if not spec.paged and spec.takes_fields:
            answers[304] = OpenApiResponse(None, description="If-None-Match names the present state.")
    return answers


def _statuses(spec: Spec) -> list[int]:
    """The error statuses an operation can answer with."""
    writes = spec.scope != "read" or spec.takes is not None
    wanted = {
        400: True,
        401: True,
        403: True,
        404: bool(spec.path) or writes,
        406: True,
        409: spec.repeatable,
        412: spec.guarded,
        413: spec.takes is not None,
        415: spec.takes is not None,
        422: writes,
        429: True,
        500: True,
    }
    return [status for status, is_wanted in wanted.items() if is_wanted]


def page_shape(gives: type[Shape]) -> type[Shape]:
    """One page of a list."""
    if gives not in _pages:
        name = gives.__name__.removesuffix("Shape") + "PageShape"
        fields = {
            "items": gives(many=True),
            "next_cursor": serializers.CharField(
                allow_null=True, help_text="`cursor` of the next page; null on the last one."
            ),
            "__doc__": "One page of a list.",
        }
        _pages[gives] = type(name, (Shape,), fields)
    return _pages[gives]


_pages: dict[type[Shape], type[Shape]] = {}


def _examples(spec: Spec) -> list[OpenApiExample]:
    examples: list[OpenApiExample] = []
    if spec.takes is not None and spec.takes.example and not spec.files:
        examples += _request_examples(spec)
    if spec.gives is not None and spec.gives.example:
        value: Any = spec.gives.example
        value = {"items": [value], "next_cursor": None} if spec.paged else value
        examples.append(
            OpenApiExample(spec.summary, value, response_only=True, status_codes=[str(spec.status)],
                           media_type="application/json")
        )  # fmt: skip
    return examples


def _request_examples(spec: Spec) -> list[OpenApiExample]:
    example = spec.takes.example if spec.takes else {}
    if not spec.streams:
        return [OpenApiExample(spec.summary, example, request_only=True)]
    return [
        OpenApiExample("A list", example, request_only=True, media_type="application/json"),
        OpenApiExample("One object a line", example, request_only=True, media_type="application/x-ndjson"),
    ]
