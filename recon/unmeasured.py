"""Request bodies that come without a length, as programs that stream send them.

WSGI lets an application read no further than CONTENT_LENGTH, and Django takes a missing one for an empty body. Blnk's
TypeScript SDK uploads its files that way (chunked), and so does ``curl -T -``.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable
from typing import Any, Final

from django.conf import settings

Application = Callable[[dict[str, Any], Any], Iterable[bytes]]

_BLOCK: Final = 1 << 18
_IN_MEMORY: Final = 1 << 20


def measured(application: Application) -> Application:
    """Put such a body aside, on disk if it is large, and give it its length.

    Reads at most a little more than is allowed: that is refused by its length like any other body that is too large.
    Only servers that say so (`wsgi.input_terminated`) end a body without a length properly.
    """

    def wrapped(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ.get("CONTENT_LENGTH") or not environ.get("wsgi.input_terminated"):
            return application(environ, start_response)
        if environ["REQUEST_METHOD"] in {"GET", "HEAD", "OPTIONS"}:
            return application(environ, start_response)
        aside = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - closed with the request that holds it
        length = 0
        while length <= settings.MAX_UPLOAD_BYTES and (block := environ["wsgi.input"].read(_BLOCK)):
            aside.write(block)
            length += len(block)
        aside.seek(0)
        environ |= {"CONTENT_LENGTH": str(length), "wsgi.input": aside}
        return application(environ, start_response)

    return wrapped
