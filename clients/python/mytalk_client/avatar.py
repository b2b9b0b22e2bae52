"""Gives a voice agent its face: utterances in, pictures and the speech that is heard out, side by side.

What frameworks of agents (LiveKit, Pipecat) need of a session: sound in any rate, decoded pictures, and where an
interrupt fell. Needs PyAV: ``pip install 'mytalk-client[avatar]'``.

::

    async with open_avatar("http://localhost:8080") as avatar:
        await avatar.push(pcm, rate=24_000)
        await avatar.end_utterance()
        async for item in avatar:
            ...  # Picture, Sound or Finished
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass

from mytalk_client.errors import ClientError
from mytalk_client.formats import SpeechFormat
from mytalk_client.http import Consent, Portrait
from mytalk_client.messages import (
    Audio,
    Error,
    PlaybackFinished,
    PlaybackStarted,
    SessionEnded,
    Video,
)
from mytalk_client.session import Session, connect

try:
    import av
except ImportError as error:
    raise ImportError("an avatar needs PyAV: pip install 'mytalk-client[avatar]'") from error

SPEECH_RATE = 24_000
"""Hz of the speech that is sent, mono; most voices of agents come so. Others are resampled."""

HEARD_RATE = 48_000
"""Hz of the speech that comes back, mono."""

WAITING_ITEMS = 100
"""Pictures and pieces of sound that wait to be taken; 1.3 s. Full: the oldest picture is left out, and where only sound
waits the session is not read on."""

RECENT_SOUNDS = 50
"""Pieces of sound (1 s) that are kept between utterances: the word that one began comes behind its first sound."""

ANSWER_SECONDS = 2.0
"""The longest that an interrupt waits for the server to say how far it got."""

_MEDIA_RATE = 16_000
_TO_HEARD = HEARD_RATE // _MEDIA_RATE


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """Holds a decoded picture (4:2:0), with its ``pts`` (media time, 16 kHz)."""

    frame: av.VideoFrame
    pts: int


@dataclass(frozen=True, slots=True)
class Sound:
    """Holds at most 20 ms of an utterance, 16-bit little-endian, mono, at ``HEARD_RATE``; ``pts`` as a picture's."""

    pcm: bytes
    pts: int


@dataclass(frozen=True, slots=True)
class Finished:
    """Ends an utterance, of which ``seconds`` were heard: all, unless it was ``interrupted``."""

    seconds: float
    interrupted: bool


Item = Picture | Sound | Finished


