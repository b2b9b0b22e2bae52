"""Reads the consent of a person who is shown, and keeps a register of consents that an operator can revoke."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta, Struct

from mytalk.errors import OptionError
from streamer.errors import ForbiddenError, RequestError
from streamer.validation import checked

_LONGEST = 200  # characters of each line of a consent
_LOCK_WAIT = 5.0  # seconds for another process that writes the register

Line = Annotated[str, Meta(pattern=r"\S", max_length=_LONGEST, description=f"a text of at most {_LONGEST} characters")]

_TABLE = """CREATE TABLE IF NOT EXISTS consents (
    hash TEXT PRIMARY KEY, picture TEXT NOT NULL, who TEXT NOT NULL, given TEXT NOT NULL, purpose TEXT NOT NULL,
    until TEXT, first_used TEXT NOT NULL, last_used TEXT NOT NULL, revoked TEXT)"""
_COLUMNS = ("hash", "picture", "who", "given", "purpose", "until", "first_used", "last_used", "revoked")


class Consent(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The consent of the person shown: who agreed, when (ISO 8601), to what, and until which day, where it ends. Kept
    with the session, shown to its owner, never logged."""

    who: Line
    when: Line
    purpose: Line
    until: Line | None = None

    @classmethod
    def from_json(cls, body: object) -> Consent:
        """Raises ``RequestError`` that names what is missing or wrong."""
        consent = checked(body, cls, "consent")
        for name, text in (("when", consent.when), ("until", consent.until)):
            try:
                datetime.fromisoformat(text) if text is not None else None
            except ValueError as error:
                raise RequestError(f"consent: {name} needs to be a date such as 2026-11-25 (ISO 8601)") from error
        return consent

    def to_json(self) -> dict[str, str]:
        """As it was given."""
        given = {"who": self.who, "when": self.when, "purpose": self.purpose}
        return given if self.until is None else given | {"until": self.until}

    def has_ended(self, today: date) -> bool:
        """Says whether its last day is over."""
        return self.until is not None and datetime.fromisoformat(self.until).date() < today

    def hash_with(self, picture: str) -> str:
        """Returns the SHA-256 that manifests and the register name it by; ``picture``: the SHA-256 of that."""
        return hashlib.sha256(json.dumps(self.to_json() | {"picture": picture}, sort_keys=True).encode()).hexdigest()


def check_consent(consent: Consent | None, *, required: bool, today: date | None = None) -> None:
    """Raises ``ForbiddenError`` for a consent that has ended, and where a server wants one and there is none."""
    if required and consent is None:
        raise ForbiddenError("this server takes portraits with the person's consent only (need who, when and purpose)")
    if consent is not None and consent.has_ended(today or datetime.now(UTC).date()):
        raise ForbiddenError(f"the consent ended on {consent.until} (need one that holds)")


def hash_of(picture: bytes | Path) -> str:
    """Returns the SHA-256 of a picture's or film's bytes. Raises OptionError for a file that cannot be read."""
    if isinstance(picture, bytes):
        return hashlib.sha256(picture).hexdigest()
    try:
        with picture.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise OptionError(f"{picture}: {error.strerror} (need a file that can be read)") from error


class ConsentRegister:
    """Keeps consents in an SQLite file, by hash. Any thread and process may use it; each call opens it anew."""

    def __init__(self, path: Path) -> None:
        """Makes the file where there is none. Raises OptionError where that cannot be."""
        self._path = path
        with self._opened():
            pass

    def use(self, picture: str, consent: Consent | None) -> str | None:
        """Notes that a picture, by its hash, is shown with a consent; returns the hash of that. Raises
        ``ForbiddenError`` for a picture whose consent was revoked."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        with self._opened() as rows:
            if rows.execute("SELECT 1 FROM consents WHERE picture = ? AND revoked NOT NULL", (picture,)).fetchone():
                raise ForbiddenError("the person on this picture has revoked the consent (it may not be shown)")
            if consent is None:
                return None
            name = consent.hash_with(picture)
            given = (name, picture, consent.who, consent.when, consent.purpose, consent.until, now, now)
            rows.execute(
                "INSERT INTO consents VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL)"
                " ON CONFLICT (hash) DO UPDATE SET last_used = excluded.last_used",
                given,
            )
            return name

    def revoke(self, which: str) -> int:
        """Revokes the consents of a hash, a picture's hash, or all that a person gave by name; returns how many."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        with self._opened() as rows:
            pictures = "SELECT picture FROM consents WHERE hash = ? OR picture = ? OR who = ?"
            changed = f"UPDATE consents SET revoked = ? WHERE revoked IS NULL AND picture IN ({pictures})"
            return rows.execute(changed, (now, which, which, which)).rowcount

    def all(self) -> list[dict[str, Any]]:
        """Lists all consents, oldest first."""
        with self._opened() as rows:
            found = rows.execute(f"SELECT {', '.join(_COLUMNS)} FROM consents ORDER BY first_used, hash").fetchall()
        return [dict(zip(_COLUMNS, row, strict=True)) for row in found]

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        try:
            connection = sqlite3.connect(self._path, timeout=_LOCK_WAIT)
            try:
                with connection:
                    connection.execute(_TABLE)
                    yield connection
            finally:
                connection.close()
        except sqlite3.Error as error:
            raise OptionError(f"{self._path}: {error} (need an SQLite file of consents, or a new one)") from error
