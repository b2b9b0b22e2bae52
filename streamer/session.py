"""One session, from its making to its end. States: new -> live -> draining -> closed."""

from __future__ import annotations

import asyncio
import logging
import secrets
from typing import Literal

from mytalk.errors import MyTalkError
from mytalk.media.face_source import FaceSource
from streamer.clock import MILLISECOND_NS, SECOND_NS, Clock
from streamer.engine import Engine
from streamer.errors import ConflictError, UnknownSessionError
from streamer.events import Event, Events
from streamer.ladder import Rung
from streamer.live import Live
from streamer.options import SessionOptions
from streamer.speech import Stereo
from streamer.stored import LoopedSpeech
from streamer.webrtc import Peer

log = logging.getLogger(__name__)

State = Literal["new", "live", "draining", "closed"]

OFFER_WAIT = 30 * SECOND_NS
"""A session without an offer ends after this long."""

CONNECT_WAIT = 15 * SECOND_NS
"""A session whose peer never connects ends after this long."""

SILENCE = 4 * SECOND_NS
"""A session whose peer sends no datagram at all ends after this long. A live peer sends reports every second."""

MOST_FAULTS = 50
"""Frames in a row that cannot be encoded, after which the session ends: its viewer sees or hears nothing."""

_WATCH = SECOND_NS // 2


class Session:
    """Made by :class:`streamer.sessions.Sessions`, which also runs it."""

    def __init__(
        self,
        options: SessionOptions,
        engine: Engine,
        clock: Clock,
        face: FaceSource | None = None,
        speech: LoopedSpeech | None = None,
    ) -> None:
        self.id = secrets.token_urlsafe(16)
        self.token = secrets.token_urlsafe(32)
        self.options = options
        self.state: State = "new"
        self.reason = ""  # why it ended
        self.events = Events(clock)
        self._engine = engine
        self._clock = clock
        self._face = face  # None: the peer's camera
        self._stored_speech = speech  # None: the peer's microphone
        self._claimed = False
        self._peer: Peer | None = None
        self._live: Live | None = None
        self._attached = asyncio.Event()
        self._ended = asyncio.Event()
        self._closed = asyncio.Event()
        self._born = clock.now()

    # --- for the server

    def claim(self) -> None:
        """Reserves the session for one offer. Raises ``ConflictError`` for a second one."""
        if self._claimed or self.state != "new":
            raise ConflictError("the session has its offer already (need one session a connection; make another)")
        self._claimed = True

    def release(self) -> None:
        """Takes back a claim whose offer could not be answered."""
        self._claimed = False

    def attach(self, peer: Peer) -> None:
        """Takes the answered peer; media flows as soon as it connects. ``UnknownSessionError``: it ended meanwhile."""
        if self._ended.is_set():
            raise UnknownSessionError("the session ended while its offer was answered (make another)")
        self._peer = peer
        self._live = Live(self.options, self._engine, self._clock, peer, self.events, self._face, self._stored_speech)
        self.state = "live"
        self._attached.set()

    def clear(self) -> Event:
        """Barge-in, see :meth:`streamer.live.Live.clear`. Raises ``ConflictError`` where nothing can have been said."""
        if self._live is None or self.state != "live":
            raise ConflictError(f"the session is {self.state} (need it live to interrupt it)")
        return self._live.clear()

    def say(self, samples: Stereo, at: int | None = None) -> None:
        """Dubbed speech, see :meth:`streamer.live.Live.say`. Raises ``ConflictError`` where the session is not live."""
        if self._live is None or self.state != "live":
            raise ConflictError(f"the session is {self.state} (need it live to speak)")
        self._live.say(samples, at)

    async def end(self, reason: str) -> None:
        """Ends the session and returns when everything of it is freed."""
        self._end(reason)
        await self._closed.wait()

    @property
    def failure(self) -> MyTalkError | None:
        """Why its pictures leave untouched."""
        return self._live.failure if self._live is not None else None

    @property
    def rung(self) -> Rung:
        """What it has given up under overload."""
        return self._live.rung if self._live is not None else Rung.FULL

    def pictures(self) -> dict[str, int]:
        """Pictures so far, by what became of them."""
        return self._live.pictures() if self._live is not None else {}

    def stats(self) -> dict[str, object]:
        """Counts and milliseconds for people and for `/metrics`."""
        age = {"age_ms": (self._clock.now() - self._born) // MILLISECOND_NS}
        return age | (self._live.stats() if self._live is not None else {})

    async def run(self) -> None:
        """Lives the whole session; returns when it is closed. Raises nothing but ``CancelledError``."""
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._watch()), group.create_task(self._run_live())]
                await self._ended.wait()
                for task in tasks:
                    task.cancel()
        except* Exception as failures:
            self.reason = "a part of the session failed"
            log.exception("session %s failed", self.id[:6], exc_info=failures)
        finally:
            await self._free()

    # --- lifetime

    def _end(self, reason: str) -> None:
        if not self._ended.is_set():
            self.reason = reason
            self.state = "draining"
            self._ended.set()

    async def _free(self) -> None:
        self.state = "draining"
        self._ended.set()
        try:
            if self._live is not None:
                self._live.close()
            if self._peer is not None:
                await self._peer.close()
        finally:
            self.state = "closed"
            self._closed.set()

    async def _run_live(self) -> None:
        await self._attached.wait()
        assert self._peer is not None
        assert self._live is not None
        async with asyncio.TaskGroup() as group:
            group.create_task(self._end_with(self._peer))
            group.create_task(self._live.run())

    async def _end_with(self, peer: Peer) -> None:
        await peer.gone.wait()
        self._end("the peer left")

    async def _watch(self) -> None:
        """Ends the session when its peer is gone, whether or not it said goodbye."""
        heard, heard_at, faults = 0, self._born, 0
        while True:
            await self._clock.sleep_until(self._clock.now() + _WATCH)
            now = self._clock.now()
            peer = self._peer
            if peer is None:
                if now - self._born > OFFER_WAIT:
                    self._end("no offer came")
                heard_at = now
                continue
            datagrams = await peer.datagrams()
            if datagrams != heard:
                heard, heard_at = datagrams, now
            count, in_a_row = peer.encoder_faults
            if count > faults:
                self.events.add("error", code="encoder", message="frames could not be encoded", count=count)
                faults = count
            if in_a_row >= MOST_FAULTS:
                self._end("its frames cannot be encoded")
            if peer.gone.is_set():
                self._end("the peer left")
            elif now - heard_at > (SILENCE if peer.connected.is_set() else CONNECT_WAIT):
                self._end("the peer fell silent" if peer.connected.is_set() else "the peer never connected")
