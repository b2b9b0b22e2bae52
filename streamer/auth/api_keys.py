"""Keeps API keys, which say what a caller may do and how much, in a file of hashes that ``mytalk keys`` writes.

A key is ``mytalk_<id>_<secret>``. The secret is 256 random bits, so its SHA-256 cannot be guessed backwards and needs
no salt and no slow hash. The file holds that hash; the key itself is shown once, when it is made.
"""

from __future__ import annotations

import hmac
import logging
import os
import re
import secrets
import tempfile
from collections.abc import Iterable
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Literal, get_args

import msgspec
from msgspec import Meta, Struct

from mytalk.errors import InputError, OptionError
from streamer.auth.tokens import KEY_PATTERN
from streamer.errors import MismatchError
from streamer.validation import checked

log = logging.getLogger(__name__)

Scope = Literal["publish", "view", "admin", "metrics"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
"""``publish``: make sessions, and everything with those it made. ``view``: watch any session whose URL it has.
``metrics``: read `/metrics`. ``admin``: all of that, and everything with any session."""

MAX_FILE = 4 * 1024 * 1024
"""Bytes of a file of keys, or of their usage."""

KeyId = Annotated[str, Meta(pattern=r"^[0-9a-f]{8}\Z", description="8 hexadecimal digits")]
Name = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}\Z",
        description="1 to 64 letters, digits, spaces, dots and dashes",
    ),
]
Digest = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z", description="a SHA-256 of 64 hexadecimal digits")]
Scopes = Annotated[tuple[Scope, ...], Meta(min_length=1, description=f"one or more of {', '.join(SCOPES)}")]
Limit = Annotated[int, Meta(ge=0)]

_KEY = re.compile(KEY_PATTERN, re.ASCII)


class Key(Struct, frozen=True, forbid_unknown_fields=True):
    """Holds one entry of the file.

    ``sessions`` at a time, ``seconds`` of sessions within a day, ``requests`` a minute; 0 is no limit.
    """

    id: KeyId
    name: Name
    sha256: Digest
    scopes: Scopes
    sessions: Limit = 0
    seconds: Limit = 0
    requests: Limit = 0
    created: str = ""

    def may(self, scope: str) -> bool:
        """Returns whether the key has that scope, or is an admin's."""
        return scope in self.scopes or "admin" in self.scopes


def make_key(
    name: str, scopes: Iterable[str], sessions: int = 0, seconds: int = 0, requests: int = 0
) -> tuple[Key, str]:
    """Returns a new entry, and the key to hand over. Raises ``OptionError``."""
    key_id = secrets.token_hex(4)
    text = f"mytalk_{key_id}_{secrets.token_urlsafe(32)}"
    entry = {
        "id": key_id,
        "name": name,
        "sha256": _digest(text),
        "scopes": list(scopes),
        "sessions": sessions,
        "seconds": seconds,
        "requests": requests,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    try:
        return checked(entry, Key), text
    except MismatchError as error:
        raise OptionError(f"the new key: {error}") from error


class _KeyFile(Struct, frozen=True, forbid_unknown_fields=True):
    keys: list[Key]


def read_keys(path: Path) -> dict[str, Key]:
    """Returns the file's entries, by id. Raises ``OptionError`` that says which entry is wrong."""
    try:
        if path.stat().st_size > MAX_FILE:
            raise OptionError(f"{path} is over {MAX_FILE} bytes (need a file that 'mytalk keys' wrote)")
        keys = checked(msgspec.json.decode(path.read_bytes()), _KeyFile).keys
    except OSError as error:
        raise OptionError(f"{path}: {error.strerror or error} (make it with 'mytalk keys add')") from error
    except (msgspec.DecodeError, RecursionError) as error:
        raise OptionError(f"{path} is not JSON (need a file that 'mytalk keys' wrote)") from error
    except MismatchError as error:
        raise OptionError(f"{path}: {error}") from error
    if len({key.id for key in keys}) < len(keys):
        raise OptionError(f"{path} holds two keys of one id (remove one)")
    return {key.id: key for key in keys}


def write_keys(path: Path, keys: Iterable[Key]) -> None:
    """Replaces the file at once, readable by its owner alone. Raises ``OptionError``."""
    write_private(path, msgspec.json.format(msgspec.json.encode(_KeyFile(list(keys))), indent=2).decode() + "\n")


def write_private(path: Path, text: str) -> None:
    """Replaces a file at once by one that is readable by its owner alone. Raises ``OptionError``."""
    try:
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mode 0600
        temporary = Path(name)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
            temporary.replace(path)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise OptionError(f"{path} cannot be written: {error.strerror or error}") from error


class KeyRing:
    """Finds the keys of a server.

    The file is read again when it changes: from then on a key that was taken out is of no use.

    Raises ``OptionError`` where the file cannot be used at first; later, the keys that were good stay so, and the log
    says what is wrong.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen = self._stamp()
        self._keys = read_keys(path)
        if not self._keys:
            raise OptionError(f"{path} holds no key (make one with 'mytalk keys add {path} --name NAME')")

    def find(self, text: str) -> Key | None:
        """Returns the key that ``text`` is, or None."""
        self._refresh()
        if _KEY.fullmatch(text) is None:
            return None
        key = self._keys.get(text.split("_", 2)[1])
        return key if key is not None and hmac.compare_digest(key.sha256, _digest(text)) else None

    def get(self, key_id: str) -> Key | None:
        """Returns an entry by its id."""
        self._refresh()
        return self._keys.get(key_id)

    def _refresh(self) -> None:
        stamp = self._stamp()
        if stamp == self._seen:
            return
        self._seen = stamp
        try:
            self._keys = read_keys(self._path)
        except InputError as error:
            log.error("the keys stay as they were: %s", error)

    def _stamp(self) -> tuple[int, int, int] | None:
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size, status.st_ino


def looks_like_key(text: str) -> bool:
    """Returns whether a text has the form of a key, known or not."""
    return _KEY.fullmatch(text) is not None


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()
