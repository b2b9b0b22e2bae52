"""The client from a shell, its examples, and the microphone with a sound device of our own making."""

from __future__ import annotations

import asyncio
import importlib
import sys
import threading
import wave
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import av
import numpy as np
import pytest
from lines import Line
from mytalk_client.__main__ import main
from mytalk_client.errors import ClientError, DeviceError
from mytalk_client.microphone import Speaker, devices
from mytalk_client.speaking import read_wav

from streamer import cli
from streamer.http.server import Running
from tests.streamer.support.sounds import babble
from tests.streamer.support.waiting import LIMIT_S, eventually

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


@pytest.fixture
def wav(tmp_path: Path) -> Path:
    path = tmp_path / "speech.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(48_000)
        file.writeframes(babble(1.5, seed=5).tobytes())
    return path


async def run(work: Callable[..., Any], *given: Any) -> Any:
    """On a thread, as a program of its own."""
    return await asyncio.wait_for(asyncio.to_thread(work, *given), 120)


async def test_a_wav_and_the_servers_face_become_a_film(url: str, wav: Path, tmp_path: Path) -> None:
    out = tmp_path / "talk.mp4"
    assert await run(main, ["say", str(wav), "-o", str(out), "--url", url]) == 0
    with av.open(out) as film:
        pictures = sum(1 for _ in film.decode(video=0))
    with av.open(out) as film:
        sound = np.concatenate([frame.to_ndarray()[0] for frame in film.decode(audio=0)])
    assert pictures > 20
    loud = np.flatnonzero(np.abs(sound) > 0.05)
    assert 1.2 * 48_000 < loud[-1] - loud[0] < 1.8 * 48_000


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["say", "nothing.wav", "-o", "x.mp4"], "no WAV file"),
        (["say", "SPEECH", "-o", "x.mp4", "--url", "http://127.0.0.1:9"], "127.0.0.1:9"),
        (["say", "SPEECH", "-o", "x.mp4", "--portrait", "nobody.png"], "nobody.png"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    arguments: list[str], words: str, wav: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(wav) if word == "SPEECH" else word for word in arguments]) == 1
    errors = capsys.readouterr().err
    assert errors.startswith("mytalk-client: error: ")
    assert words in errors
    assert errors.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "words"),
    [("nodir/x.mp4", "No such file or directory"), ("taken.mp4", "--force"), (".", "no ordinary file")],
)
async def test_where_no_film_can_be_written_no_session_is_made(
    name: str, words: str, url: str, server: Running, wav: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "taken.mp4").write_bytes(b"precious")
    assert await run(main, ["say", str(wav), "-o", str(tmp_path / name), "--url", url]) == 1
    assert words in capsys.readouterr().err
    assert (tmp_path / "taken.mp4").read_bytes() == b"precious"
    assert not server.sessions.ended
    assert not server.sessions.all()


async def test_a_film_is_replaced_when_it_is_whole(
    url: str, server: Running, wav: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with wave.open(str(wav), "rb") as file:
        parameters, frames = file.getparams(), file.readframes(file.getnframes())
    with wave.open(str(wav), "wb") as file:  # it is ended within
        file.setparams(parameters)
        file.writeframes(60 * frames)
    out, link = tmp_path / "talk.mp4", tmp_path / "link.mp4"
    out.write_bytes(b"precious")
    link.symlink_to(out)
    saying = asyncio.create_task(run(main, ["say", str(wav), "-o", str(link), "--url", url, "--force"]))
    await eventually(lambda: any(one.stat().st_size > 0 for one in tmp_path.glob(".*.part")))
    assert out.read_bytes() == b"precious"
    await server.sessions.close()
    assert await saying == 1
    assert "mytalk-client: error: " in capsys.readouterr().err
    assert not list(tmp_path.glob(".*"))  # noqa: ASYNC240
    assert out.read_bytes() == b"precious"


def test_a_wav_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "speech.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(1)
        file.setframerate(8_000)
        file.writeframes(bytes(100))
    with pytest.raises(ClientError, match="8 bits"):
        read_wav(path)


async def test_the_examples_run(url: str, wav: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    streaming = importlib.import_module("streaming_tts")
    await asyncio.wait_for(streaming.main(url), LIMIT_S)
    pictures = importlib.import_module("pictures")
    await run(pictures.main, wav, tmp_path / "pictures", url)
    assert len(list((tmp_path / "pictures").glob("*.jpg"))) >= 2
    assert {path.name for path in EXAMPLES.glob("*.py")} == {"streaming_tts.py", "pictures.py"}


# --- the microphone


class Device(ModuleType):
    """sounddevice, with a microphone that hums and a loudspeaker that remembers."""

    class PortAudioError(Exception):
        pass

    def __init__(self) -> None:
        super().__init__("sounddevice")
        self.played = bytearray()
        self.open = 0

    def RawInputStream(self, callback: Any, samplerate: int, blocksize: int, **_: Any) -> Any:
        hum = (8_000 * np.sin(2 * np.pi * 300 * np.arange(blocksize) / samplerate)).astype(np.int16).tobytes()
        return _Running(self, blocksize / samplerate, lambda: callback(hum, blocksize, None, None))

    def RawOutputStream(self, callback: Any, samplerate: int, **_: Any) -> Any:
        def ask() -> None:
            out = bytearray(samplerate // 50 * 4)
            callback(out, len(out) // 4, None, None)
            self.played += out

        return _Running(self, 0.02, ask)


class _Running:
    def __init__(self, device: Device, period: float, work: Callable[[], None]) -> None:
        self._device, self._period, self._work = device, period, work
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._stopped.wait(self._period):
            self._work()

    def __enter__(self) -> None:
        self._device.open += 1
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()
        self._device.open -= 1


async def test_what_the_microphone_hears_comes_out_of_the_loudspeaker(
    url: str, server: Running, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = Device()
    monkeypatch.setitem(sys.modules, "sounddevice", device)
    talking = asyncio.create_task(run(main, ["mic", "--url", url]))
    await eventually(lambda: bool(np.abs(np.frombuffer(bytes(device.played), "<i2")).max(initial=0) > 4_000))
    await server.sessions.close()  # the server stops, and the program with it
    assert await talking == 0
    assert device.open == 0


@pytest.mark.parametrize(
    ("problem", "words"),
    [(OSError("PortAudio library not found"), "apt install libportaudio2"), (ModuleNotFoundError("no"), "pip install")],
)
def test_without_portaudio_it_says_what_to_install(
    problem: Exception, words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Finder:
        def find_spec(self, name: str, *_: object) -> None:
            if name == "sounddevice":
                raise problem

    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Finder(), *sys.meta_path])
    with pytest.raises(DeviceError, match=words):
        devices()
    assert main(["mic"]) == 1
    assert cli.main(["mic"]) == 2
    assert capsys.readouterr().err.count(words) == 2


def test_a_loudspeaker_waits_for_a_little_sound_and_never_falls_far_behind() -> None:
    speaker, out = Speaker(), bytearray(3840)
    speaker.push(b"\1" * 3840)
    speaker.fill(out)
    assert not any(out)
    speaker.push(b"\1" * 48_000 * 40)
    speaker.fill(out)
    assert all(out)
    assert len(speaker._waiting) == 48_000 * 4 - 3840
