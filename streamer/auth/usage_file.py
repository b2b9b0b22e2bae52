"""Keeps what keys have used of their seconds in a small file, so that a server that starts again knows it.

The file is JSON: ``{"used": {"<key id>": [[hour since 1970, seconds], ...]}}``. It belongs to one server.
"""

from __future__ import annotations

import json
import logging
import threading
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from mytalk.errors import OptionError
from streamer.auth.api_keys import MAX_FILE, KeyId, write_private
from streamer.auth.quota import HOUR
from streamer.errors import MismatchError
from streamer.validation import checked

log = logging.getLogger(__name__)

Hours = dict[str, list[tuple[int, float]]]
"""By key id: hours since 1970, in order, and the seconds used in each."""


class _Usage(Struct, frozen=True):
    used: dict[KeyId, list[tuple[int, Annotated[float, Meta(ge=0)]]]]


class UsageFile:
    """Reads and writes the file, from any thread. What is wrong with the file is logged, once, and ends no session."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._written = 0
        self._failure_logged = False

    def read(self, now: int) -> Hours:
        """Returns what the file says; nothing where it is not there, or broken. What was used after ``now`` (ns since
        1970), by a clock that was wrong, was used now."""
        try:
            if self._path.stat().st_size > MAX_FILE:
                raise ValueError(f"over {MAX_FILE} bytes")
            used = checked(msgspec.json.decode(self._path.read_bytes()), _Usage).used
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, RecursionError, MismatchError) as error:
            log.warning("%s cannot be read: keys begin with all their seconds (%s)", self._path, error)
            return {}
        latest = now // HOUR
        return {key_id: [(min(hour, latest), seconds) for hour, seconds in hours] for key_id, hours in used.items()}

    def write(self, used: Hours, number: int) -> bool:
        """Replaces the file at once, unless a later ``number`` has been written. Returns whether it holds ``used``."""
        with self._lock:
            if number <= self._written:
                return False
            try:
                write_private(self._path, json.dumps({"used": used}) + "\n")
                self._written = number
                self._failure_logged = False
                return True
            except OptionError as error:
                if not self._failure_logged:
                    log.warning("what keys have used will be forgotten when the server stops: %s", error)
                self._failure_logged = True
                return False


def usage_path(keys: Path) -> Path:
    """Returns where the file is if nobody says otherwise: beside the file of keys."""
    return keys.with_name(f"{keys.stem}.used.json")
