from __future__ import annotations

import os
import wave
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from mytalk.errors import NoSpeechError, UnreadableError
from mytalk.media import SpeechReader
from tests.support.films import numbered, speech_like, write_film, write_sound


def _whole(blocks: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    return np.concatenate(blocks, axis=-1)


@pytest.mark.parametrize(
    ("rate", "layout"),
    [(8000, "mono"), (44100, "stereo"), (48000, "5.1"), (22050, "mono"), (96000, "7.1"), (11025, "2.1")],
)
def test_samples_come_out_as_they_are_and_at_16_khz(tmp_path: Path, rate: int, layout: str) -> None:
    channels = av.AudioLayout(layout).nb_channels
    given = speech_like(2.01, rate, channels)
    reader = SpeechReader(write_sound(tmp_path / "voice.wav", given, rate, layout=layout))
    blocks = _whole(list(reader.blocks()))
    assert (reader.rate, reader.channels, reader.layout) == (rate, channels, layout)
    assert blocks.shape == given.shape
    np.testing.assert_allclose(blocks, given, atol=1 / 32768)
    model = _whole(list(reader.samples()))
    assert abs(len(model) - given.shape[1] * 16000 / rate) <= 1
    assert model.dtype == np.float32


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000])
def test_a_click_keeps_its_place_at_16_khz(tmp_path: Path, rate: int) -> None:
    given = np.zeros((1, 2 * rate), np.float32)
    given[0, rate] = 0.9
    reader = SpeechReader(write_sound(tmp_path / "click.wav", given, rate, layout="mono"))
    assert abs(int(np.argmax(np.abs(_whole(list(reader.samples()))))) - 16000) <= 1


def test_equal_channels_are_as_loud_as_one(tmp_path: Path) -> None:
    voice = speech_like(1, 16000)
    reader = SpeechReader(write_sound(tmp_path / "two.wav", np.repeat(voice, 2, axis=0), 16000, layout="stereo"))
    np.testing.assert_allclose(_whole(list(reader.samples())), voice[0], atol=1e-3)


@pytest.mark.parametrize(
    ("ending", "codec"), [("flac", "flac"), ("mp3", "libmp3lame"), ("ogg", "libopus"), ("m4a", "aac"), ("mka", "ac3")]
)
def test_any_codec_gives_the_same_speech(tmp_path: Path, ending: str, codec: str) -> None:
    given = speech_like(2, 48000)
    path = write_sound(tmp_path / f"voice.{ending}", given, 48000, layout="mono", codec=codec)
    heard = _whole(list(SpeechReader(path).blocks()))[0]
    assert abs(len(heard) - given.shape[1]) < 3000  # a lossy codec pads its last frame
    length = min(len(heard), given.shape[1])
    assert np.corrcoef(heard[:length], given[0, :length])[0, 1] > 0.95


def test_sound_that_names_no_channels_is_read(tmp_path: Path) -> None:
    with wave.open(str(tmp_path / "ten.wav"), "wb") as file:
        file.setnchannels(10)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(np.full((8000, 10), 8192, "<i2").tobytes())
    reader = SpeechReader(tmp_path / "ten.wav")
    np.testing.assert_allclose(_whole(list(reader.blocks())), np.full((1, 8000), 0.25), atol=1e-4)
    assert "10 channels" in reader.warnings[0]


def test_a_pause_that_the_file_leaves_out_is_silence(tmp_path: Path) -> None:
    path, rate = tmp_path / "gap.mkv", 16000
    voice = speech_like(1, rate)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=rate, layout="mono")
        for start, pts in ((0, 0), (8000, 8000 + 24000)):
            frame = av.AudioFrame.from_ndarray(voice[:, start : start + 8000], "flt", "mono")
            frame.sample_rate, frame.pts, frame.time_base = rate, pts, Fraction(1, rate)
            for packet in stream.encode(frame):
                packet.pts = packet.dts = pts
                container.mux(packet)
    heard = _whole(list(SpeechReader(path).blocks()))[0]
    assert len(heard) == 40_000
    assert np.abs(heard[8000:32000]).max() == 0
    np.testing.assert_allclose(heard[32000:], voice[0, 8000:], atol=1e-3)


