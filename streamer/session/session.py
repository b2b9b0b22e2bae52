"""Runs one session from its making to its end. States: new -> live -> draining -> closed."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Literal

from mytalk.media.face_source import FaceSource
from streamer.client_stream.resumption import ResumableStream
from streamer.client_stream.stream import Stream
from streamer.client_stream.utterances import UtteranceQueue
from streamer.errors import ConflictError, NotLiveError, UnknownSessionError
from streamer.media.audio import Stereo
from streamer.media.looped_speech import LoopedSpeech
from streamer.protocol.events import Event, Events
from streamer.protocol.generation import Generation
from streamer.protocol.messages import Scalar
from streamer.session.connection_watch import watch_connections
from streamer.session.controls import LiveControls
from streamer.session.encoder_faults import EncoderFaultWatch
from streamer.session.figures import SessionFigures
from streamer.session.films import SessionFilms
from streamer.session.idle_timeout import CAMERA_AWAY, CAMERA_LEFT, NO_OFFER, UNUSED, IdleTimeout
from streamer.session.media_loop import MediaLoop
from streamer.session.media_setup import MediaSetup
from streamer.session.media_start import MediaStart
from streamer.session.options import SessionOptions
from streamer.session.server_parts import ServerParts
from streamer.trust.consent import Consent
from streamer.webrtc.broadcast import Broadcast
from streamer.webrtc.connection import Connection
from streamer.webrtc.connections import Connections
from streamer.webrtc.peer import Peer
from streamer.webrtc.viewer import Viewer

log = logging.getLogger(__name__)

State = Literal["new", "live", "draining", "closed"]

RETRY_LIVE = 2
"""Seconds after which a viewer who comes before the first publisher may ask again."""

FAILED = "a part of the session failed"


class Session:
    """Joins a session's connections, stream, outputs and media; its registry makes and runs it.

    ``admit`` raises ``BusyError`` where the engine has no time for one more: so does what wakes a session that rests.
    """

    def __init__(
        self,
        options: SessionOptions,
        server: ServerParts,
        *,
        face: FaceSource | None = None,
        speech: LoopedSpeech | None = None,
        key_id: str | None = None,
        admit: Callable[[], None] = lambda: None,
    ) -> None:
        clock, codecs = server.clock, server.executors.codecs
        self.id = secrets.token_urlsafe(16)
        self.key_id = key_id  # of the API key that it was made with
        self.options = options
        self.state: State = "new"
        self.reason = ""  # why it ended
        self.events = Events(clock)
        self.broadcast = Broadcast(codecs)
        self.consent: Consent | None = None  # of the person on a client's own portrait
        self.voice = UtteranceQueue() if options.speech == "stream" else None
        self.streaming = ResumableStream(self, clock, codecs)
        self.traffic = Counter[tuple[str, str]]()  # bytes, by way and direction
        self.connections = Connections(self.traffic)
        self._setup = MediaSetup(
            options=options,
            controls=LiveControls(options, server.engine.steps, server.max_steps, server.engine.refusal),
            generation=Generation(),
            engine=server.engine,
            clock=clock,
            codecs=codecs,
            skew=server.skew,
            events=self.events,
            sinks=[self.broadcast, self.streaming],
            face=face,
            speech=speech,
            voice=self.voice,
            name=self.id,
            watermark=server.watermark_of(self.id),
        )
        self.figures = SessionFigures(self._setup, self.broadcast)
        self._clock = clock
        self._films = SessionFilms(self.events, self.broadcast, server.recordings)
        self._is_call = False
        self._faults = EncoderFaultWatch(self.events, self.broadcast.faults)
        self.attendance = IdleTimeout(clock.now(), server.idle_wait)
        self._admit = admit
        self._media: MediaStart | None = None
        self._attached = asyncio.Event()
        self._ended = asyncio.Event()
        self._closed = asyncio.Event()

    # --- for the server

    def claim(self) -> None:
        """Reserves the session for one who publishes. Raises ``ConflictError`` while another does."""
        self._wake()
        self.connections.claim()

    async def take_over(self) -> None:
        """Reserves the session, also from a publisher that sends nothing any more. Raises ``ConflictError``."""
        self._wake()
        await self.connections.take_over(self._clock, replaceable=not self._is_call)
        self._check_open()

    def release(self) -> None:
        """Takes back a claim whose offer could not be answered."""
        self.connections.release()

    def attach(self, peer: Peer) -> None:
        """Takes the answered peer of a call, which it ends with. ``UnknownSessionError``: it ended before that."""
        self._check_open()
        if self._media is not None:
            raise ConflictError("the session is live already (watch it by WHEP)")
        self._is_call = True
        self._go_live(peer)

    def publish(self, publisher: Connection) -> None:
        """Takes an answered publisher. When it goes another may come. ``UnknownSessionError``: it ended meanwhile."""
        if self._media is None:
            self._go_live(publisher)
            return
        self._check_open()
        self.connections.publisher = publisher
        self._media.replace(publisher)

    def admit_viewer(self) -> None:
        """Raises ``NotLiveError`` while there is nothing to watch, and ``BusyError`` where there is no room."""
        self._begin_unpublished()
        if self.state != "live":
            raise NotLiveError(f"the session is {self.state}: it has no publisher (ask again)", RETRY_LIVE)
        self.connections.check_room()
        if self._is_self_contained:
            self._wake()

    def watch(self, viewer: Viewer) -> None:
        """Takes a viewer that was admitted, before it is answered: it has a place. ``UnknownSessionError``: the session
        has ended."""
        self._check_open()
        self.connections.viewers[viewer.id] = viewer

    async def drop(self, connection: Connection) -> None:
        """Closes a publisher or viewer; the session goes on."""
        self.connections.forget(connection)
        await connection.close()

    def clear(self) -> Event:
        """Interrupts the speech, see :meth:`~streamer.session.media_start.MediaStart.clear`. Raises ``ConflictError``
        where nothing can have been said."""
        if self._media is None and self.voice is not None:
            return self.events.add_message(self.voice.clear(self._setup.generation.clear()))
        if self._media is None or self.state != "live":
            raise ConflictError(f"the session is {self.state} (need it live to interrupt it)")
        return self._media.clear()

    def open_stream(self, resume: str | None) -> Stream:
        """Opens a stream for a client, or resumes one. Raises ``ConflictError`` or ``ProtocolError``."""
        take_in = self._check_open if self._has_lost_camera else self._wake
        take_in()
        if resume is not None:
            return self.streaming.resume(resume)
        stream = self.streaming.open()
        self._begin_unpublished()
        return stream

    def without_stream(self) -> None:
        """Takes note that the stream has gone for good; ends the session where it had nothing else."""
        if self._is_self_contained and not self.connections.claimed and not self.connections.viewers:
            self.stop("its client left")

    @property
    def generation(self) -> int:
        """Counts the barge-ins so far: the number that speech and media carry now."""
        return self._setup.generation.number

    @property
    def controls(self) -> dict[str, Scalar]:
        """Returns the controls that can be changed live, with their values."""
        return self._setup.controls.values()

    def control(self, changes: Mapping[str, Scalar]) -> int | None:
        """Changes controls; returns the media time from which the change fades in, None before media begins.

        Raises ``ProtocolError`` and changes none where one of them cannot be.
        """
        since = None if self._live is None else self._live.next_change
        self._setup.controls.change(changes, since)
        known = {} if since is None else {"pts": since}
        self.events.add("session.updated", controls=self.controls, **known)
        return since

    @property
    def face(self) -> FaceSource | None:
        """Returns the stored face that it shows, or that was brought in last; None: a camera's."""
        return self._setup.face

    def change_face(self, face: FaceSource, consent: Consent | None) -> None:
        """Shows another stored face, of the size of the one before; ``face.changed`` says when it is all that is seen.
        Raises ``ConflictError`` while another is being brought in."""
        self._check_open()
        if self._media is not None:
            self._media.change_face(face)
        self._setup = replace(self._setup, face=face)
        self.consent = consent

    def say(self, samples: Stereo, at: int | None = None) -> None:
        """Takes dubbed speech, see :meth:`~streamer.session.media_start.MediaStart.say`. Raises ``ConflictError`` where
        the session is not live."""
        if self._media is None or self.state != "live":
            raise ConflictError(f"the session is {self.state} (need it live to speak)")
        self._media.say(samples, at)

    async def end(self, reason: str) -> None:
        """Ends the session and returns when everything of it is freed."""
        self.stop(reason)
        await self._closed.wait()

    @property
    def _live(self) -> MediaLoop | None:
        return self._media.loop if self._media is not None else None  # once the first packet has come

    @property
    def resting(self) -> bool:
        """Says whether it has no users, and so nothing is rendered."""
        return self._live is not None and self._live.resting

    async def run(self) -> None:
        """Lives the whole session; returns when it is closed. Raises nothing but ``CancelledError``."""
        try:
            async with asyncio.TaskGroup() as group:
                watch = watch_connections(
                    self._clock, self.connections, self.attendance, lost=self._lost, look=self._look
                )
                tasks = [group.create_task(watch), group.create_task(self._run_live())]
                await self._ended.wait()
                for task in tasks:
                    task.cancel()
        except* Exception as failures:
            self.reason = FAILED
            log.exception("a session failed", exc_info=failures)
        finally:
            await self._free()

    # --- lifetime

    def stop(self, reason: str) -> None:
        """Ends the session, soon."""
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
            self.streaming.close(self.reason, failed=self.reason == FAILED)
            await self._films.close()
            await self.connections.close()
        finally:
            self.state = "closed"
            self._closed.set()

    def _check_open(self) -> None:
        if self._ended.is_set():
            raise UnknownSessionError("the session has ended (make another)")

    def _wake(self) -> None:
        """Takes note of a user who comes, and renders again."""
        self._check_open()
        self.attendance.look(self._clock.now(), used=True)
        if self._live is not None and self._live.resting:
            self._admit()
            self._live.wake()

    @property
    def _is_self_contained(self) -> bool:
        """Whether the server stores both its face and its speech, so that it needs no publisher."""
        return self._setup.face is not None and self.options.speech != "live"

    @property
    def _has_lost_camera(self) -> bool:
        """Whether the camera's connection has gone: then only its return is a use of the session."""
        return self._live is not None and self._live.camera == "left" and not self.connections.claimed

    def _begin_unpublished(self) -> None:
        if self._media is None and self._is_self_contained:
            self._go_live(None)

    def _go_live(self, publisher: Connection | None) -> None:
        self._check_open()
        self.connections.publisher = publisher
        films = self._films.begin(self.options, self.id)
        setup = replace(self._setup, sinks=[*self._setup.sinks, *films])
        self._media = self.figures.media = MediaStart(setup, publisher)
        self.state = "live"
        self._attached.set()

    async def _run_live(self) -> None:
        await self._attached.wait()
        assert self._media is not None
        async with asyncio.TaskGroup() as group:
            if self._is_call and self.connections.publisher is not None:
                group.create_task(self._end_with(self.connections.publisher))
            group.create_task(self.broadcast.run())
            group.create_task(self._media.run())

    async def _end_with(self, peer: Connection) -> None:
        await peer.gone.wait()
        self.stop("the peer left")

    async def _lost(self, connection: Connection, reason: str) -> None:
        if self._is_call and connection is self.connections.publisher:
            self.stop(reason)
        else:
            await self.drop(connection)

    def _look(self, now: int) -> None:
        """Rests a session without users, and ends it where they stay away, or where nothing can be encoded."""
        if self._faults.look():
            self.stop("its frames cannot be encoded")
        lost, choice = self._has_lost_camera, self.options.on_camera_left
        used = self.connections.claimed or (self.streaming.stream is not None and not lost)
        self.attendance.look(now, used=used or (self._is_self_contained and bool(self.connections.viewers)))
        if lost and choice == "end":
            self.stop(CAMERA_LEFT)
        elif self.attendance.over:
            self.stop(NO_OFFER if self._media is None else CAMERA_AWAY if lost else UNUSED)
        elif self.attendance.resting and self._live is not None and not (lost and choice == "idle"):
            self._live.rest()
