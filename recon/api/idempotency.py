"""`Idempotency-Key`: a POST that creates or starts may be sent again and is worked on once.

The same key with the same body gets the same answer (with `Idempotent-Replayed: true`), with another body 409. Two at
once: the second waits for the first one's answer. A refused request leaves nothing behind, not even its key.

A key belongs to the user, so that a retry may come with a new API key, and is kept for seven days.
"""

from __future__ import annotations

import functools
import hashlib
import tempfile
from collections.abc import Callable
from typing import IO, Any, Final

from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpResponse, HttpResponseBase
from django.utils.datastructures import MultiValueDict
from rest_framework.exceptions import APIException, NotAuthenticated, ValidationError
from rest_framework.parsers import FormParser, MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from recon.models import ApiRequest
from recon.usecases.outside import idempotency
from recon.usecases.outside.idempotency import Answer

HEADER: Final = "Idempotency-Key"
LONGEST_KEY: Final = 255
KEPT_HEADERS: Final = ("Content-Type", "Location", "ETag")
_BLOCK: Final = 1 << 18
_IN_MEMORY: Final = 1 << 20

Handler = Callable[..., HttpResponseBase]


class IdempotencyKeyReused(APIException):
    status_code = 409
    default_code = "idempotency_key_reused"
    default_detail = "This Idempotency-Key came with another request before; use a new key for a new request."


class RequestInWork(APIException):
    """DRF's handler turns `wait` into the Retry-After header."""

    status_code = 409
    default_code = "request_in_work"
    default_detail = "A request with this Idempotency-Key is still being worked on; ask again."
    wait = 1


def idempotent(*, in_steps: bool = False, is_secret: bool = False) -> Callable[[Handler], Handler]:
    """Let a DRF handler (method or function) be repeated safely; without the header it runs as it is.

    As a rule its work and the record of its answer commit in one transaction: a killed process leaves both or neither.
    ``in_steps`` is for work in several transactions, such as large loads and runs: the handler asks `done_earlier`
    what an earlier try had finished and goes on from there. An answer that ``is_secret`` is not kept: the handler
    makes it again from what was done.
    """

    def decorate(handler: Handler) -> Handler:
        @functools.wraps(handler)
        def once(*args: Any, **kwargs: Any) -> HttpResponseBase:
            request = next(each for each in args[:2] if isinstance(each, Request))
            key = _key(request)
            if not key:
                return handler(*args, **kwargs)

            def work() -> HttpResponseBase:
                return handler(*args, **kwargs)

            with tempfile.SpooledTemporaryFile(_IN_MEMORY) as aside:
                begun = _begin(request, key, fingerprint(request, aside))
                if isinstance(begun, Answer):
                    return _replayed(begun)
                request.idempotency_id = begun.pk  # type: ignore[attr-defined] # `actor` and `done_earlier` read it
                if in_steps or is_secret:
                    return _in_steps(request, begun, work, keeps_answer=not is_secret)
                return _at_once(request, begun, work)

        return once

    return decorate


def request_id(request: Request) -> int | None:
    """What the events of this request are marked with; None without an Idempotency-Key."""
    return getattr(request, "idempotency_id", None)


def done_earlier(request: Request, kind: str) -> str | None:
    """Id of the record of this kind (as events name kinds) that an earlier try of this request had made."""
    number = request_id(request)
    return None if number is None else idempotency.done_earlier(number, kind)


def _key(request: Request) -> str:
    key = request.headers.get(HEADER, "").strip()
    if len(key) > LONGEST_KEY or not key.isprintable():
        raise ValidationError(
            f"{HEADER} must be at most {LONGEST_KEY} printable characters", "idempotency_key_invalid"
        )
    return key


def _begin(request: Request, key: str, fingerprint: str) -> ApiRequest | Answer:
    if not isinstance(request.user, User):
        raise NotAuthenticated
    try:
        return idempotency.begin(request.user, key, fingerprint)
    except idempotency.KeyReused as error:
        raise IdempotencyKeyReused from error
    except idempotency.StillInWork as error:
        raise RequestInWork from error


