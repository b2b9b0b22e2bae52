"""Names a film for its watermark, by what it is made of."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from mytalk.errors import InputError
from mytalk.marking import Payload


def film_payload(sources: Iterable[Path], preset: str, seed: int) -> Payload:
    """Returns what a film is marked with: a hash of the bytes of its picture and speech, its preset and its seed.

    Reads the files once. Raises InputError for one that cannot be read."""
    digest = hashlib.sha256()
    for path in sources:
        try:
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        except OSError as error:
            raise InputError(f"{path}: {error.strerror} (need a file that can be read)") from error
    digest.update(f"{preset}\0{seed}".encode())
    return Payload.of("film", digest.hexdigest())
