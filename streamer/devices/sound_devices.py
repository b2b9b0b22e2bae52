"""Reads this machine's microphone, and plays to its loudspeakers or to a virtual cable that other programs hear."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from mytalk.errors import InputError
from mytalk.picture import VideoFrame
from streamer.media.audio import CHUNK, OUTPUT_RATE, SpeechChunk, Stereo
from streamer.protocol.generation import Cleared

BYTES_PER_SECOND = OUTPUT_RATE * 4
LEAST_WAITING = BYTES_PER_SECOND * 40 // 1000
"""Bytes (40 ms) that are collected before sound begins, or begins again: the loop gives 20 ms at a time."""
MOST_WAITING = BYTES_PER_SECOND * 3 // 10
"""Bytes (300 ms). Full: the oldest is left out, so that sound never comes later and later behind the picture."""


def sounddevice() -> Any:
    """Returns the module. Raises ``InputError`` that says what to install."""
    try:
        import sounddevice as module
    except ModuleNotFoundError as error:
        raise InputError("sounddevice is missing (pip install 'mytalk-streamer[camera]')") from error
    except OSError as error:
        needed = "Debian: apt install libportaudio2; macOS: brew install portaudio"
        raise InputError(f"PortAudio is missing: {error} ({needed})") from error
    return module


class WaitingSound:
    """Holds sound between the event loop, which pushes, and the device's thread, which fills its buffers."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._playing = False
        self._lock = threading.Lock()

    def push(self, samples: Stereo) -> None:
        """Appends ``(n, 2)``."""
        with self._lock:
            self._bytes += samples.tobytes()
            if len(self._bytes) > MOST_WAITING:
                del self._bytes[: len(self._bytes) - MOST_WAITING]

    def clear(self) -> None:
        """Drops what waits."""
        with self._lock:
            self._bytes.clear()

    def fill(self, out: Any, *_: object) -> None:
        """Fills ``out``, a buffer of bytes, as sounddevice calls it; with silence where too little waits."""
        size = len(out)
        with self._lock:
            self._playing = len(self._bytes) >= (size if self._playing else max(size, LEAST_WAITING))
            taken = bytes(self._bytes[:size]) if self._playing else b""
            del self._bytes[: len(taken)]
        out[:] = taken + bytes(size - len(taken))


class Loudspeaker:
    """Is a sink of sound. ``device``: part of its name, or its number; None: the system's. Raises ``InputError``."""

    def __init__(self, device: str | None = None) -> None:
        module = sounddevice()
        self._waiting = WaitingSound()
        given = {"samplerate": OUTPUT_RATE, "channels": 2, "dtype": "int16", "latency": "low"}
        try:
            self._stream = module.RawOutputStream(device=_named(device), callback=self._waiting.fill, **given)
            self._stream.start()
        except (module.PortAudioError, ValueError) as error:
            raise InputError(f"no loudspeaker: {error} (python -m sounddevice lists what there is)") from error

    def sound(self, chunk: SpeechChunk) -> None:
        """Plays the next 20 ms."""
        self._waiting.push(chunk.samples)

    def picture(self, frame: VideoFrame) -> None:
        """Leaves pictures to the camera."""

    def clear(self, cleared: Cleared) -> None:
        """Silences what waits."""
        self._waiting.clear()

    def close(self) -> None:
        """Gives the device back."""
        self._stream.close()


class Microphone:
    """Gives 20 ms of a microphone at a time to ``heard``, on PortAudio's thread. Raises ``InputError``."""

    def __init__(self, heard: Callable[[Stereo], None], device: str | None = None) -> None:
        module = sounddevice()
        self._heard = heard
        given = {"samplerate": OUTPUT_RATE, "channels": 1, "dtype": "int16", "blocksize": CHUNK, "latency": "low"}
        try:
            self._stream = module.RawInputStream(device=_named(device), callback=self._take, **given)
            self._stream.start()
        except (module.PortAudioError, ValueError) as error:
            raise InputError(f"no microphone: {error} (python -m sounddevice lists what there is)") from error

    def close(self) -> None:
        """Gives the device back."""
        self._stream.close()

    def _take(self, data: Any, *_: object) -> None:
        mono = np.frombuffer(bytes(data), np.int16)
        self._heard(np.repeat(mono[:, None], 2, axis=1))


def _named(device: str | None) -> str | int | None:
    return int(device) if device is not None and device.isdecimal() else device