def _at_once(request: Request, begun: ApiRequest, work: Callable[[], HttpResponseBase]) -> HttpResponseBase:
    try:
        with transaction.atomic():
            response = _final(request, work())
            if response.status_code < 400:
                idempotency.finish(begun, _answer(response))
            else:
                transaction.set_rollback(True)
    except Exception:
        idempotency.forget(begun)  # all was rolled back
        raise
    if response.status_code >= 400:
        idempotency.forget(begun)
    return response


def _in_steps(
    request: Request, begun: ApiRequest, work: Callable[[], HttpResponseBase], *, keeps_answer: bool
) -> HttpResponseBase:
    try:
        response = _final(request, work())
    except (APIException, Http404, PermissionDenied):
        _free(begun, keeps_answer=keeps_answer)
        raise
    except Exception:
        idempotency.give_up(begun)
        raise
    if response.status_code >= 400:
        _free(begun, keeps_answer=keeps_answer)
    elif keeps_answer:
        idempotency.finish(begun, _answer(response))
    else:
        idempotency.give_up(begun)
    return response


def _free(begun: ApiRequest, *, keeps_answer: bool) -> None:
    """A refused request leaves its key free; but where no answer is kept, that may be a later try's, which cannot tell
    any more what the first one made, and must not make it again."""
    if keeps_answer or not idempotency.has_done_something(begun):
        idempotency.forget(begun)
    else:
        idempotency.give_up(begun)


def _final(request: Request, response: HttpResponseBase) -> HttpResponse:
    """The response as bytes: what is sent now is what is sent again."""
    if not isinstance(response, Response):
        assert isinstance(response, HttpResponse), "an idempotent handler answers as a whole"  # noqa: S101
        return response
    renderer = request.accepted_renderer
    body = renderer.render(response.data, renderer.media_type, {})
    final = HttpResponse(body, status=response.status_code, content_type=response.content_type or renderer.media_type)
    for name, value in response.headers.items():
        if name != "Content-Type":
            final.headers[name] = value
    return final


def _answer(response: HttpResponse) -> Answer:
    headers = {name: response.headers[name] for name in KEPT_HEADERS if name in response.headers}
    return Answer(response.status_code, headers, response.content)


def _replayed(answer: Answer) -> HttpResponse:
    headers = {**answer.headers, "Idempotent-Replayed": "true"}
    return HttpResponse(answer.body, status=answer.status, headers=headers)


def fingerprint(request: Request, aside: IO[bytes]) -> str:
    """SHA-256 over method, path with query, and body, which is put `aside` and can be read again, also as a stream.

    Of a form it takes the fields and files, because each sending of a multipart form draws another boundary.
    """
    digest = hashlib.sha256(f"{request.method} {request.get_full_path()}\n".encode())
    if _is_form(request):
        _hash_form(request, digest)
    else:
        _hash_body(request, digest, aside)
    return digest.hexdigest()


def _is_form(request: Request) -> bool:
    """Whether the view reads it as one; some read JSON whatever the content type says."""
    parser = request.negotiator and request.negotiator.select_parser(request, request.parsers or ())
    return isinstance(parser, FormParser | MultiPartParser)


def _hash_form(request: Request, digest: Any) -> None:
    fields: MultiValueDict[str, Any] = request.data  # type: ignore[assignment] # what DRF makes of a form
    for name in sorted(fields):
        if name not in request.FILES:
            digest.update(repr((name, fields.getlist(name))).encode())
    for name in sorted(request.FILES):
        for file in request.FILES.getlist(name):
            content = hashlib.sha256()
            for block in file.chunks():
                content.update(block)
            file.seek(0)
            digest.update(repr((name, file.name, content.hexdigest())).encode())


def _hash_body(request: Request, digest: Any, aside: IO[bytes]) -> None:
    plain: Any = request._request
    if hasattr(plain, "_body"):
        digest.update(plain.body)
        return
    while block := plain.read(_BLOCK):
        digest.update(block)
        aside.write(block)
    aside.seek(0)
    plain._stream = aside
    plain._read_started = False
