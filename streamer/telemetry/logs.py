"""The server's log: one line a fact on standard error, as text or as JSON, with the session it belongs to.

It holds no content (speech, pictures, SDP), no address of a person, and no secret: as a last guard, whatever looks like
one of our keys or tokens is masked. A session is named by the first eight characters of its id, which do not open it.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from streamer.auth.tokens import KEY_PATTERN, TOKEN_PATTERN

OURS = ("mytalk", "streamer")
"""Loggers that say more than warnings. Those of libraries tell what their peers sent."""

LOUD = ("aiortc", "aioice")
"""Loggers that warn of every packet that a peer got wrong: a peer could fill the log."""

MASK = "***"

SHOWN_ID = 8
"""Characters of a session's id."""

_PEERS_OWN = (HttpProcessingError, web.RequestPayloadError, ConnectionError)

_session: ContextVar[str | None] = ContextVar("session", default=None)
_SECRET = re.compile(f'{KEY_PATTERN}|{TOKEN_PATTERN}|(?<=credential=")[^"]*')


def begin(*, as_json: bool, verbose: bool, stream: Any = None) -> None:
    """Sets up logging for the whole process. JSON tells of every request and session; text, of what went wrong."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter() if as_json else TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    for name in LOUD:
        logging.getLogger(name).setLevel(logging.ERROR)
    logging.getLogger("aiohttp.server").addFilter(_of_a_peer)
    for name in OURS:
        logging.getLogger(name).setLevel(logging.DEBUG if verbose else logging.INFO if as_json else logging.WARNING)


def _of_a_peer(record: logging.LogRecord) -> bool:
    """aiohttp reports what a peer got wrong as errors, with its bytes; the peer is told, and that is enough. Of other
    errors it names the peer's address."""
    record.args = tuple("a peer" for _ in record.args or ())
    return record.exc_info is None or not isinstance(record.exc_info[1], _PEERS_OWN)


@contextmanager
def of_session(session_id: str) -> Iterator[None]:
    """What is logged in here, and by tasks and callbacks that begin in here, belongs to that session; "": to none."""
    before = _session.set(session_id[:SHOWN_ID] or None)
    try:
        yield
    finally:
        _session.reset(before)


def without_secrets(text: str) -> str:
    """Masks what looks like a key, a token or a TURN credential."""
    return _SECRET.sub(MASK, text)


class JsonFormatter(logging.Formatter):
    """One JSON object a line: ``time`` (UTC), ``level``, ``logger``, ``message``, ``session`` and what was given as
    ``extra={"data": {...}}``."""

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if (session := _session.get()) is not None:
            entry["session"] = session
        entry |= getattr(record, "data", {})
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        # Before it is JSON, in which quotes are escaped; and after, for what is nested.
        masked = {name: without_secrets(value) if isinstance(value, str) else value for name, value in entry.items()}
        return without_secrets(json.dumps(masked, default=str))


class TextFormatter(logging.Formatter):
    """``LEVEL [session] message name=value ...``, and the traceback where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        session = _session.get()
        words = [record.levelname, *([f"[{session}]"] if session is not None else []), record.getMessage()]
        words += [f"{name}={value}" for name, value in getattr(record, "data", {}).items()]
        line = " ".join(words).replace("\r", "\\r").replace("\n", "\\n")
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return without_secrets(line)
