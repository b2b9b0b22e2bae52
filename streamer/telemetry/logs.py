"""Writes the server's log to standard error: one line for each event, as text or JSON, with its session.

The log holds no content (speech, pictures, SDP), no address of a person, and no secret: as a last guard, text that
looks like one of our keys or tokens is masked. A session is named by the first eight characters of its id, which do
not open it.
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
"""Loggers that write more than warnings. Libraries' loggers write what their peers sent."""

REQUESTS = "streamer.http.requests"
"""Logger of every request: in the text log only with ``--verbose``."""

ERRORS_ONLY = ("aiortc", "aioice")
"""Loggers that warn of every packet that a peer got wrong: a peer could fill the log."""

MASK = "***"

SHOWN_ID = 8
"""Characters of a session's id."""

_PEER_ERRORS = (HttpProcessingError, web.RequestPayloadError, ConnectionError)

_session: ContextVar[str | None] = ContextVar("session", default=None)
_SECRET = re.compile(f'{KEY_PATTERN}|{TOKEN_PATTERN}|(?<=credential=")[^"]*')


def begin(*, as_json: bool, verbose: bool, stream: Any = None) -> None:
    """Sets up logging for the whole process. Both forms tell of sessions, refusals and drains; JSON of requests too."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter() if as_json else TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    for name in ERRORS_ONLY:
        logging.getLogger(name).setLevel(logging.ERROR)
    logging.getLogger("aiohttp.server").addFilter(_hide_peer)
    for name in OURS:
        logging.getLogger(name).setLevel(logging.DEBUG if verbose else logging.INFO)
    logging.getLogger(REQUESTS).setLevel(logging.NOTSET if verbose or as_json else logging.WARNING)


def _hide_peer(record: logging.LogRecord) -> bool:
    """Drops aiohttp's reports of a peer's own errors, which hold its bytes, and hides its address in others."""
    record.args = tuple("a peer" for _ in record.args or ())
    return record.exc_info is None or not isinstance(record.exc_info[1], _PEER_ERRORS)


@contextmanager
def of_session(session_id: str) -> Iterator[None]:
    """Marks log lines of this block, and of tasks and callbacks begun in it, with a session; "" marks none."""
    before = _session.set(session_id[:SHOWN_ID] or None)
    try:
        yield
    finally:
        _session.reset(before)


def without_secrets(text: str) -> str:
    """Masks what looks like a key, a token or a TURN credential."""
    return _SECRET.sub(MASK, text)


class JsonFormatter(logging.Formatter):
    """Formats one JSON object a line: ``time`` (UTC), ``level``, ``logger``, ``message``, ``session`` and the fields of
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
    """Formats ``LEVEL [session] message name=value ...``, and the traceback where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        session = _session.get()
        words = [record.levelname, *([f"[{session}]"] if session is not None else []), record.getMessage()]
        words += [f"{name}={value}" for name, value in getattr(record, "data", {}).items()]
        line = " ".join(words).replace("\r", "\\r").replace("\n", "\\n")
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return without_secrets(line)
