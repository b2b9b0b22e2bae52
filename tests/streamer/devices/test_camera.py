"""A call on this machine's devices shows a dubbed face in a virtual camera, and says what ends it.

No kernel module can be loaded here, so the library's own interface of backends takes the pictures.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pyvirtualcam import camera as backends

from mytalk.errors import InputError, UnreadableError
from mytalk.picture import Picture, VideoFrame
from streamer.cli import main
from streamer.cpu import ONE_EACH
from streamer.devices import call_devices
from streamer.devices.call_devices import NOWHERE, CallDevices, DeviceNames
from streamer.devices.inbound import Inbound
from streamer.devices.sound_devices import BYTES_PER_SECOND, LEAST_WAITING, MOST_WAITING, WaitingSound
from streamer.devices.virtual_camera import VirtualCamera, i420
from streamer.session.options import SessionOptions
from tests.streamer.support.fake_models import FakeModels
from tests.streamer.support.ports import free_port
from tests.streamer.support.waiting import eventually
from tests.support.limits import LIMIT_S

PORTRAIT = Path(call_devices.__file__).parents[2] / "mytalk" / "assets" / "astronaut.png"


class Backend:
    """Keeps what is sent, as a driver of the library's would send it on."""

    frames: list[np.ndarray[Any, Any]]
    shape: tuple[int, int]
    refuses = False
    fails = False

    def __init__(self, *, width: int, height: int, fps: float, fourcc: int, device: str | None) -> None:
        if Backend.refuses:
            raise RuntimeError("No device")
        Backend.frames, Backend.shape = [], (width, height)
        self._device = device or "a camera"
        self.closed = False

    def send(self, frame: np.ndarray[Any, Any]) -> None:
        if Backend.fails:
            raise RuntimeError("unplugged")
        Backend.frames.append(frame.copy())

    def close(self) -> None:
        self.closed = True

    def device(self) -> str:
        return self._device

    def native_fourcc(self) -> None:
        return None


@pytest.fixture(autouse=True)
def backend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backends, "BACKENDS", {"kept": Backend})
    Backend.refuses = Backend.fails = False


async def hold(names: DeviceNames, options: SessionOptions) -> None:
    with CallDevices(names) as devices:
        await devices.hold(options, FakeModels, ONE_EACH)


def dubbed() -> bool:
    """Whether a picture has arrived whose mouth the models made: a white box."""
    width, height = Backend.shape
    for frame in list(getattr(Backend, "frames", ())):
        luma = frame[: width * height].reshape(height, width)
        if (luma[32:96, 32:96] > 230).all():
            return True
    return False


async def test_a_portrait_speaks_in_a_virtual_camera(config: Any, capsys: pytest.CaptureFixture[str]) -> None:
    names = DeviceNames(face=config.portrait_path, voice=str(config.demo_speech_path), loudspeaker=NOWHERE)
    task = asyncio.create_task(hold(names, SessionOptions(source="portrait")))
    try:
        await eventually(lambda: task.done() or (hasattr(Backend, "frames") and dubbed()))
        assert not task.done()
        assert Backend.shape == (256, 256)
        assert Backend.frames[0].size == 256 * 256 * 3 // 2
        assert "a camera" in capsys.readouterr().out
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert not [thread for thread in threading.enumerate() if thread.name == "virtual camera"]


async def test_a_portrait_s_person_is_shown_before_green(config: Any, portrait: Picture, tmp_path: Path) -> None:
    face = tmp_path / "me.png"
    await asyncio.to_thread(Image.fromarray(portrait.rgb()).save, face)
    names = DeviceNames(face=face, background="green", voice=str(config.demo_speech_path), loudspeaker=NOWHERE)
    task = asyncio.create_task(hold(names, SessionOptions(source="portrait")))
    try:
        shown = lambda: getattr(Backend, "shape", None) == (512, 512) and len(Backend.frames) > 5  # noqa: E731
        await eventually(lambda: task.done() or shown())
        assert not task.done()
        y, u, v = Backend.frames[-1][511], Backend.frames[-1][512 * 512 + 255], Backend.frames[-1][512 * 640 + 255]
        assert (int(y), int(u), int(v)) == (145, 54, 34)  # of ITU-R BT.601
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def test_a_webcam_keeps_its_background(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["camera", "--webcam", "/dev/video0", "--background", "green"]) != 0
    assert "--background is for a portrait" in capsys.readouterr().err


async def test_a_camera_that_fails_ends_the_call_with_a_word(config: Any) -> None:
    Backend.fails = True
    names = DeviceNames(face=config.portrait_path, voice=str(config.demo_speech_path), loudspeaker=NOWHERE)
    with pytest.raises(InputError, match="a camera failed: unplugged"):
        await asyncio.wait_for(hold(names, SessionOptions(source="portrait")), LIMIT_S)


