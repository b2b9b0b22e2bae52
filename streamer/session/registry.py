"""Admits, lists and ends the sessions of one server."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

from mytalk.media.face_source import FaceSource
from mytalk.media.fitted import Size
from streamer.client_stream.resumption import STOPPING
from streamer.clock import SECOND_NS, Clock
from streamer.config.server_config import ServerConfig
from streamer.engine.engine import Engine
from streamer.engine.overload import Rung
from streamer.errors import BusyError, ConflictError, RequestError, UnknownSessionError
from streamer.executors import Executors
from streamer.media.looped_speech import LoopedSpeech
from streamer.outputs.push_targets import check_leave, check_way
from streamer.session.face_reader import FaceReader, Pixels, background_of
from streamer.session.options import SessionOptions
from streamer.session.server_parts import ServerParts
from streamer.session.session import Session
from streamer.telemetry import logs
from streamer.telemetry.metrics import skew_histogram
from streamer.trust.consent import Consent, ConsentRegister, check_consent, hash_of

log = logging.getLogger(__name__)

GAVE_WAY = "it had no users, and another session needed its place"

QUEUES = ("encoder", "paced_sounds", "paced_pictures", "untracked", "tracked", "speech")
"""Queues in which items of a session may wait."""

RETRY_LOADING = 2
"""Seconds after which a client that came while the models were loading may ask again."""

RETRY_FULL = 1
"""Seconds after which a client that found no room may ask again: a session may end at any time, and its room is free at
once."""

RETRY_STOPPED = 10
"""Seconds after which a client may ask a server again that stops or has failed: another one may be in its place."""


class SessionRegistry:
    """Holds every session that is not closed, by id. Each runs as a task of its own; none can take another down."""

    def __init__(self, config: ServerConfig, engine: Engine, clock: Clock, executors: Executors) -> None:
        self.ended: Counter[str] = Counter()  # reason -> sessions
        self.draining = False
        self.skew = skew_histogram()  # of all sessions
        self.on_end: Callable[[Session], None] = lambda session: None
        self._past: Counter[str] = Counter()  # pictures of closed sessions
        self._past_events: Counter[str] = Counter()
        self._past_traffic = Counter[tuple[str, str]]()
        self._past_refusals = Counter[str]()
        self._past_packets = 0  # sent to viewers of closed sessions
        self._config = config
        self._register = None if config.consents is None else ConsentRegister(config.consents)
        self._engine = engine
        self._executors = executors
        self.clock = clock
        self._sessions: dict[str, tuple[Session, asyncio.Task[None]]] = {}
        self._speech: LoopedSpeech | None = None
        self._reading = asyncio.Lock()  # of the server's own speech
        self._reserved: Counter[str | None] = Counter()  # places of sessions that are being made, by key id
        self._faces = FaceReader(config, executors)

    @property
    def condition(self) -> str:
        """``ready`` while new sessions may come, otherwise why not."""
        return "draining" if self.draining else self._engine.condition

    @contextmanager
    def reserved(self, key_id: str | None) -> Iterator[None]:
        """Holds a place among the sessions while what one needs is read. Raises ``BusyError`` where there is none.

        ``key_id``: of the API key that the session will be made with."""
        self._admit()
        self._reserved[key_id] += 1
        try:
            yield
        finally:
            self._reserved[key_id] -= 1

    def count_of(self, key_id: str) -> int:
        """Returns the sessions of a key, with those that are being made."""
        return self._reserved[key_id] + sum(session.key_id == key_id for session in self.all())

    async def read_face(
        self, options: SessionOptions, consent: Consent | None, *, picture: bytes | None, background: bytes | None
    ) -> FaceSource:
        """Reads the face of a portrait session: a client's own ``picture`` or a stored one, before its own
        ``background`` where it sent that. Raises ``InputError`` where they cannot be used, ``BusyError`` as below."""
        if options.source != "portrait":
            raise RequestError(f"a portrait, but the source is {options.source} (need portrait, or none)")
        if (options.background == "image") != (background is not None):
            raise RequestError('a background is sent where "background" is "image" (need both, or neither)')
        image = None if background is None else await self._faces.image(background)
        return await self._read(options, consent, picture, image)

    async def change_face(
        self, session: Session, name: str | None, consent: Consent | None, picture: bytes | None
    ) -> None:
        """Shows another face in a session: a client's own ``picture``, or the server's by ``name``. Admitted, and its
        consent checked, like that of a new session. ``ConflictError``: the session has none that can be changed."""
        before = session.face
        if before is None:
            raise ConflictError("the session shows a camera (need one whose source is portrait)")
        self._check_engine(session.options.steps)
        options = replace(session.options, portrait=name)
        size = (before.info.width, before.info.height)
        face = await self._read(options, consent, picture, background_of(before), size)
        session.change_face(face, consent)

    async def _read(
        self,
        options: SessionOptions,
        consent: Consent | None,
        picture: bytes | None,
        image: Pixels | None,
        size: Size | None = None,
    ) -> FaceSource:
        if picture is None:
            return await self._faces.stored(options, image, size)
        check_consent(consent, required=self._config.require_consent)
        if self._register is not None:
            await self._executors.blocking.run_or_refuse(self._note, self._register, picture, consent)
        return await self._faces.uploaded(picture, options, image, size)

    @staticmethod
    def _note(register: ConsentRegister, picture: bytes, consent: Consent | None) -> None:
        """Notes that a picture is shown. Raises ``ForbiddenError`` for one whose consent was revoked."""
        register.use(hash_of(picture), consent)

    async def create(
        self,
        options: SessionOptions,
        face: FaceSource | None = None,
        consent: Consent | None = None,
        key_id: str | None = None,
    ) -> Session:
        """Makes a session in the place that ``reserved`` holds for it. ``face``: a client's own; ``key_id``: of the API
        key that it is made with. ``BusyError``: no room for it. ``InputError``: a stored file cannot be read."""
        await self._check_films(options)
        if face is None and options.source == "portrait":
            face = await self.read_face(options, None, picture=None, background=None)
        speech = await self._read_speech() if options.speech == "demo" else None
        options.check_steps(self._max_steps)
        await self._make_room(options.steps)
        admit = partial(self._check_engine, options.steps)
        session = Session(options, self._parts, face=face, speech=speech, key_id=key_id, admit=admit)
        session.consent = consent
        with logs.of_session(session.id):
            data = {"source": options.source, "speech": options.speech, "key": key_id}
            data |= {"watermark": str(self._parts.watermark_of(session.id))}
            log.info("session began", extra={"data": data})
            task = asyncio.create_task(session.run(), name=f"session {session.id[:6]}")
        self._sessions[session.id] = (session, task)
        task.add_done_callback(lambda _: self._forget(session))
        return session

    def find(self, session_id: str) -> Session:
        """Returns the session of this id. Raises ``UnknownSessionError``."""
        if session_id not in self._sessions:
            raise UnknownSessionError("no such session (it may have ended; make another with POST /v1/sessions)")
        return self._sessions[session_id][0]

    def all(self) -> list[Session]:
        """Lists the sessions that are not closed."""
        return [session for session, _ in self._sessions.values()]

    async def close(self) -> None:
        """Refuses new sessions and ends the others."""
        self.draining = True
        self._faces.close()
        tasks = [task for _, task in self._sessions.values()]
        await asyncio.gather(*(session.end(STOPPING) for session in self.all()))
        await asyncio.gather(*tasks)

    def pictures(self) -> Counter[str]:
        """Counts the pictures of all sessions so far, by what became of them."""
        total = self._past.copy()
        for session in self.all():
            total.update(session.figures.pictures())
        return total

    def viewer_packets(self) -> int:
        """Counts the RTP packets sent to all viewers so far."""
        return self._past_packets + sum(session.connections.viewer_packets for session in self.all())

    def traffic(self) -> Counter[tuple[str, str]]:
        """Counts the bytes of all sessions so far, by way and direction."""
        return sum((session.traffic for session in self.all()), self._past_traffic.copy())

    def refusals(self) -> Counter[str]:
        """Returns datagrams of WebRTC that were not taken or not answered, by reason, those of the past too."""
        return sum((session.connections.refusals for session in self.all()), self._past_refusals.copy())

    def streams(self) -> Counter[str]:
        """Counts the streams of clients now, by whether they have their WebSocket."""
        states = [session.streaming.state for session in self.all()]
        return Counter({state: states.count(state) for state in ("open", "cut")})

    def speech_waiting_ms(self) -> int:
        """Returns the milliseconds of streamed speech of all sessions that wait to be said."""
        return sum(session.figures.speech_waiting_ms for session in self.all())

    def queues(self) -> Counter[str]:
        """Counts the items that wait now, by where."""
        total = Counter(dict.fromkeys(QUEUES, 0))
        for session in self.all():
            total.update(session.figures.queues())
        return total

    def events(self) -> Counter[str]:
        """Counts the events of all sessions so far, by type."""
        return sum((session.events.counts for session in self.all()), self._past_events.copy())

    def _admit(self, own: int = 0, steps: int | None = None) -> None:
        """Raises ``BusyError`` where there is no room for another session. One that rests gives way.

        ``own``: places that are reserved for this very session; ``steps``: sampling steps that it asks for."""
        if self.draining:
            raise BusyError("the server is stopping (ask another)", RETRY_STOPPED)
        self._check_engine(steps)
        taken = sum(not session.resting for session in self.all()) + self._reserved.total() - own
        if taken >= self._config.max_sessions:
            full = f"all {self._config.max_sessions} sessions are taken"
            raise BusyError(f"{full} (wait for one to end, or start with a larger --max-sessions)", RETRY_FULL)

    async def _make_room(self, steps: int | None) -> None:
        """Admits a session, and ends those that rest, longest first, where there would be too many."""
        self._admit(own=1, steps=steps)
        while len(self._sessions) >= self._config.max_sessions:
            resting = [one for one in self._sessions.values() if one[0].resting]
            session, task = max(resting, key=lambda one: one[0].attendance.alone_for)
            await session.end(GAVE_WAY)
            await asyncio.wait([task])
            self._admit(own=1, steps=steps)

    @property
    def _parts(self) -> ServerParts:
        return ServerParts(
            engine=self._engine,
            clock=self.clock,
            executors=self._executors,
            skew=self.skew,
            recordings=self._config.recordings,
            idle_wait=self._config.idle_seconds * SECOND_NS,
            max_steps=self._max_steps,
            watermark=self._config.watermark,
        )

    @property
    def _max_steps(self) -> int:
        """Returns the most sampling steps that a session may ask for. The engine is ready, and knows its preset's."""
        return max(self._config.max_steps, self._engine.steps)

    def _check_engine(self, steps: int | None) -> None:
        """Raises ``BusyError`` where the engine has no time for one more of ``steps`` sampling steps."""
        if self._engine.state == "loading":
            raise BusyError("the models are being loaded (ask again in a moment)", RETRY_LOADING)
        if self._engine.condition != "ready":
            raise BusyError(f"the engine is {self._engine.condition} (restart the server)", RETRY_STOPPED)
        if any(session.figures.rung > Rung.FULL for session in self.all()):
            raise BusyError("the engine is overloaded by the sessions it has (wait for one to end)", RETRY_FULL)
        reason = self._engine.refusal(steps or self._engine.steps)
        if reason is not None:
            raise BusyError(f"{reason} (wait for one to end)", RETRY_FULL)

    async def _check_films(self, options: SessionOptions) -> None:
        if options.record and (self._config.recordings is None or not self._config.recordings.is_dir()):
            raise RequestError("this server keeps no recordings (start it with --recordings FOLDER)")
        if options.push is not None:
            check_leave(options.push, self._config.push_to)
            await self._executors.blocking.run_or_refuse(check_way, options.push)

    def _forget(self, session: Session) -> None:
        self._sessions.pop(session.id, None)
        pictures = session.figures.pictures()
        self.ended[session.reason] += 1
        self.on_end(session)
        with logs.of_session(session.id):
            data = {"reason": session.reason, "seconds": session.figures.age // SECOND_NS, "pictures": pictures}
            log.info("session ended", extra={"data": data})
        self._past.update(pictures)
        self._past_events.update(session.events.counts)
        self._past_traffic.update(session.traffic)
        self._past_refusals.update(session.connections.refusals)
        self._past_packets += session.connections.viewer_packets

    async def _read_speech(self) -> LoopedSpeech:
        async with self._reading:
            if self._speech is None:
                path = self._config.demo_speech_path
                self._speech = await self._executors.blocking.run_or_refuse(LoopedSpeech.read, path)
            return self._speech
