"""Secrets that have to be read again (what webhooks are signed with, keys of ledgers) are kept encrypted."""

from __future__ import annotations

import base64
import hashlib
import hmac

from cryptography.fernet import Fernet, InvalidToken
from django.conf import settings

from recon.usecases.errors import Refused

PURPOSE = b"tieout: secrets at rest, version 1"


def seal(text: str) -> str:
    """The text, encrypted with a key that is derived from the installation's secret key."""
    return _cipher().encrypt(text.encode()).decode()


def unseal(sealed: str) -> str:
    """What `seal` was given. Raises Refused if the installation's secret key is another one by now."""
    try:
        return _cipher().decrypt(sealed.encode()).decode()
    except InvalidToken as error:
        raise Refused(
            "A stored secret cannot be read, because this installation's secret key is another one than when it was "
            "stored: enter it again."
        ) from error


def _cipher() -> Fernet:
    """The secret key is long and random, so one keyed hash of the purpose is a key as good as it."""
    key = hmac.digest(settings.SECRET_KEY.encode(), PURPOSE, hashlib.sha256)
    return Fernet(base64.urlsafe_b64encode(key))
