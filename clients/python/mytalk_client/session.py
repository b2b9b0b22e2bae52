"""Gives a program its session: say speech, follow its playback, see the face.

::

    async with connect("http://localhost:8080", speech=SpeechFormat(24_000), video="h264") as session:
        await session.say(pcm)
        async for event in session:
            ...
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Literal

from mytalk_client.errors import ClientError, EndedError, FormatError, LostError, RefusedError
from mytalk_client.formats import Samples, SpeechFormat, VideoEncoding, check_video, is_whole
from mytalk_client.http import (
    PATIENCE,
    Consent,
    Portrait,
    SessionInfo,
    ask_for_session,
    change_face,
    end_session,
    pause_after,
    renewed,
)
from mytalk_client.link import Link
from mytalk_client.messages import (
    Audio,
    Event,
    Message,
    PlaybackFinished,
    Pong,
    Scalar,
    SessionCreated,
    SessionResumed,
    Video,
    speech,
    text,
)

AHEAD_MS = 10_000
"""Speech that is given ahead of what was said: more would stay unread, and an interrupt with it."""

INBOX_BYTES = 32 << 20
"""Sound and pictures that wait to be iterated. Full: the connection is not read; the server leaves pictures out."""

_AGAIN_SECONDS = 5.0  # until a token is asked for again, where the server was not reached
_PIECE_MS = 100  # of PCM in one message
_EVENT_BYTES = 256  # what an event is counted as


class Session:
    """Is one session, made by :func:`connect`.

    Cancelling any call leaves the session usable; what was not sent is not said.
    """

    def __init__(self, info: SessionInfo, speech_format: SpeechFormat) -> None:
        self.info = info
        self.format = speech_format
        self.generation = 0  # interrupts so far
        self.controls: Mapping[str, Scalar] = {}
        self.disclosure = info.disclosure  # to be shown to whoever sees the video
        self._position = 0  # samples of this generation
        self._rest = b""  # less than a whole sample
        self._inbox: deque[Event] = deque()
        self._held = 0  # bytes in _inbox
        self._filled = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._link = Link(info.urls["stream"], info.token, self._deliver, self._room)
        self._running: asyncio.Task[None] | None = None
        self._renewing: asyncio.Task[None] | None = None

    # --- speaking

    async def say(self, pcm: bytes | Samples | AsyncIterable[bytes | Samples], *, event_id: str | None = None) -> None:
        """Says one utterance, whole or in pieces as they come. Waits while more than 10 s of speech are ahead.

        Cancelled, it has said what it had sent, and the utterance is open: ``commit`` or ``interrupt`` next. Raises
        ``FormatError`` for what is not of the session's format.
        """
        if is_whole(pcm):
            await self.append(pcm)
        elif isinstance(pcm, AsyncIterable):
            async for piece in pcm:
                await self.append(piece)
        else:
            needed = "bytes, samples, or an async iterator of either"
            raise FormatError(f"speech of type {type(pcm).__name__} (need {needed})")
        await self.commit(event_id)

    async def append(self, payload: bytes | Samples) -> None:
        """Appends speech to the utterance: PCM of any length, samples, or one Opus packet.

        Raises ``FormatError`` for what is not of the session's format.
        """
        data = self.format.payload(payload)
        if self.format.encoding == "opus":
            samples = self.format.samples(data)
            await self._wait_for_room()
            self._send_speech(data, samples)
            return
        frame = self.format.frame_bytes
        data = self._rest + data
        whole = len(data) // frame * frame
        data, self._rest = data[:whole], data[whole:]
        step = max(1, self.format.rate * _PIECE_MS // 1000) * frame
        for start in range(0, whole, step):
            await self._wait_for_room()
            piece = data[start : start + step]
            self._send_speech(piece, samples=len(piece) // frame)

    async def dub(self, payload: bytes | Samples, pts: int) -> None:
        """Says speech with the picture of media time ``pts`` (16 kHz), in a session with a ``video_delay``.

        Whole samples of any length, or one Opus packet. ``SpeechLate`` reports what came too late. Raises
        ``FormatError`` for what is not of the session's format.
        """
        self._check_open()
        data, frame = self.format.payload(payload), self.format.frame_bytes
        if self.format.encoding == "opus":
            self.format.samples(data)  # raises for what is no packet
        elif len(data) % frame:
            raise FormatError(f"{len(data)} bytes of PCM (need a multiple of {frame}: whole samples)")
        step = len(data) if self.format.encoding == "opus" else max(1, self.format.rate * _PIECE_MS // 1000) * frame
        for start in range(0, len(data), step):
            at = pts + start // frame * 16_000 // self.format.rate
            self._link.send(speech(self.format.encoding, self.generation, at, data[start : start + step], timed=True))

    async def commit(self, event_id: str | None = None) -> None:
        """Ends the utterance. ``SpeechCommitted`` and, once it was played, ``PlaybackFinished`` follow."""
        self._check_open()
        self._rest = b""
        self._link.send(text("speech.commit", event_id=event_id))

    async def interrupt(self, event_id: str | None = None) -> None:
        """Drops all speech that was not played yet; ``PlaybackFinished`` says how far it got."""
        self._check_open()
        self._begin_generation(self.generation + 1)
        self._link.send(text("speech.clear", event_id=event_id))

    async def update(self, event_id: str | None = None, **controls: Scalar) -> None:
        """Changes controls, such as ``mouth_opening=0.7``. ``SessionUpdated`` or ``Error`` follows."""
        self._check_open()
        self._link.send(text("session.update", controls=controls, event_id=event_id))

    async def change_face(self, portrait: Portrait | None = None, consent: Consent | None = None) -> None:
        """Shows another face, crossfaded, while speech goes on: the bytes of a picture, the name of a portrait or clip
        of the server's folder, or its own. ``FaceChanged`` follows. Raises ``RefusedError`` or ``LostError``."""
        self._check_open()
        await asyncio.to_thread(change_face, self.info, portrait, consent)

    @property
    def ahead_ms(self) -> int:
        """Returns the milliseconds of speech that were given and not yet played."""
        return self._link.log.ahead_ms

    # --- listening

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        """Returns the next event, sound or picture. Ends with the session; raises what broke it for good."""
        while not self._inbox:
            self._filled.clear()
            if self._running is None or self._running.done():
                self._raise_failure()
                raise StopAsyncIteration
            await self._filled.wait()
        event = self._inbox.popleft()
        self._held -= _size(event)
        if self._held < INBOX_BYTES:
            self._room.set()
        return event

    # --- lifetime

    async def open(self, audio: bool, video: VideoEncoding, token_is_new: bool) -> None:
        """Connects. Raises ``RefusedError`` or ``LostError``."""
        output = {"audio": "pcm16" if audio else "none", "video": video}
        given = {"encoding": self.format.encoding, "rate": self.format.rate, "channels": self.format.channels}
        self._link.send(text("session.update", speech=given, output=output))
        self._running = asyncio.create_task(self._link.run(), name="mytalk session")
        self._running.add_done_callback(self._on_end)
        opened = asyncio.create_task(self._link.opened.wait())
        try:
            await asyncio.wait({opened, self._running}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            opened.cancel()
        if not self._link.opened.is_set():
            self._raise_failure()
        if self.info.expires_in and "tokens" in self.info.urls:
            self._renewing = asyncio.create_task(self._renew(token_is_new), name="mytalk token")

    async def close(self) -> None:
        """Closes the stream. A session without another connection ends with it."""
        if self._renewing is not None:
            self._renewing.cancel()
            await asyncio.gather(self._renewing, return_exceptions=True)
        if self._running is not None:
            try:
                await self._link.close()
            finally:
                self._running.cancel()
                await asyncio.gather(self._running, return_exceptions=True)

    async def _renew(self, token_is_new: bool) -> None:
        """Renews the token, so that it is good whenever the connection must be made again."""
        wait = self.info.expires_in / 2 if token_is_new else 0.0
        while True:
            await asyncio.sleep(wait)
            try:
                self.info = await asyncio.to_thread(renewed, self.info)
            except (LostError, RefusedError) as error:
                if isinstance(error, RefusedError) and error.status not in (429, 503):
                    return  # the session has ended, or this is not its owner
                wait = min(self.info.expires_in / 8, _AGAIN_SECONDS)
            else:
                self._link.token, wait = self.info.token, self.info.expires_in / 2

    def _send_speech(self, payload: bytes, samples: int) -> None:
        self._check_open()
        data = speech(self.format.encoding, self.generation, self._position, payload)
        self._position += samples
        self._link.send(data, self.format.milliseconds(payload))

    async def _wait_for_room(self) -> None:
        self._check_open()
        while self._link.log.ahead_ms > AHEAD_MS:
            self._link.changed.clear()
            await self._link.changed.wait()
            self._check_open()

    def _begin_generation(self, generation: int) -> None:
        self.generation, self._position, self._rest = generation, 0, b""

    def _check_open(self) -> None:
        if self._running is None or self._running.done():
            self._raise_failure()
            raise EndedError("the session is over (connect again)")

    def _raise_failure(self) -> None:
        if self._running is not None and self._running.done() and not self._running.cancelled():
            failure = self._running.exception()
            if failure is not None:
                raise failure

    def _on_end(self, task: asyncio.Task[None]) -> None:
        self._filled.set()
        self._link.changed.set()

    def _deliver(self, message: Message) -> None:
        if isinstance(message, SessionCreated):
            self.controls, self.disclosure = message.controls, message.disclosure
            if message.generation != self.generation:
                self._begin_generation(message.generation)
            return
        if isinstance(message, (PlaybackFinished, SessionResumed)) and message.generation > self.generation:
            self._begin_generation(message.generation)  # somebody else interrupted
        if isinstance(message, Pong) or not isinstance(message, Event):
            return
        self._inbox.append(message)
        self._held += _size(message)
        if self._held >= INBOX_BYTES:
            self._room.clear()
        self._filled.set()


@asynccontextmanager
async def connect(
    url: str,
    api_key: str | None = None,
    *,
    speech: SpeechFormat | None = None,
    audio: bool = False,
    video: VideoEncoding = "none",
    source: Literal["portrait", "live"] = "portrait",
    portrait: Portrait | None = None,
    consent: Consent | None = None,
    info: SessionInfo | None = None,
    patience: float = PATIENCE,
    **options: object,
) -> AsyncIterator[Session]:
    """Opens a session for as long as the block runs: a new one, or with ``info`` one that was made before.

    ``speech``: what you give (default: 24 kHz, mono). ``audio`` and ``video``: what you want back. ``portrait``: the
    bytes of a picture of a face, with ``consent`` of the person, or the name of a file in the server's folder of faces.
    ``background`` among the options: ``green``, ``transparent``, or the bytes of an image.
    ``patience``: seconds for which a busy server is asked again, when it said to; 0: not at all. ``options``:
    ``profile``, ``seed``... as the server has them.
    Raises ``FormatError``, ``RefusedError`` or ``LostError``.
    """
    check_video(video)
    made = info is None
    if info is None:
        asked = {"source": source, "speech": "stream", **options}
        info = await _created(url, api_key, portrait, consent, asked, patience)
    session = Session(info, speech or SpeechFormat(24_000))
    try:
        await session.open(audio, video, token_is_new=made)
        yield session
    finally:
        await session.close()
        if made and not session._link.opened.is_set():
            await asyncio.to_thread(_end_quietly, session.info)


async def _created(
    url: str,
    api_key: str | None,
    portrait: Portrait | None,
    consent: Consent | None,
    asked: dict[str, object],
    patience: float,
) -> SessionInfo:
    """Makes a session; cancelled, it ends the session that nobody will use."""
    loop = asyncio.get_running_loop()
    given_up = loop.time() + patience
    while True:
        making = asyncio.ensure_future(asyncio.to_thread(ask_for_session, url, api_key, portrait, consent, asked))
        try:
            return await asyncio.shield(making)
        except RefusedError as error:
            await asyncio.sleep(pause_after(error, given_up - loop.time()))
        except asyncio.CancelledError:
            making.add_done_callback(_end_made)
            raise


def _end_made(making: asyncio.Future[SessionInfo]) -> None:
    if not making.cancelled() and making.exception() is None:
        asyncio.get_running_loop().run_in_executor(None, _end_quietly, making.result())


def _end_quietly(info: SessionInfo) -> None:
    with suppress(ClientError):
        end_session(info)


def _size(event: Event) -> int:
    return len(event.data) if isinstance(event, (Audio, Video)) else _EVENT_BYTES
