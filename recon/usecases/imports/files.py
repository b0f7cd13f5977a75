"""Files as they came: staged while people look at them, kept under their content's hash once imported."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO, Final
from uuid import uuid4

from django.conf import settings
from django.core.files import File
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import UploadedFile
from django.utils import timezone

from recon.models import StagedFile
from recon.usecases.errors import Refused
from recon.usecases.events import Actor

KEEP_STAGED: Final = timedelta(days=1)
_BLOCK: Final = 1 << 20

Source = StagedFile | Path | bytes
"""Where a file's content is: staged, on the disk of this machine, or in memory."""


def stage_file(by: Actor, uploaded: UploadedFile[bytes]) -> StagedFile:
    """Put an uploaded file aside for preview and import; what others forgot there for a day is dropped.

    Raises Refused for a file over the configured size, and for an actor without a user: staged files are private.
    """
    if by.user is None:
        raise Refused("Only somebody who is signed in can stage a file.")
    size = uploaded.size or 0
    if size > settings.MAX_UPLOAD_BYTES:
        raise Refused(f"The file has {size:,} bytes; at most {settings.MAX_UPLOAD_BYTES:,} are accepted.")
    drop_forgotten_files()
    token = uuid4()
    sha256 = hash_blocks(uploaded.chunks())
    uploaded.seek(0)
    name = default_storage.save(f"staged/{token}", uploaded)
    return StagedFile.objects.create(
        token=token,
        name=Path(uploaded.name or "unnamed").name[:255],
        file=name,
        sha256=sha256,
        size=size,
        owner=by.user,
    )


def drop_forgotten_files() -> None:
    """Delete staged files that are older than a day."""
    for staged in StagedFile.objects.filter(created_at__lt=timezone.now() - KEEP_STAGED):
        drop_staged(staged)


def drop_staged(staged: StagedFile) -> None:
    """Delete a staged file: it was imported, or nobody wants it."""
    staged.file.delete(save=False)
    staged.delete()


def content(source: Source) -> bytes | Path:
    """What a statement reader takes."""
    return Path(source.file.path) if isinstance(source, StagedFile) else source


def sha256_of(source: Source) -> str:
    """The hex digest of the content."""
    if isinstance(source, StagedFile):
        return source.sha256
    if isinstance(source, bytes):
        return hashlib.sha256(source).hexdigest()
    with source.open("rb") as file:
        return hash_blocks(_blocks(file))


def hash_blocks(blocks: Iterator[bytes]) -> str:
    """The SHA-256 hex digest of content that comes in blocks."""
    digest = hashlib.sha256()
    for block in blocks:
        digest.update(block)
    return digest.hexdigest()


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    while block := file.read(_BLOCK):
        yield block


def keep(source: Source, sha256: str) -> str:
    """Keep the original under its hash and return its storage name. The same content is kept once."""
    name = f"originals/{sha256[:2]}/{sha256}"
    if default_storage.exists(name):
        return name
    if isinstance(source, bytes):
        return default_storage.save(name, ContentFile(source))
    with Path(source.file.path if isinstance(source, StagedFile) else source).open("rb") as file:
        return default_storage.save(name, File(file))
