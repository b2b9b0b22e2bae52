"""What keys have used of their seconds, kept in a small file, so that a server that starts again knows it.

The file is JSON: ``{"used": {"<key id>": [[hour since 1970, seconds], ...]}}``. It belongs to one server.
"""

from __future__ import annotations

import json
import logging
import math
import re
import threading
from pathlib import Path
from typing import Any

from mytalk.errors import OptionError
from streamer.auth.api_keys import MAX_FILE, write_private
from streamer.auth.quota import HOUR

log = logging.getLogger(__name__)

Hours = dict[str, list[tuple[int, float]]]
"""By key id: hours since 1970, in order, and the seconds used in each."""

_KEY_ID = re.compile(r"[0-9a-f]{8}", re.ASCII)


class UsageFile:
    """May be written from any thread. Nothing of it is worth a session: what is wrong with it is logged, once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._written = 0
        self._told = False

    def read(self, now: int) -> Hours:
        """What it says; nothing where it is not there, or broken. What was used after ``now`` (ns since 1970), by a
        clock that was wrong, was used now."""
        try:
            if self._path.stat().st_size > MAX_FILE:
                raise ValueError(f"over {MAX_FILE} bytes")
            return _hours(json.loads(self._path.read_text("utf-8")), now // HOUR)
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, RecursionError) as error:
            log.warning("%s cannot be read: keys begin with all their seconds (%s)", self._path, error)
            return {}

    def write(self, used: Hours, number: int) -> None:
        """Replaces it at once, unless a later ``number`` has been written."""
        with self._lock:
            if number <= self._written:
                return
            self._written = number
            try:
                write_private(self._path, json.dumps({"used": used}) + "\n")
                self._told = False
            except OptionError as error:
                if not self._told:
                    log.warning("what keys have used will be forgotten when the server stops: %s", error)
                self._told = True


def beside(keys: Path) -> Path:
    """Where it is if nobody says otherwise."""
    return keys.with_name(f"{keys.stem}.used.json")


def _hours(body: Any, now: int) -> Hours:
    """Raises ``ValueError``."""
    used = body.get("used") if isinstance(body, dict) else None
    if not isinstance(used, dict):
        raise ValueError('need {"used": {...}}')
    if not all(_KEY_ID.fullmatch(key_id) and isinstance(entries, list) for key_id, entries in used.items()):
        raise ValueError("need lists by key id")
    return {key_id: [_entry(entry, now) for entry in entries] for key_id, entries in used.items()}


def _entry(entry: Any, now: int) -> tuple[int, float]:
    match entry:
        case [int(hour), int() | float() as seconds] if 0 <= seconds < math.inf:
            return min(hour, now), float(seconds)
    raise ValueError(f"need [hour, seconds], not {str(entry)[:40]}")
