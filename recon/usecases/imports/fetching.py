"""Statement files fetched from an address that an API client names."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Final, cast
from urllib.parse import unquote, urlsplit

from django.conf import settings

from recon.outbound import AddressRefusedError, Call, Limits, OutboundError, checked_url, fetch
from recon.usecases.errors import Refused

REDIRECTS: Final = 5


class UrlInvalid(Refused):
    """The address is none that a file can be fetched from."""


class HostRefused(Refused):
    """Its host, or one it redirects to, is not listed or stands at a private address."""


@contextmanager
def fetched_file(url: str) -> Iterator[tuple[Path, str]]:
    """The file at this address and its name, on disk while the context lasts. Raises Refused and its kinds above.

    Only hosts in TIEOUT_UPLOAD_HOSTS are asked, redirects included; size and time are limited.
    """
    try:
        checked_url(url)
    except AddressRefusedError as error:
        raise UrlInvalid(str(error)) from error
    limits = Limits(settings.UPLOAD_URL_SECONDS, settings.MAX_UPLOAD_BYTES, REDIRECTS)
    with tempfile.NamedTemporaryFile(dir=settings.DATA_DIR) as file:
        try:
            answer = fetch(Call("GET", url, only_hosts=settings.UPLOAD_HOSTS), limits, into=cast(BinaryIO, file))
        except AddressRefusedError as error:
            raise HostRefused(str(error)) from error
        except OutboundError as error:
            raise Refused(str(error)) from error
        if not answer.is_success:
            raise Refused(f"{urlsplit(url).hostname} answered with status {answer.status} instead of a file.")
        file.flush()
        name = PurePosixPath(unquote(urlsplit(answer.url).path)).name
        yield Path(file.name), name or "download"
