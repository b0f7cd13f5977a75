"""From the declared operations of a path to its view: check the request, call the function, write the answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.http.request import QueryDict
from rest_framework import serializers
from rest_framework.authentication import SessionAuthentication
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from recon.api import problems
from recon.api.auth import HasScope, KeyAuthentication, actor
from recon.api.idempotency import idempotent
from recon.api.json import ExactJSONRenderer, StorableJSONParser
from recon.api.problems import Fault, Problem, faults_of
from recon.api.throttle import TooManyRequests
from recon.api.v1.etags import is_known, tag_of
from recon.api.v1.fields import Shape
from recon.api.v1.openapi import described
from recon.api.v1.paging import Paged, seal, unseal
from recon.api.v1.spec import FIELDS, Call, Function, Spec

Handler = Callable[..., HttpResponseBase]


class Endpoint(APIView):
    """The operations of one path, by method."""

    authentication_classes = (KeyAuthentication, SessionAuthentication)
    permission_classes = (HasScope,)
    renderer_classes = (ExactJSONRenderer,)
    specs: dict[str, Spec] = {}
    scopes: dict[str, str] = {}
    spec: Spec | None = None

    def initialize_request(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Request:
        self.spec = self.specs.get(request.method or "")
        return super().initialize_request(request, *args, **kwargs)

    def check_permissions(self, request: Request) -> None:
        """What nobody can do here is not a matter of scopes."""
        if request.method not in {*self.specs, "HEAD", "OPTIONS"}:
            methods = ", ".join(self.specs)
            raise Problem("method-not-allowed", f"{request.method} is not one of the methods of this path: {methods}.")
        super().check_permissions(request)

    def get_parsers(self) -> list[BaseParser]:
        return self.spec.parsers if self.spec else [StorableJSONParser()]

    def throttled(self, request: Request, wait: float | None) -> None:  # type: ignore[override] # it never returns
        raise TooManyRequests(wait)

    def get_exception_handler(self) -> Any:
        return problems.handle


def route(**functions: Function) -> Callable[..., HttpResponseBase]:
    """The view of one path: ``route(GET=list_runs, POST=start_run)``."""
    specs = {method: each.spec for method, each in functions.items()}
    handlers = {method.lower(): described(_handler(each), each.spec) for method, each in functions.items()}
    name = "".join(word.capitalize() for spec in specs.values() for word in spec.name.split("_"))
    scopes = {method: spec.scope for method, spec in specs.items()}
    view: Any = type(name, (Endpoint,), {**handlers, "specs": specs, "scopes": scopes})
    return view.as_view()  # type: ignore[no-any-return]


def _handler(function: Function) -> Handler:
    spec = function.spec

    def handle(view: Endpoint, request: Request, **path: Any) -> HttpResponseBase:
        if any("\0" in each for each in path.values() if isinstance(each, str)):
            raise Problem("not-found", "No id holds a NUL character.")
        _refuse_length(spec, request)
        query, names = _query(spec, request.query_params)
        reads = spec.takes is not None and not spec.streams
        given = checked(spec.takes, request.data, "body") if spec.takes and reads else None
        call = Call(request, actor(request), spec, query, given)
        try:
            result = function(call, **path)
        except problems.ANSWERS as answer:
            raise problems.problem_of(answer) or answer from answer
        return _answered(call, result, names)

    handle.__name__ = spec.name
    if not spec.repeatable:
        return handle
    return idempotent(in_steps=spec.in_steps, is_secret=spec.is_secret)(handle)


def _refuse_length(spec: Spec, request: Request) -> None:
    """Bodies have a length, and those that are held in memory a limit."""
    if spec.takes is None:
        return
    announced = request.META.get("CONTENT_LENGTH") or ""
    if not announced and request.headers.get("Transfer-Encoding"):
        raise Problem("malformed", "The body has no Content-Length; one that comes in chunks is not read.")
    limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    if announced.isdecimal() and int(announced) > limit and not (spec.files or spec.streams):
        raise Problem("too-large", f"The body has {int(announced):,} bytes; at most {limit:,} are accepted here.")


def checked(shape: type[Shape], data: Any, place: str) -> dict[str, Any]:
    """The values of a body or query as its shape reads them. Raises Problem naming everything that does not hold."""
    reader = shape(data=_plain(shape, data) if isinstance(data, QueryDict) else data)
    if not reader.is_valid():
        faults = faults_of(reader.errors, place, reader, reader.initial_data)
        raise Problem("invalid", f"{faults[0].place}: {faults[0].message}", faults)
    values: dict[str, Any] = reader.validated_data
    return values


def _plain(shape: type[Shape], data: QueryDict) -> dict[str, Any]:
    """A query or form as a plain dictionary: lists where the shape has lists, else the last value."""
    fields = shape().fields
    lists = {name for name, each in fields.items() if isinstance(each, serializers.ListField)}
    return {name: data.getlist(name) if name in lists else data[name] for name in data}


def _query(spec: Spec, params: QueryDict) -> tuple[dict[str, Any], Sequence[str]]:
    """The checked query, its cursor unsealed, and the names in `fields`."""
    params = params.copy()
    names = _names(spec, params.pop(FIELDS, [])) if spec.takes_fields else []
    query = checked(spec.query, params, "query")
    if spec.paged:
        query["cursor"] = unseal(spec.name, query["cursor"])
    return query, names


def _names(spec: Spec, texts: Sequence[str]) -> list[str]:
    names = [name.strip() for text in texts for name in text.split(",") if name.strip()]
    known = spec.gives().fields if spec.gives else {}
    if unknown := [name for name in names if name not in known]:
        message = f"Unknown field {unknown[0]!r}; expected some of {', '.join(known)}."
        raise Problem("invalid", message, [Fault("query.fields", message, ", ".join(known), unknown[0])])
    return names


def _answered(call: Call, result: Any, names: Sequence[str]) -> HttpResponseBase:
    spec = call.spec
    if isinstance(result, HttpResponseBase):
        return result
    if spec.gives is None:
        return HttpResponse(status=spec.status)
    if isinstance(result, Paged):
        items = _shown(spec.gives, result.items, names, many=True)
        return Response({"items": items, "next_cursor": seal(spec.name, result.next_key)}, status=spec.status)
    return _single(call, _shown(spec.gives, result, names), names)


def _shown(shape: type[Shape], value: Any, names: Sequence[str], *, many: bool = False) -> Any:
    writer = shape()
    if names:
        for name in set(writer.fields) - set(names):
            writer.fields.pop(name)
    return [writer.to_representation(each) for each in value] if many else writer.to_representation(value)


def _single(call: Call, shown: Any, names: Sequence[str]) -> HttpResponseBase:
    """One record with its tag; 304 without a body if the caller has this state already."""
    tag = tag_of(shown)
    reads = call.request.method in {"GET", "HEAD"}
    is_old = reads and is_known(call.request, tag)
    response = HttpResponse(status=304) if is_old else Response(shown, status=call.spec.status)
    if reads or call.spec.guarded:
        response.headers["ETag"] = tag
        response.headers["Cache-Control"] = "private, no-cache"
    return response
