"""The linear readout: fitted to clips, written into a preset folder, and heard in what the engine then does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from mytalk.checkpoint import read_preset
from mytalk.errors import WeightsError
from mytalk.speech.readout import DELAYS, Readout
from mytalk.speech.stream import SpeechStream
from mytalk.torch_backend import load_motion
from mytalk.training.data.store import ClipStore
from mytalk.training.speech.readout import Sums, add_readout, change_speed, save_readout, solve


@pytest.fixture(scope="module")
def with_readout(folder: Path, data: Path) -> Path:
    add_readout(folder, [data], share=0.6)
    return folder


def test_a_readout_becomes_part_of_the_preset(with_readout: Path) -> None:
    assert read_preset(with_readout).motion.readout == 0.6
    model = load_motion(with_readout)
    assert model.readout is not None
    assert (model.readout.weight.abs().amax((1, 2)) > 0).all()


def test_fitted_anew_it_knows_voices_and_closures_as_before(with_readout: Path, data: Path, tmp_path: Path) -> None:
    for path in with_readout.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    before = load_motion(tmp_path).readout
    assert before is not None
    before.voice_weight.fill_(0.25)
    before.closure_weight.fill_(0.5)
    save_readout(tmp_path, before)
    fitted = add_readout(tmp_path, [data], share=0.6)
    after = load_motion(tmp_path).readout
    assert after is not None
    assert fitted.people == 3
    assert (after.voice_weight == 0.25).all()
    assert (after.closure_weight == 0.5).all()
    assert_close(after.mean, before.mean)
    assert_close(after.scale, before.scale)


def test_a_readout_has_learned_that_these_jaws_drop_with_the_loudness(with_readout: Path, data: Path) -> None:
    model, store = load_motion(with_readout), ClipStore(data)
    assert model.readout is not None
    for clip in range(len(store)):
        sound = torch.from_numpy(store.sound(clip))[None]
        jaws = store.landmarks(clip).canonical[:, 152, 1]
        motion = model.readout(sound, model.readout.start(len(jaws))).motion[0]
        height = model.space.decode(motion)[:, :, 1].mean(-1).numpy()
        assert np.corrcoef(height, jaws)[0, 1] > 0.5


def test_a_preset_whose_readout_is_lost_says_so(with_readout: Path, tmp_path: Path) -> None:
    for path in with_readout.iterdir():
        if path.name != "readout.safetensors":
            (tmp_path / path.name).write_bytes(path.read_bytes())
    with pytest.raises(WeightsError, match=r"readout\.safetensors"):
        load_motion(tmp_path)


def test_closed_form_weights_are_those_that_made_the_rows() -> None:
    rng = torch.Generator().manual_seed(2)
    readout, people = Readout(2), []
    truth = (
        torch.randn(readout.weight.shape[1], 2, generator=rng) * (torch.arange(readout.weight.shape[1]) < 8)[:, None]
    )
    for _ in range(2):
        sums = Sums.empty(len(truth), 2)
        sums.frames = 3000.0
        for delay in range(DELAYS):
            rows = 10 * torch.randn(3000, len(truth), generator=rng)
            sums.add(delay, rows, rows @ truth + 5.0)
        people.append(sums)
    weight, bias = solve(people)
    assert_close(weight[0][:8], truth[:8], rtol=0.05, atol=0.02)
    assert_close(bias, torch.full((DELAYS, 2), 5.0), rtol=0.1, atol=0.1)


def test_faster_speech_is_higher_and_its_motion_keeps_up() -> None:
    time = torch.arange(50 * 640) / 16_000
    sound, motion = torch.sin(2 * torch.pi * 400 * time), torch.arange(50.0)[:, None]
    faster, moved = change_speed(sound, motion, 1.25)
    assert (len(faster), len(moved)) == (40 * 640, 40)
    assert int(torch.fft.rfft(faster).abs().argmax()) * 16_000 / len(faster) == pytest.approx(500, abs=2)
    assert_close(moved[:, 0], torch.arange(40) * 1.25)
    assert float(faster.abs().max()) == pytest.approx(1, abs=0.05)


def test_packets_do_not_change_a_guess(
    with_readout: Path, babble: np.ndarray[tuple[int], np.dtype[np.float32]]
) -> None:
    model = load_motion(with_readout)
    estimates = []
    for chunk in (160, 1001, 16_000):
        stream = SpeechStream(model.extractor, 2, 1, readout_frames=5)
        estimates.append([one for i in range(0, 16_000, chunk) for one in stream.push(babble[i : i + chunk]).estimates])
    assert [one.end for one in estimates[0]] == list(range(1, 26, 2))
    for other in estimates[1:]:
        assert all(np.array_equal(one.motion, two.motion) for one, two in zip(estimates[0], other, strict=True))
