"""The recogniser's layers: those of the package, heard live as training hears them, and nothing of the future."""

from __future__ import annotations

import math
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch.testing import assert_close

import mytalk
from mytalk.errors import DataError
from mytalk.media.speech import SpeechReader
from mytalk.speech.frozen_weights import RECOGNISER_FILE, RECOGNISER_LIVE_FILE, apply_low_rank
from mytalk.speech.moonshine import CONTEXT, LAYERS, WIDTH, Moonshine, rotary_of
from mytalk.training.speech import recogniser

FRAMES = 5
SECONDS = 4
FULL_TURN = Fraction("6.283185307179586476925286766559005768")

from_the_package = pytest.mark.skipif(sys.platform != "linux", reason="its package is installed on Linux alone")


@pytest.fixture(scope="module")
def speech() -> torch.Tensor:
    reader = SpeechReader(Path(mytalk.__file__).parent / "assets" / "demo_speech.flac")
    return torch.from_numpy(np.concatenate(list(reader.samples())))[: SECONDS * 16_000]


@pytest.fixture(scope="module")
def moonshine() -> Moonshine:
    return Moonshine()


@from_the_package
def test_the_file_holds_what_the_package_does() -> None:
    made = recogniser.read_model(recogniser.packaged_model())
    stored = load_file(Path(mytalk.__file__).parent / "weights" / "speech" / RECOGNISER_FILE)
    assert made.keys() == stored.keys()
    assert all(torch.equal(made[name], stored[name]) for name in made)


@from_the_package
def test_the_encoder_gives_what_the_whole_network_says_of_a_whole_recording(speech: torch.Tensor) -> None:
    import onnx
    import onnxruntime

    graph = recogniser.read_graph(recogniser.packaged_model())
    name = "/layers.2/Add_1_output_0"  # what the third layer gives
    graph.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    given = {"input_values": speech[None].numpy(), "attention_mask": np.ones((1, len(speech)), np.int64)}
    theirs = torch.from_numpy(session.run([name], given)[0])[0]  # (n, 288), 24 ms a token
    frames = len(speech) // 640
    published = Moonshine(live=False)
    ours = published(speech[None], published.start(frames))[0]
    assert ours.shape == (frames, WIDTH)
    # a motion frame's two tokens end 20 and 40 ms into it; the published token that ends nearest to between them
    place = ((torch.arange(frames) * 640 + 480 - 895) / 384).round().long()
    near = (place >= 0) & (place < len(theirs))

    def agreement(shift: int) -> float:
        a, b = ours[near], theirs[place[near]].roll(shift, 0)
        return float(torch.corrcoef(torch.stack([(a - a.mean(0)).ravel(), (b - b.mean(0)).ravel()]))[0, 1])

    assert agreement(0) > 0.75
    assert agreement(0) > agreement(5) + 0.4


def test_live_it_says_of_the_newest_frames_what_hearing_on_would_say(
    moonshine: Moonshine, speech: torch.Tensor
) -> None:
    """Speech that is in the package, which nothing was taught with."""
    published = Moonshine(live=False)
    frames = len(speech) // 640
    whole = published(speech[None], published.start(frames))[0]
    spread = whole.std(0)

    def error(extractor: Moonshine, later: int) -> float:
        newest, readout = zip(*extractor.growing(speech, FRAMES), strict=True)
        known = torch.cat(newest) >= FRAMES
        of = whole[torch.cat(newest)[known] - later]
        return float(((torch.cat(readout)[known, FRAMES - 1 - later] - of) / spread).square().mean())

    for later in (1, 3):
        assert error(moonshine, later) < 0.8 * error(published, later)


def test_the_change_is_a_low_rank_of_every_layer() -> None:
    changes = load_file(Path(mytalk.__file__).parent / "weights" / "speech" / RECOGNISER_LIVE_FILE)
    assert {name.split(".")[1] for name in changes} == {str(index) for index in range(LAYERS)}
    weights = {"a.qkv": torch.zeros(6, 4), "a.norm1": torch.ones(4), "b": torch.ones(2)}
    by = {"a.qkv.up": torch.ones(6, 1), "a.qkv.down": torch.arange(4.0)[None], "a.norm1": torch.ones(4)}
    assert_close(apply_low_rank(weights, by), {"a.qkv": torch.arange(4.0).expand(6, 4), "a.norm1": 2 * torch.ones(4)})