def test_a_film_can_be_the_speech(tmp_path: Path) -> None:
    path = tmp_path / "film.mkv"
    voice = speech_like(1, 24000)
    with av.open(str(path), "w") as container:
        pictures = container.add_stream("libx264", rate=25)
        pictures.width, pictures.height = 160, 120
        sound = container.add_stream("flac", rate=24000, layout="mono")
        frame = av.VideoFrame.from_ndarray(numbered(0), format="yuv420p")
        frame.pts = 0
        container.mux(pictures.encode(frame))
        container.mux(pictures.encode(None))
        block = av.AudioFrame.from_ndarray(voice, "flt", "mono")
        block.sample_rate, block.pts = 24000, 0
        container.mux(sound.encode(block))
        container.mux(sound.encode(None))
    assert _whole(list(SpeechReader(path).blocks())).shape == (1, 24000)


def test_a_cut_off_sound_file_is_used_as_far_as_it_goes(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "voice.flac", speech_like(3, 16000), 16000, layout="mono", codec="flac")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    reader = SpeechReader(path)
    assert 8000 < _whole(list(reader.blocks())).shape[1] < 40000
    assert "damaged" in reader.warnings[0] or "ends after" in reader.warnings[0]


def test_samples_that_are_no_number_become_silence(tmp_path: Path) -> None:
    given = np.zeros((1, 4096), np.float32)
    given[0, 100] = np.nan
    path = write_sound(tmp_path / "nan.wav", given, 16000, layout="mono", codec="pcm_f32le")
    reader = SpeechReader(path)
    assert np.isfinite(_whole(list(reader.blocks()))).all()
    assert "no number" in reader.warnings[0]


def test_no_speech_is_reported_in_one_line(tmp_path: Path) -> None:
    silent_film = write_film(tmp_path / "film.mp4", map(numbered, range(3)))
    with pytest.raises(NoSpeechError, match="no audio in it"):
        SpeechReader(silent_film)
    with wave.open(str(tmp_path / "empty.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
    with pytest.raises(NoSpeechError, match="is empty"):
        SpeechReader(tmp_path / "empty.wav")
    with pytest.raises(UnreadableError, match="no such file"):
        SpeechReader(tmp_path / "nothing.wav")
    (tmp_path / "notes.wav").write_bytes(b"dear diary\n" * 50)
    with pytest.raises(UnreadableError, match="not a picture, video or sound"):
        SpeechReader(tmp_path / "notes.wav")


@pytest.mark.parametrize("rate", [16000, 44100])
def test_channels_that_cancel_are_heard(tmp_path: Path, rate: int) -> None:
    voice = speech_like(1.0, rate)
    path = write_sound(tmp_path / "anti.wav", np.concatenate([voice, -voice]), rate, layout="stereo")
    reader = SpeechReader(path)
    heard = _whole(list(reader.samples()))
    expected = speech_like(1.0, 16000)[0]
    assert abs(np.corrcoef(heard[:15900], expected[:15900])[0, 1]) > 0.99
    assert [warning for warning in reader.warnings if "cancel each other" in warning]


def test_a_quiet_side_does_not_count_as_cancelled(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, (2, 16000)).astype(np.float32)
    reader = SpeechReader(write_sound(tmp_path / "two.wav", noise, 16000, layout="stereo"))
    np.testing.assert_allclose(_whole(list(reader.samples())), noise.mean(axis=0), atol=1e-3)
    assert reader.warnings == []


def test_a_pipe_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.wav")
    for path in (tmp_path / "pipe.wav", Path("/dev/null")):
        with pytest.raises(UnreadableError, match=r"is a pipe or device.*save it first"):
            SpeechReader(path)
