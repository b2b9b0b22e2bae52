"""Opens the devices and files of one call on this machine, and holds it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from mytalk.appearance.backdrop import source_before
from mytalk.errors import InputError
from mytalk.media.face_source import FaceSource, open_face
from mytalk.picture import Picture
from streamer.clock import SystemClock
from streamer.cpu import Threads
from streamer.devices.call import DeviceCall
from streamer.devices.inbound import Inbound
from streamer.devices.sound_devices import Loudspeaker, Microphone
from streamer.devices.virtual_camera import VirtualCamera
from streamer.engine.engine import Engine
from streamer.engine.interfaces import Models
from streamer.executors import Executors
from streamer.media.audio import Stereo
from streamer.media.looped_speech import LoopedSpeech
from streamer.media.sink import Sink
from streamer.session.options import SessionOptions

NOWHERE = "none"
"""Name of the loudspeaker that plays nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceNames:
    """Names the devices and files of a call; None: the system's own device.

    ``face``: portrait or clip, before ``background``; None where ``webcam`` is the face: a device, or the URL of a
    stream. ``voice``: a file that is said over and over, or the URL of a stream; None: the microphone's.
    ``watermark``: whether pictures are marked.
    """

    face: Path | None = None
    background: str = "own"
    webcam: str | None = None
    voice: str | None = None
    microphone: str | None = None
    camera: str | None = None
    loudspeaker: str | None = None
    watermark: bool = True


class CallDevices:
    """Holds what is open of a call, from the beginning of a ``with`` block to its end. Raises ``InputError``.

    To be made in a running event loop.
    """

    def __init__(self, names: DeviceNames) -> None:
        self._names = names
        self._opened = ExitStack()
        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[str] = self._loop.create_future()
        self._call: DeviceCall | None = None
        self._face: FaceSource | None = None
        self._voice: LoopedSpeech | None = None
        self._inbound: list[Inbound] = []
        self._sinks: list[Sink] = []

    def __enter__(self) -> Self:
        try:
            size = self._open_face()
            self._open_voice()
            self.camera = VirtualCamera(*size, device=self._names.camera, failed=self._end)
            self._opened.callback(self.camera.close)
            self._sinks.append(self.camera)
            if self._names.loudspeaker != NOWHERE:
                loudspeaker = Loudspeaker(self._names.loudspeaker)
                self._opened.callback(loudspeaker.close)
                self._sinks.append(loudspeaker)
        except BaseException:
            self._opened.close()
            raise
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._opened.close()

    async def hold(self, options: SessionOptions, load: Callable[[], Models], threads: Threads) -> None:
        """Loads the models and shows until it is cancelled. Raises ``InputError`` where a device or stream ends."""
        clock, executors = SystemClock(), Executors()
        engine = Engine(load, clock, threads)
        try:
            await engine.start()
            call = self._call = DeviceCall(
                engine,
                executors,
                clock,
                options,
                self._sinks,
                face=self._face,
                voice=self._voice,
                watermark=self._names.watermark,
            )
            self._begin()
            print(f"Showing in {self.camera.name}: choose it as your camera (Ctrl-C to stop)", flush=True)
            running = asyncio.create_task(call.run())
            try:
                waiting: list[asyncio.Future[Any]] = [running, self._ended]
                await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                if self._ended.done():
                    raise InputError(self._ended.result())
                running.result()
            finally:
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)
        finally:
            await engine.close()
            executors.close()

    # --- opening

    def _open_face(self) -> tuple[int, int]:
        """Returns the size of its pictures."""
        names = self._names
        if names.webcam is not None:
            webcam = Inbound(names.webcam, "pictures", pictures=self._on_picture, ended=self._end)
            self._keep(webcam)
            return webcam.size
        assert names.face is not None
        self._face = source_before(open_face(names.face), names.background)
        return self._face.info.width, self._face.info.height

    def _open_voice(self) -> None:
        voice = self._names.voice
        if voice is not None and "://" in voice:
            self._keep(Inbound(voice, "sound", sound=self._on_sound, ended=self._end))
        elif voice is not None:
            self._voice = LoopedSpeech.read(Path(voice))

    def _keep(self, inbound: Inbound) -> None:
        self._inbound.append(inbound)
        self._opened.callback(inbound.close)

    def _begin(self) -> None:
        for inbound in self._inbound:
            inbound.start()
        if self._names.voice is None:
            self._opened.callback(Microphone(self._on_sound, self._names.microphone).close)

    # --- on the devices' threads

    def _on_picture(self, picture: Picture, pts: int, time_base: Fraction) -> None:
        if self._call is not None:
            self._call.picture(picture, pts, time_base)

    def _on_sound(self, samples: Stereo) -> None:
        if self._call is not None:
            self._call.sound(samples)

    def _end(self, reason: str) -> None:
        self._loop.call_soon_threadsafe(self._end_with, reason)

    def _end_with(self, reason: str) -> None:
        if not self._ended.done():
            self._ended.set_result(reason)
