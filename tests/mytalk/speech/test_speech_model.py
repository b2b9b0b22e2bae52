"""A preset that hears through wav2vec 2.0, from its checkpoint folder to moving pictures."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import mytalk
from mytalk import Picture, Pipeline, VideoFrame
from mytalk.checkpoint import read_speech_model, save_preset, save_speech_model
from mytalk.errors import PresetError, WeightsError
from mytalk.face import Face, fit_pose
from mytalk.media_time import FRAME_SAMPLES
from mytalk.motion.model import MotionModel
from mytalk.motion.stream import MotionStream
from mytalk.preset_folders import EMBEDDED
from mytalk.presets import PRESETS, PROFILES, SpeechPreset
from mytalk.speech.wav2vec import Wav2Vec2
from mytalk.speech.wav2vec_loader import load_wav2vec
from mytalk.torch_backend import load_motion
from mytalk.torch_checkpoint import save_tensors

Samples = NDArray[np.float32]

SPEECH = SpeechPreset(
    width=32, kernel=5, front="wav2vec2", features=64, hidden=48, layers=2, heads=4, ffn=96, lookback=25
)
PRESET = replace(PRESETS["edge"], name="tiny", speech=SPEECH)


@pytest.fixture(scope="module")
def network(make_network: Callable[..., Path]) -> Path:
    return make_network()


@pytest.fixture(scope="module")
def checkpoint(network: Path, pipeline: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Speech encoder and denoiser of random weights, the rest as in the package."""
    folder = tmp_path_factory.mktemp("checkpoint")
    torch.manual_seed(1)
    front = load_wav2vec(network, lookback=25)
    model = MotionModel(PRESET, front)
    model.space.load_state_dict(load_motion("edge").space.state_dict())
    save_preset(folder, PRESET)
    save_tensors(
        folder, "motion", {name: part for name, part in model.state_dict().items() if not name.startswith("identity.")}
    )
    config = json.loads((folder / "config.json").read_text())
    edge = json.loads((EMBEDDED / "edge" / "config.json").read_text())
    for part in ("identity", "appearance"):
        shutil.copy(EMBEDDED / "edge" / f"{part}.safetensors", folder)
        config["parts"][part] = edge["parts"][part]
    (folder / "config.json").write_text(json.dumps(config))
    save_speech_model(folder, front.source, front.sha256)
    return folder


@pytest.fixture(scope="module")
def extractor(checkpoint: Path, network: Path) -> Pipeline:
    return mytalk.load(checkpoint, "cpu", speech_model=network)


@pytest.mark.parametrize("profile", sorted(PROFILES))
def test_motion_is_the_same_whatever_the_packets(
    extractor: Pipeline, portrait_face: Face, babble: Samples, profile: str
) -> None:
    face = fit_pose(portrait_face).to_canonical(portrait_face.points)
    samples = babble[: 40 * FRAME_SAMPLES + 100]
    results = []
    for packet in (320, 1001, len(samples)):
        stream = MotionStream(extractor.motion, PROFILES[profile], steps=1, seed=1)
        stream.enrol([face])
        stream.push_face(100 * FRAME_SAMPLES, None)
        frames = []
        for start in range(0, len(samples), packet):
            stream.push_speech(samples[start : start + packet])
            frames += list(stream.advance())
        frames += list(stream.finish())
        assert [frame.index for frame in frames] == list(range(40))
        results.append(np.array([frame.lower for frame in frames]))
    assert np.array_equal(results[0], results[1])
    assert np.array_equal(results[0], results[2])
    assert not np.array_equal(results[0][20], results[0][25])


@pytest.mark.parametrize("profile", sorted(PROFILES))
def test_hearing_a_hop_at_a_time_delays_no_frame(extractor: Pipeline, babble: Samples, profile: str) -> None:
    plan = PROFILES[profile]
    stream = MotionStream(extractor.motion, plan, steps=1, seed=1)
    stream.push_face(100 * FRAME_SAMPLES, None)
    for count in range(1, 31):
        stream.push_speech(babble[(count - 1) * FRAME_SAMPLES : count * FRAME_SAMPLES])
        list(stream.advance())
        assert stream.emitted == max(0, count - plan.lookahead) // plan.hop * plan.hop


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_pictures_speak_from_a_checkpoint_folder(
    checkpoint: Path, network: Path, portrait: Picture, portrait_face: Face, babble: Samples, dtype: str
) -> None:
    stream = mytalk.load(checkpoint, "cpu", network, dtype).stream()
    out: list[VideoFrame] = []
    for index in range(20):
        stream.push_speech(babble[index * FRAME_SAMPLES : (index + 1) * FRAME_SAMPLES])
        stream.push_frame(VideoFrame(portrait, index * FRAME_SAMPLES, index, Fraction(1, 25)), portrait_face)
        out += stream.pull()
    stream.finish()
    out += stream.pull()
    stream.close()
    assert [frame.pts for frame in out] == list(range(20))
    assert "passthrough" not in stream.stats
    assert not np.array_equal(out[10].picture.y, portrait.y)


def test_a_cleared_session_hears_afresh(extractor: Pipeline, babble: Samples) -> None:
    stream = MotionStream(extractor.motion, PROFILES["balanced"], steps=1, seed=1)
    stream.push_speech(babble[: 4 * FRAME_SAMPLES])
    assert stream.speech_frames == 3
    stream.clear()
    assert stream.speech_frames == 0
    stream.push_speech(babble[: 3 * FRAME_SAMPLES])
    assert stream.speech_frames == 3


def test_the_checkpoint_names_its_network_and_holds_none_of_it(checkpoint: Path, extractor: Pipeline) -> None:
    front = extractor.motion.model.front
    assert isinstance(front, Wav2Vec2)
    assert read_speech_model(checkpoint) == {"source": "tiny-wav2vec2", "sha256": front.sha256}
    assert not any(name.startswith("front") for name in extractor.motion.model.state_dict())
    assert (checkpoint / "motion.safetensors").stat().st_size < 8e6


def test_without_its_network_a_checkpoint_says_what_to_pass(
    checkpoint: Path, make_network: Callable[..., Path]
) -> None:
    with pytest.raises(WeightsError, match="trained with"):
        mytalk.load(checkpoint, "cpu", speech_model=make_network(seed=9))
    with pytest.MonkeyPatch.context() as patch:
        from huggingface_hub import constants

        patch.setattr(constants, "HF_HUB_OFFLINE", True)
        with pytest.raises(PresetError, match=r"tiny-wav2vec2: .* pass a local folder .*--speech-model FOLDER"):
            mytalk.load(checkpoint, "cpu")