@pytest.mark.parametrize("hop", [1, 3, 5])
def test_a_recording_is_heard_in_hops_as_a_stream_is(moonshine: Moonshine, speech: torch.Tensor, hop: int) -> None:
    newest, readout = (torch.cat(part) for part in zip(*moonshine.growing(speech, FRAMES, hop), strict=True))
    state = moonshine.start(FRAMES)
    first, rest = speech[:640], speech[640:]
    chunks = [first, *rest.split(640 * hop)][: len(newest)]
    assert newest.tolist() == list(range(0, len(speech) // 640, hop))
    assert_close(torch.stack([moonshine(chunk[None], state)[0] for chunk in chunks]), readout, rtol=0, atol=2e-3)


@pytest.mark.parametrize("hop", [2, 5, 40])
def test_the_encoder_gives_nearly_the_same_in_hops_of_any_length(
    moonshine: Moonshine, speech: torch.Tensor, hop: int
) -> None:
    """Tokens that are not heard anew have heard a little more or less of what came after them."""
    one, other = moonshine.start(FRAMES), moonshine.start(FRAMES)
    end = len(speech) // (640 * hop) * 640 * hop
    for chunk in speech[:end].split(640):
        by_one = moonshine(chunk[None], one)
    for chunk in speech[:end].split(640 * hop):
        by_hop = moonshine(chunk[None], other)
    assert torch.corrcoef(torch.stack([by_one.ravel(), by_hop.ravel()]))[0, 1] > 0.95


def test_remembered_sound_is_what_would_be_heard_anew(moonshine: Moonshine, speech: torch.Tensor) -> None:
    """The newest frames after a long memory and after a window that is heard as a whole."""
    few, many = moonshine.start(FRAMES), moonshine.start(FRAMES + CONTEXT)
    for chunk in speech.split(640 * 2):
        short, long = moonshine(chunk[None], few), moonshine(chunk[None], many)[:, -FRAMES:]
    assert torch.corrcoef(torch.stack([short.ravel(), long.ravel()]))[0, 1] > 0.95


@pytest.mark.parametrize("hours", [0, 24])
def test_positions_are_exact_however_long_the_session_is(hours: int) -> None:
    first = hours * 3600 * 50  # tokens
    rotary = rotary_of(torch.arange(first, first + 50)[None])[0]
    for place in (0, 1, 49):
        for feature in (0, 1, 2, 30, 31):
            angle = Fraction(first + place) * Fraction(320, 384) * Fraction(10_000.0 ** (-(feature // 2 * 2) / 32))
            rest = float(angle - round(angle / FULL_TURN) * FULL_TURN)
            assert rotary[place, 0, feature] == pytest.approx(math.cos(rest), abs=1e-6)
            assert rotary[place, 1, feature] == pytest.approx(math.sin(rest), abs=1e-6)
    assert (rotary[:, 0, 32:] == 1).all()
    assert (rotary[:, 1, 32:] == 0).all()


def test_features_are_the_same_however_long_the_session_is(moonshine: Moonshine, speech: torch.Tensor) -> None:
    """As soon as nothing is remembered of how it began."""
    fresh, old = moonshine.start(FRAMES), moonshine.start(FRAMES)
    old.position = old.position + 24 * 3600 * 50
    for chunk in speech.repeat(3).split(640 * 2):
        at_first, after_a_day = moonshine(chunk[None], fresh), moonshine(chunk[None], old)
    assert_close(after_a_day, at_first, rtol=0, atol=2e-3)


def test_no_token_leaves_before_its_sound_came(moonshine: Moonshine, speech: torch.Tensor) -> None:
    state = moonshine.start(FRAMES)
    features = moonshine(speech[None, : 2 * 640], state)
    assert (features[:, :3] == 0).all()
    assert (features[:, 3:] != 0).any(-1).all()


def test_two_sessions_do_not_hear_each_other(moonshine: Moonshine, speech: torch.Tensor) -> None:
    both = torch.stack([speech, 0.1 * speech.flip(-1)])
    together = moonshine(both, moonshine.start(FRAMES, batch=2))
    assert_close(together[:1], moonshine(both[:1], moonshine.start(FRAMES)), rtol=0, atol=2e-3)


def test_a_voice_far_away_is_heard_as_one_that_is_near(moonshine: Moonshine, speech: torch.Tensor) -> None:
    near, far = (moonshine(level * speech[None], moonshine.start(FRAMES)).ravel() for level in (1.0, 0.25))
    assert torch.corrcoef(torch.stack([near, far]))[0, 1] > 0.9


@pytest.mark.parametrize("level", [0.0, 1e-4, 1.0, 30.0])
def test_any_level_gives_numbers(moonshine: Moonshine, level: float) -> None:
    noise = level * torch.randn(1, 32_000, generator=torch.Generator().manual_seed(1))
    assert moonshine(noise, moonshine.start(FRAMES)).isfinite().all()


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "encoder_model.ort"
    path.write_bytes(b"something else")
    with pytest.raises(DataError, match="cannot read it"):
        recogniser.read_model(path)
