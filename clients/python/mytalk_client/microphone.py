"""Runs ``mytalk mic``: a microphone into a session, and its sound to headphones (a loudspeaker would echo)."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

from mytalk_client.arguments import add_face, add_server, face
from mytalk_client.errors import DeviceError, EndedError
from mytalk_client.formats import SpeechFormat
from mytalk_client.messages import Audio, Error, SessionEnded, SessionResumed
from mytalk_client.session import Session, connect

MICROPHONE = SpeechFormat(16_000)
BLOCK = 320
"""Samples of the microphone in one message: 20 ms."""

_OUT_RATE = 48_000
_WAITING_BLOCKS = 100  # 2 s from the microphone. Full (no connection for so long): the oldest is left out.
_LEAST_OUT = _OUT_RATE * 4 // 10  # bytes: 100 ms are collected before sound begins, or begins again
_MOST_OUT = _OUT_RATE * 4  # bytes: 1 s. Full: the oldest is left out, so that the delay does not grow.


class Speaker:
    """Queues sound for the output device, whose thread takes it; silence where there is none."""

    def __init__(self) -> None:
        self._waiting = bytearray()
        self._playing = False

    def push(self, data: bytes) -> None:
        """Appends sound."""
        self._waiting += data
        if len(self._waiting) > _MOST_OUT:
            del self._waiting[: len(self._waiting) - _MOST_OUT]

    def fill(self, out: Any, *_: object) -> None:
        """Fills ``out``, as sounddevice calls it."""
        size = len(out)
        self._playing = len(self._waiting) >= (size if self._playing else _LEAST_OUT)
        taken = bytes(self._waiting[:size]) if self._playing else b""
        del self._waiting[: len(taken)]
        out[:] = taken + bytes(size - len(taken))


def devices() -> Any:
    """Returns the module ``sounddevice``. Raises ``DeviceError`` that says what to install."""
    try:
        import sounddevice
    except ModuleNotFoundError as error:
        raise DeviceError("sounddevice is missing (pip install sounddevice)") from error
    except OSError as error:
        needed = "Debian: apt install libportaudio2; macOS: brew install portaudio"
        raise DeviceError(f"PortAudio is missing: {error} ({needed})") from error
    return sounddevice


async def talk(session: Session, sounddevice: Any) -> None:
    """Talks until the session ends or the task is cancelled. Raises ``DeviceError`` where a device cannot be used."""
    speaker = Speaker()
    try:
        out = sounddevice.RawOutputStream(samplerate=_OUT_RATE, channels=2, dtype="int16", callback=speaker.fill)
        with out:
            hearing = asyncio.create_task(_hear(session, sounddevice))
            try:
                async for event in session:
                    if isinstance(event, Audio):
                        speaker.push(event.data)
                    elif isinstance(event, Error | SessionEnded | SessionResumed):
                        print(event, flush=True)
            finally:
                hearing.cancel()
                with suppress(asyncio.CancelledError, EndedError):  # how it ended, the iteration says
                    await hearing
    except sounddevice.PortAudioError as error:
        raise DeviceError(f"no usable sound device: {error} (python -m sounddevice lists them)") from error


async def _hear(session: Session, sounddevice: Any) -> None:
    async for block in _blocks(sounddevice):
        await session.append(block)


async def _blocks(sounddevice: Any) -> AsyncIterator[bytes]:
    loop = asyncio.get_running_loop()
    blocks: asyncio.Queue[bytes] = asyncio.Queue()

    def put(data: bytes) -> None:
        if blocks.qsize() >= _WAITING_BLOCKS:
            blocks.get_nowait()
        blocks.put_nowait(data)

    def heard(data: Any, *_: object) -> None:
        loop.call_soon_threadsafe(put, bytes(data))

    given = {"samplerate": MICROPHONE.rate, "channels": 1, "dtype": "int16", "blocksize": BLOCK}
    with sounddevice.RawInputStream(callback=heard, **given):
        while True:
            yield await blocks.get()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the command."""
    add_face(parser)
    add_server(parser)


def run(args: argparse.Namespace) -> int:
    """Talks until Ctrl-C. Raises ``ClientError``."""
    sounddevice = devices()
    given = face(args)

    async def session() -> None:
        async with connect(args.url, args.api_key, speech=MICROPHONE, audio=True, **given) as session:
            print(f"{session.disclosure}\nSpeak; watch it at {session.info.watch_url} (Ctrl-C to stop)", flush=True)
            await talk(session, sounddevice)

    with suppress(KeyboardInterrupt):
        asyncio.run(session())
    return 0
