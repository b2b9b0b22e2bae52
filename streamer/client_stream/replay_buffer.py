"""Keeps the messages to one client, in order, until the client has them, for a resumed connection. Sans-IO."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from streamer.clock import SECOND_NS
from streamer.errors import ProtocolError

KEPT = 10 * SECOND_NS
"""How long a message that was sent is kept for a client that does not acknowledge."""

KEPT_BYTES = 32 << 20
"""Bytes of messages that were sent and are kept. Beyond: the oldest are forgotten, and can be resumed no more."""

MOST_UNSENT = 5000
"""Messages that may wait to be sent while the client is read: it asks for no more answers than it takes."""

LATE = 2 * SECOND_NS
"""A message that waits longer to be sent says that the connection is too slow for pictures."""

HOPELESS = 20 * SECOND_NS
"""And this: too slow for sound."""


@dataclass(frozen=True, slots=True)
class _Message:
    data: str | bytes
    at: int  # ns, when it was put


class ReplayBuffer:
    """Queues counted messages: ``put`` at one end, ``next`` at the other; ``acknowledge`` forgets, ``rewind`` repeats.

    Every message put is sent. Before a picture is put, :meth:`late` says whether it is to be left out.
    """

    def __init__(self) -> None:
        self._messages: deque[_Message] = deque()
        self._first = 0  # number of the first one kept
        self._sent = 0  # of those kept
        self._bytes = 0  # of those sent and kept
        self._unsent_bytes = 0
        self._cut = False  # there is no connection
        self._slack = 0  # ns: what a rewind added to the wait, less what was caught up since

    @property
    def waiting(self) -> int:
        """Returns the number of messages not sent yet."""
        return len(self._messages) - self._sent

    @property
    def full(self) -> bool:
        """Returns whether so much waits to be sent that the client is not to be read, which may ask for more."""
        return self.waiting >= MOST_UNSENT or self._unsent_bytes > KEPT_BYTES

    def put(self, data: str | bytes, now: int) -> None:
        """Takes the next message."""
        self._messages.append(_Message(data, now))
        self._unsent_bytes += len(data)

    def next(self, now: int) -> str | bytes | None:
        """Returns the message to be sent now, or None."""
        if not self.waiting:
            return None
        message = self._messages[self._sent]
        self._sent += 1
        self._bytes += len(message.data)
        self._unsent_bytes -= len(message.data)
        while self._sent > 1 and (self._bytes > KEPT_BYTES or now - self._messages[0].at > KEPT):
            self._forget()
        return message.data

    def acknowledge(self, received: int) -> None:
        """Forgets the first ``received`` messages, which the client has.

        Raises ``ProtocolError`` for more than were sent.
        """
        if received > self._first + self._sent:
            raise ProtocolError("bad_message", f"ack of {received} (only {self._first + self._sent} were sent)")
        while self._first < received:
            self._forget()

    def cut(self) -> None:
        """Says that there is no connection until ``rewind``: pictures of a cut are kept as far as the bytes allow."""
        self._cut = True

    def rewind(self, received: int, now: int) -> None:
        """Goes back to the end of the first ``received`` messages. Raises ``ProtocolError`` where that is forgotten."""
        if not self._first <= received <= self._first + self._sent:
            held = f"{self._first} to {self._first + self._sent}"
            raise ProtocolError("cannot_resume", f"resume={received} (possible: {held}; begin anew)", fatal=True)
        self.acknowledge(received)
        self._unsent_bytes += self._bytes
        self._sent = self._bytes = 0
        self._cut = False
        self._slack = self._wait(now)

    def late(self, now: int, allowed: int = LATE) -> bool:
        """Returns whether the connection is too slow.

        The oldest unsent message has waited longer than ``allowed`` (ns), cuts not counted, or too many bytes wait.
        """
        wait = self._wait(now)
        self._slack = min(self._slack, wait)
        slow = wait > allowed + self._slack and not self._cut
        return slow or self._unsent_bytes > KEPT_BYTES

    def _wait(self, now: int) -> int:
        return now - self._messages[self._sent].at if self.waiting else 0

    def _forget(self) -> None:
        self._bytes -= len(self._messages.popleft().data)
        self._first += 1
        self._sent -= 1