async def test_without_a_device_one_line_says_what_to_install() -> None:
    Backend.refuses = True
    with pytest.raises(InputError, match=r"no virtual camera: 'kept' backend: No device \(.*"):
        await hold(DeviceNames(face=PORTRAIT, loudspeaker=NOWHERE), SessionOptions(source="portrait"))


async def test_a_voice_that_is_no_file_is_refused_before_a_device_is_opened() -> None:
    Backend.refuses = True
    with pytest.raises(UnreadableError, match=r"nowhere\.wav"):
        await hold(DeviceNames(face=PORTRAIT, voice="nowhere.wav"), SessionOptions(source="portrait"))


async def test_a_webcam_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="need a webcam, or the URL of a stream"):
        await hold(DeviceNames(webcam=str(tmp_path / "video9")), SessionOptions())


def test_pictures_and_sound_of_a_stream_arrive_and_its_end_is_told() -> None:
    """Through a server of HTTP as a network camera has one; ffmpeg makes what it sends."""
    command = "ffmpeg -v error -re -f lavfi -i testsrc=size=64x48:rate=25 -f lavfi -i sine=440 -t 1 -f mpegts -listen 1"
    for kind in ("pictures", "sound"):
        url = f"http://127.0.0.1:{free_port()}/stream.ts"
        with subprocess.Popen([*command.split(), url]) as sender:
            pictures: list[tuple[Picture, int, Fraction]] = []
            sounds: list[np.ndarray[Any, Any]] = []
            over = threading.Event()
            inbound = _opened(
                url,
                kind,
                pictures=lambda *given, kept=pictures: kept.append(given),
                sound=sounds.append,
                ended=lambda _, over=over: over.set(),
            )
            inbound.start()
            assert over.wait(LIMIT_S)
            inbound.close()
            sender.wait(LIMIT_S)
        if kind == "pictures":
            assert (pictures[0][0].width, pictures[0][0].height) == inbound.size == (64, 48)
            assert not sounds
        else:
            assert (
                0 < sum(len(part) for part in sounds) < 56_000
            )  # what is looked through to find the tracks is left out
            assert sounds[0].shape[1] == 2


def _opened(url: str, kind: Any, **given: Any) -> Inbound:
    """Opens a stream as soon as its server listens."""
    for _ in range(1000):
        try:
            return Inbound(url, kind, **given)
        except InputError as error:
            if "refused" not in str(error):
                raise
            threading.Event().wait(0.05)
    raise AssertionError("nothing listens")


def test_a_picture_of_another_size_is_fitted_between_bars() -> None:
    white = Picture(
        np.full((40, 80), 235, np.uint8), np.full((20, 40), 128, np.uint8), np.full((20, 40), 128, np.uint8)
    )
    planes = i420(white, (64, 64))
    luma = planes[: 64 * 64].reshape(64, 64)
    assert planes.size == 64 * 64 * 3 // 2
    assert (luma[:16] == 16).all()
    assert (luma[16:48] == 235).all()
    assert (luma[48:] == 16).all()


def test_the_newest_picture_is_shown_and_older_ones_are_left_out() -> None:
    may_send, sending = threading.Event(), threading.Event()

    class Slow(Backend):
        def send(self, frame: np.ndarray[Any, Any]) -> None:
            sending.set()
            may_send.wait(LIMIT_S)
            super().send(frame)

    backends.BACKENDS["kept"] = Slow
    camera = VirtualCamera(2, 2)
    plane = np.zeros((1, 1), np.uint8)
    for number in range(5):
        picture = Picture(np.full((2, 2), number, np.uint8), plane, plane)
        camera.picture(VideoFrame(picture, number, number, Fraction(1, 25)))
        assert sending.wait(LIMIT_S)
    may_send.set()
    for _ in range(10_000):
        if len(Backend.frames) == 2:
            break
        threading.Event().wait(0.01)
    camera.close()
    assert [int(frame[0]) for frame in Backend.frames] == [0, 4]


def test_waiting_sound_begins_late_never_grows_and_ends_in_silence() -> None:
    waiting = WaitingSound()
    out = bytearray(b"x" * 400)
    waiting.push(np.ones((100, 2), np.int16))
    waiting.fill(out)
    assert out == bytes(400)  # too little to begin with
    waiting.push(np.ones((LEAST_WAITING // 4, 2), np.int16))
    waiting.fill(out)
    assert out == np.ones(200, np.int16).tobytes()
    waiting.push(np.full((BYTES_PER_SECOND // 4, 2), 2, np.int16))
    whole = bytearray(MOST_WAITING + 400)
    waiting.fill(whole[:MOST_WAITING])
    waiting.clear()
    waiting.fill(out)
    assert out == bytes(400)


@pytest.mark.skipif(sys.platform != "linux", reason="the hint is the system's own")
def test_the_hint_names_the_kernel_module(monkeypatch: pytest.MonkeyPatch) -> None:
    Backend.refuses = True
    with pytest.raises(InputError, match="v4l2loopback"):
        VirtualCamera(2, 2)