class Avatar:
    """Speaks utterances through a session, made by :func:`open_avatar`. Silence between them has no :class:`Sound`.

    One task may push, another iterate, a third interrupt.
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self.disclosure = session.disclosure  # to be shown to whoever sees the pictures
        self._items: deque[Item] = deque()
        self._filled = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._sounding_from: int | None = None  # pts
        self._recent: deque[Audio] = deque(maxlen=RECENT_SOUNDS)  # that no utterance has claimed yet
        self._open = False  # speech was pushed since the last utterance's end
        self._interrupted = asyncio.Event()  # ends waiting pushes
        self._answers: dict[int, asyncio.Future[float]] = {}  # of interrupts, by the generation that they begin
        self._resampler: tuple[tuple[int, int], av.AudioResampler] | None = None
        self._decoder = av.CodecContext.create("h264", "r")
        self._decoding = ThreadPoolExecutor(1, "avatar decoder")
        self._reading = asyncio.create_task(self._read(), name="avatar")

    # --- speaking

    async def push(self, pcm: bytes, *, rate: int = SPEECH_RATE, channels: int = 1) -> None:
        """Says more of the utterance: 16-bit samples, interleaved. Waits while more than 10 s are ahead.

        What an interrupt finds waiting here is not said. Raises ``ClientError`` where the session is over.
        """
        self._open = True
        await self._append(self._resampled(pcm, rate, channels))

    async def end_utterance(self) -> None:
        """Ends the utterance; :class:`Finished` follows once it was heard. Nothing happens where none is open."""
        if not self._open:
            return
        self._open = False
        if self._resampler is not None:
            rest = b"".join(_bytes(frame) for frame in self._resampler[1].resample(None))
            self._resampler = None
            await self._append(rest)
        await self.session.commit()

    async def interrupt(self) -> float:
        """Silences what was not heard yet. Returns the seconds of the utterance that were heard; 0 between utterances.

        Sound that waits to be taken is gone at once. Raises ``ClientError`` where the server does not answer.
        """
        self._open, self._resampler, self._sounding_from = False, None, None
        self._recent.clear()
        self._interrupted.set()
        self._interrupted = asyncio.Event()
        kept = [item for item in self._items if not isinstance(item, Sound)]
        self._items.clear()
        self._items.extend(kept)
        self._room.set()
        await self.session.interrupt()
        generation = self.session.generation
        answer: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._answers[generation] = answer
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await answer
        except TimeoutError as error:
            raise ClientError(f"the server did not confirm an interrupt in {ANSWER_SECONDS} s") from error
        finally:
            del self._answers[generation]

    # --- showing

    async def change_face(self, portrait: Portrait | None = None, consent: Consent | None = None) -> None:
        """Shows another face, as :meth:`Session.change_face` does; pictures keep their size."""
        await self.session.change_face(portrait, consent)

    def __aiter__(self) -> AsyncIterator[Item]:
        return self

    async def __anext__(self) -> Item:
        """Returns the next picture, sound or end of an utterance. Ends with the session; raises what broke it."""
        while not self._items:
            self._filled.clear()
            if self._reading.done():
                self._reading.result()
                raise StopAsyncIteration
            await self._filled.wait()
        item = self._items.popleft()
        if len(self._items) < WAITING_ITEMS:
            self._room.set()
        return item

    async def close(self) -> None:
        """Stops reading. The session is closed by whoever opened it."""
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)
        self._decoding.shutdown(wait=False, cancel_futures=True)
        for answer in self._answers.values():
            answer.cancel()

    # --- its own

    async def _append(self, pcm: bytes) -> None:
        """Sends speech, unless an interrupt comes first."""
        sending = asyncio.create_task(self.session.append(pcm))
        silenced = asyncio.create_task(self._interrupted.wait())
        try:
            await asyncio.wait({sending, silenced}, return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                sending.result()
        finally:
            sending.cancel()
            silenced.cancel()
            await asyncio.gather(sending, silenced, return_exceptions=True)

    def _resampled(self, pcm: bytes, rate: int, channels: int) -> bytes:
        if (rate, channels) == (SPEECH_RATE, 1):
            self._resampler = None
            return pcm
        if channels not in (1, 2) or not 8_000 <= rate <= 192_000 or len(pcm) % (2 * channels):
            raise ValueError(f"{len(pcm)} bytes at {rate} Hz, {channels} channels (need 16-bit mono or stereo)")
        if self._resampler is None or self._resampler[0] != (rate, channels):
            self._resampler = ((rate, channels), av.AudioResampler("s16", "mono", SPEECH_RATE))
        frame = av.AudioFrame("s16", "mono" if channels == 1 else "stereo", len(pcm) // (2 * channels))
        frame.sample_rate = rate
        frame.planes[0].update(pcm)
        return b"".join(_bytes(one) for one in self._resampler[1].resample(frame))

    async def _read(self) -> None:
        try:
            async for event in self.session:
                if isinstance(event, Video):
                    for picture in await self._decoded(event):
                        await self._put(picture)
                elif isinstance(event, Audio):
                    await self._on_sound(event)
                elif isinstance(event, PlaybackStarted):
                    await self._on_started(event)
                elif isinstance(event, PlaybackFinished):
                    await self._on_finished(event)
                elif isinstance(event, Error) and event.fatal:
                    raise ClientError(f"{event.code}: {event.message}")
                elif isinstance(event, SessionEnded):
                    return
        finally:
            self._filled.set()

    async def _on_started(self, event: PlaybackStarted) -> None:
        if event.generation != self.session.generation:
            return
        self._sounding_from = event.pts
        waiting = list(self._recent)
        self._recent.clear()
        for sound in waiting:
            await self._on_sound(sound)

    async def _on_sound(self, event: Audio) -> None:
        """Takes 20 ms: what of them belongs to the utterance that is heard; one channel, as both are alike."""
        if event.generation != self.session.generation:
            return
        if self._sounding_from is None:
            self._recent.append(event)
            return
        late = max(0, self._sounding_from - event.pts)
        if pcm := _left(event.data)[2 * _TO_HEARD * late :]:
            await self._put(Sound(pcm, event.pts + late))

    async def _on_finished(self, event: PlaybackFinished) -> None:
        seconds = event.position / _MEDIA_RATE if event.utterance is not None else 0.0
        answer = self._answers.get(event.generation)
        if answer is not None and not answer.done():
            answer.set_result(seconds)
        if event.utterance is not None:
            if event.generation == self.session.generation:
                self._sounding_from = None
            await self._put(Finished(seconds, event.interrupted))

    async def _decoded(self, event: Video) -> list[Picture]:
        packet = av.Packet(event.data)
        packet.pts = event.pts
        loop = asyncio.get_running_loop()
        frames = await loop.run_in_executor(self._decoding, self._decoder.decode, packet)
        return [Picture(frame, event.pts) for frame in frames]

    async def _put(self, item: Item) -> None:
        while len(self._items) >= WAITING_ITEMS:
            oldest = next((one for one in self._items if isinstance(one, Picture)), None)
            if oldest is not None:
                self._items.remove(oldest)
                continue
            self._room.clear()
            await self._room.wait()
        self._items.append(item)
        self._filled.set()


def _left(stereo: bytes) -> bytes:
    return memoryview(stereo).cast("B").cast("H")[::2].tobytes()


def _bytes(frame: av.AudioFrame) -> bytes:
    return bytes(frame.planes[0])[: 2 * frame.samples]


@asynccontextmanager
async def open_avatar(
    url: str,
    api_key: str | None = None,
    *,
    portrait: Portrait | None = None,
    consent: Consent | None = None,
    **options: object,
) -> AsyncIterator[Avatar]:
    """Opens a session for as long as the block runs, and its avatar. ``options``: as :func:`connect` takes them.

    Raises ``RefusedError`` or ``LostError``.
    """
    speech = SpeechFormat(SPEECH_RATE)
    asked = {"portrait": portrait, "consent": consent, **options}
    async with connect(url, api_key, speech=speech, audio=True, video="h264", **asked) as session:  # type: ignore[arg-type]
        avatar = Avatar(session)
        try:
            yield avatar
        finally:
            await avatar.close()
