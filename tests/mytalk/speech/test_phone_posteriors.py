"""Phones as an acoustic model hears them: those that PocketSphinx itself hears, whole and in chunks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pocketsphinx
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch.testing import assert_close

import mytalk
from mytalk.errors import DataError
from mytalk.media.speech import SpeechReader
from mytalk.speech.frozen_weights import PHONES_FILE
from mytalk.speech.phone_posteriors import PHONES, STATES, PhonePosteriors
from mytalk.training.speech.acoustic_model import packaged_model, read_model

SECONDS = 4
SILENCE = 32  # in Sphinx's order of phones


@pytest.fixture(scope="module")
def speech() -> torch.Tensor:
    reader = SpeechReader(Path(mytalk.__file__).parent / "assets" / "demo_speech.flac")
    return torch.from_numpy(np.concatenate(list(reader.samples())))[None, : SECONDS * 16_000]


@pytest.fixture(scope="module")
def posteriors() -> PhonePosteriors:
    return PhonePosteriors()


def senone_scores(speech: torch.Tensor, folder: Path) -> NDArray[np.float32]:
    """Log likelihoods ``(N, 126)`` of the states without context, as the library logs them; the best of a row is 0."""
    model = pocketsphinx.get_model_path()
    decoder = pocketsphinx.Decoder(
        hmm=f"{model}/en-us/en-us",
        allphone=f"{model}/en-us/en-us-phone.lm.bin",
        compallsen=True,
        senlogdir=str(folder),
        loglevel="FATAL",
    )
    decoder.start_utt()
    decoder.process_raw((speech[0] * 32767).short().numpy().tobytes(), full_utt=True)
    decoder.end_utt()
    (path,) = folder.glob("*.sen")
    data = path.read_bytes()
    start = data.index(b"endhdr\n") + len(b"endhdr\n") + 4
    senones = int(data.split(b"n_sen ")[1].split()[0])
    rows = np.frombuffer(data, "<i2", offset=start).reshape(-1, senones + 1)[:, 1 : PHONES * STATES + 1]
    return -1024 * np.log(1.0001).astype(np.float32) * rows


def test_the_states_are_as_likely_as_pocketsphinx_finds_them(
    posteriors: PhonePosteriors, speech: torch.Tensor, tmp_path: Path
) -> None:
    wanted = senone_scores(speech, tmp_path)
    with torch.inference_mode():
        ours = posteriors.likelihoods(posteriors.cepstra(speech, posteriors.start()))[0].numpy()
    ours = ours[5:]  # a row leaves 30 ms late, and Sphinx's first window begins with the sound: ours ends 10 ms in
    ours, wanted = ours[100 : len(wanted)], wanted[100 : len(ours)]  # the running mean has settled by then
    ours = ours - ours.max(axis=1, keepdims=True)
    assert np.corrcoef(ours.ravel(), wanted.ravel())[0, 1] > 0.8
    other = np.roll(ours, 10, axis=0)
    assert np.corrcoef(other.ravel(), wanted.ravel())[0, 1] < 0.6


@pytest.mark.parametrize("frames", [1, 3, 7, 40])
def test_a_stream_hears_what_a_recording_does(posteriors: PhonePosteriors, speech: torch.Tensor, frames: int) -> None:
    with torch.inference_mode():
        whole, state = posteriors.offline(speech), posteriors.start()
        parts = [posteriors.stream(chunk, state) for chunk in speech.split(640 * frames, dim=1)]
    assert whole.shape == (1, 4 * 25 * SECONDS, PHONES)
    assert_close(torch.cat(parts, dim=1), whole, rtol=0, atol=1e-3)


def test_nothing_of_the_future_is_heard(posteriors: PhonePosteriors, speech: torch.Tensor) -> None:
    cut = speech.clone()
    cut[:, 32_000:] = 0
    with torch.inference_mode():
        assert_close(posteriors.offline(cut)[:, :200], posteriors.offline(speech)[:, :200], rtol=0, atol=1e-5)


def test_two_sessions_do_not_hear_each_other(posteriors: PhonePosteriors, speech: torch.Tensor) -> None:
    both = torch.cat([speech, 0.1 * speech.flip(-1)])
    with torch.inference_mode():
        assert_close(posteriors.offline(both)[:1], posteriors.offline(speech), rtol=0, atol=1e-3)


@pytest.mark.parametrize("level", [0.0, 1e-4, 1.0, 30.0])
def test_any_level_gives_numbers(posteriors: PhonePosteriors, level: float) -> None:
    noise = level * torch.randn(1, 32_000, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        heard = posteriors.offline(noise)
    assert heard.isfinite().all()
    assert heard.abs().max() <= 1


def test_a_pause_is_heard_as_silence(posteriors: PhonePosteriors, speech: torch.Tensor) -> None:
    hiss = 3e-4 * torch.randn(1, 16_000, generator=torch.Generator().manual_seed(1))
    paused = torch.cat([speech, hiss], dim=1)
    with torch.inference_mode():
        heard = posteriors.offline(paused)[0].argmax(-1)
    assert (heard[-60:] == SILENCE).float().mean() > 0.8
    assert (heard[: 4 * 25 * SECONDS] != SILENCE).float().mean() > 0.5


def test_the_file_in_the_package_is_what_the_script_makes() -> None:
    stored = load_file(Path(mytalk.__file__).parent / "weights" / "phones" / PHONES_FILE)
    made = read_model(packaged_model())
    assert stored.keys() == made.keys()
    for name, tensor in made.items():
        assert torch.equal(tensor, stored[name])


def test_another_kind_of_model_is_refused(tmp_path: Path) -> None:
    for name in ("means", "variances", "sendump"):
        (tmp_path / name).write_bytes(b"s3\nendhdr\n" + bytes(64))
    with pytest.raises(DataError, match="not a Sphinx file"):
        read_model(tmp_path)
