"""Counts what encoders could not encode. Sans-IO."""

from __future__ import annotations

import logging

log = logging.getLogger(__name__)


class EncoderFaults:
    """Counts failures of one broadcast's encoders. A failed frame is left out, and the encoder begins again."""

    def __init__(self) -> None:
        self.count = 0
        self._in_a_row: dict[str, int] = {}  # by encoder

    @property
    def in_a_row(self) -> int:
        """Failures in a row of the encoder that has most of them. Another encoder's success does not end them."""
        return max(self._in_a_row.values(), default=0)

    def add(self, encoder: str) -> None:
        """Counts a failure. Call it in the ``except`` block: the first in a row is logged with its traceback."""
        self.count += 1
        self._in_a_row[encoder] = self._in_a_row.get(encoder, 0) + 1
        if self._in_a_row[encoder] == 1:
            log.exception("a frame could not be encoded (%s) and is left out", encoder)

    def end_row(self, encoder: str) -> None:
        """Ends an encoder's failures in a row: it has encoded a frame, or is needed no longer."""
        self._in_a_row.pop(encoder, None)
