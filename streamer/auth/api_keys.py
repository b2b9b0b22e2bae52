"""API keys: who may use a server, for what, and how much. A file of hashes that ``mytalk keys`` writes.

A key is ``mytalk_<id>_<secret>``. The secret is 256 random bits, so its SHA-256 cannot be guessed backwards and needs
no salt and no slow hash. The file holds that hash; the key itself is shown once, when it is made.
"""

from __future__ import annotations

import hmac
import json
import logging
import os
import re
import secrets
import tempfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from mytalk.errors import InputError, OptionError
from streamer.auth.tokens import KEY_PATTERN

log = logging.getLogger(__name__)

SCOPES = ("publish", "view", "admin", "metrics")
"""``publish``: make sessions, and everything with those it made. ``view``: watch any session whose URL it has.
``metrics``: read `/metrics`. ``admin``: all of that, and everything with any session."""

MAX_FILE = 4 * 1024 * 1024

_KEY = re.compile(KEY_PATTERN, re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Key:
    """One entry of the file. ``sessions`` at a time, ``seconds`` of sessions within a day, ``requests`` a minute; 0 is
    no limit."""

    id: str
    name: str
    sha256: str
    scopes: tuple[str, ...]
    sessions: int = 0
    seconds: int = 0
    requests: int = 0
    created: str = ""

    def may(self, scope: str) -> bool:
        """Whether it has that scope, or is an admin's."""
        return scope in self.scopes or "admin" in self.scopes


def make_key(
    name: str, scopes: Iterable[str], sessions: int = 0, seconds: int = 0, requests: int = 0
) -> tuple[Key, str]:
    """A new entry, and the key to hand over. Raises ``OptionError``."""
    key_id = secrets.token_hex(4)
    text = f"mytalk_{key_id}_{secrets.token_urlsafe(32)}"
    created = datetime.now(UTC).isoformat(timespec="seconds")
    entry: dict[str, Any] = {
        "id": key_id,
        "name": name,
        "sha256": _digest(text),
        "scopes": list(scopes),
        "created": created,
    }
    entry |= {"sessions": sessions, "seconds": seconds, "requests": requests}
    return _entry(entry, "the new key"), text


def read_keys(path: Path) -> dict[str, Key]:
    """The file's entries, by id. Raises ``OptionError`` that says which entry is wrong."""
    try:
        if path.stat().st_size > MAX_FILE:
            raise OptionError(f"{path} is over {MAX_FILE} bytes (need a file that 'mytalk keys' wrote)")
        body = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise OptionError(f"{path}: {error.strerror or error} (make it with 'mytalk keys add')") from error
    except (ValueError, RecursionError) as error:
        raise OptionError(f"{path} is not JSON (need a file that 'mytalk keys' wrote)") from error
    if not isinstance(body, dict) or not isinstance(body.get("keys"), list):
        raise OptionError(f"{path} holds no {{\"keys\": [...]}} (need a file that 'mytalk keys' wrote)")
    keys = [_entry(entry, f"{path}: key {place}") for place, entry in enumerate(body["keys"])]
    if len({key.id for key in keys}) < len(keys):
        raise OptionError(f"{path} holds two keys of one id (remove one)")
    return {key.id: key for key in keys}


def write_keys(path: Path, keys: Iterable[Key]) -> None:
    """Replaces the file at once, readable by its owner alone. Raises ``OptionError``."""
    write_private(path, json.dumps({"keys": [asdict(key) for key in keys]}, indent=2) + "\n")


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
    """The keys of a server. The file is read again when it changes: a key that was taken out is of no use from then on.

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
        """The key that ``text`` is, if it is one."""
        self._refresh()
        if _KEY.fullmatch(text) is None:
            return None
        key = self._keys.get(text.split("_", 2)[1])
        return key if key is not None and hmac.compare_digest(key.sha256, _digest(text)) else None

    def get(self, key_id: str) -> Key | None:
        """An entry by its id."""
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
    """Whether it has the form of a key, known or not."""
    return _KEY.fullmatch(text) is not None


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def _entry(entry: Any, place: str) -> Key:
    if not isinstance(entry, dict) or set(entry) - set(Key.__dataclass_fields__):
        raise OptionError(f"{place} is no object with the fields {', '.join(Key.__dataclass_fields__)}")
    texts = [entry.get(name, "") for name in ("id", "name", "sha256", "created")]
    numbers = [entry.get(name, 0) for name in ("sessions", "seconds", "requests")]
    scopes = entry.get("scopes")
    if not all(isinstance(text, str) for text in texts) or not re.fullmatch(r"[0-9a-f]{8}", texts[0]):
        raise OptionError(f"{place} has no id of 8 hexadecimal digits, or a text that is none")
    if not _NAME.fullmatch(texts[1]):
        raise OptionError(f"{place} is named {texts[1]!r} (need 1 to 64 letters, digits, spaces, dots and dashes)")
    if not re.fullmatch(r"[0-9a-f]{64}", texts[2]):
        raise OptionError(f"{place} has no SHA-256 of 64 hexadecimal digits")
    if not isinstance(scopes, list) or not scopes or not all(scope in SCOPES for scope in scopes):
        raise OptionError(f"{place} has the scopes {scopes!r} (need some of {', '.join(SCOPES)})")
    if not all(isinstance(number, int) and not isinstance(number, bool) and number >= 0 for number in numbers):
        raise OptionError(f"{place} has a limit that is no whole number from 0")
    sessions, seconds, requests = numbers
    return Key(texts[0], texts[1], texts[2], tuple(scopes), sessions, seconds, requests, texts[3])
