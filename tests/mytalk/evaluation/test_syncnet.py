"""SyncNet's network and protocol on tensors of known answer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import python_speech_features
import torch

from mytalk.errors import UnreadableError, WeightsError
from mytalk.evaluation.lse import SyncTrack, mfcc, read_sync, shifted_distances, standard_crop
from mytalk.evaluation.syncnet import EMBEDDING, SyncNet, load_syncnet
from mytalk.face import Face
from mytalk.media_time import FRAME_SAMPLES
from mytalk.picture import Picture


@pytest.fixture(scope="module")
def network() -> SyncNet:
    torch.manual_seed(0)
    return SyncNet().eval()


def test_shapes_are_those_of_the_published_network(network: SyncNet) -> None:
    with torch.inference_mode():
        assert network.pictures(torch.zeros(1, 3, 5, 224, 224)).shape == (1, EMBEDDING)
        assert network.sound(torch.zeros(2, 1, 13, 20)).shape == (2, EMBEDDING)


def test_parameters_bear_the_names_and_sizes_of_the_published_file(network: SyncNet) -> None:
    state = network.state_dict()
    convolutions = {"netcnnaud": (0, 4, 8, 11, 14, 18), "netcnnlip": (0, 4, 8, 11, 14, 18)}
    for tower, indices in convolutions.items():
        found = [int(k.split(".")[1]) for k, v in state.items() if k.startswith(tower) and v.ndim >= 4]
        assert found == list(indices)
    assert state["netcnnaud.18.weight"].shape == (512, 256, 5, 4)
    assert state["netcnnlip.0.weight"].shape == (96, 3, 5, 7, 7)
    assert state["netcnnlip.18.weight"].shape == (512, 256, 1, 6, 6)
    assert state["netfclip.3.weight"].shape == state["netfcaud.3.weight"].shape == (1024, 512)
    # By hand from the layer table: convolutions with bias, two numbers a channel of batch norm, and the heads.
    sound = [(1, 64, 9), (64, 192, 9), (192, 384, 9), (384, 256, 9), (256, 256, 9), (256, 512, 20)]
    picture = [(3, 96, 245), (96, 256, 25), (256, 256, 9), (256, 256, 9), (256, 256, 9), (256, 512, 36)]
    towers = sum(a * b * k + 3 * b for a, b, k in sound + picture)
    heads = 2 * (512 * 512 + 512 + 2 * 512 + 512 * 1024 + 1024)
    assert sum(p.numel() for p in network.parameters()) == towers + heads == 13_631_616


def test_weights_without_batch_counters_load(network: SyncNet, tmp_path: Path) -> None:
    old = {name: tensor for name, tensor in network.state_dict().items() if "num_batches" not in name}
    torch.save(old, tmp_path / "syncnet_v2.model")
    loaded = load_syncnet(tmp_path / "syncnet_v2.model")
    torch.testing.assert_close(loaded.netfclip[3].weight, network.netfclip[3].weight)
    assert not loaded.training


def test_other_weights_are_refused_by_name(network: SyncNet, tmp_path: Path) -> None:
    path = tmp_path / "weights"
    with pytest.raises(UnreadableError, match="no such file"):
        load_syncnet(path)
    path.write_bytes(b"not weights")
    with pytest.raises(WeightsError, match="not a file of weights"):
        load_syncnet(path)
    torch.save({**network.state_dict(), "netfclip.0.weight": torch.zeros(3, 3)}, path)
    with pytest.raises(WeightsError, match=r"netfclip\.0\.weight is \(3, 3\)"):
        load_syncnet(path)


def test_mfccs_are_those_of_the_library_on_16_bit_samples() -> None:
    sound = np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32)
    ours = mfcc(sound)
    theirs = python_speech_features.mfcc(np.rint(sound * 32768).astype(np.int16), 16_000)
    assert ours.shape == (13, 99)
    np.testing.assert_allclose(ours, theirs.T, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("late", [-7, 0, 4, 15])
def test_the_offset_of_made_embeddings_is_read(late: int) -> None:
    """Sound that repeats the pictures ``late`` frames later is ``-late`` early."""
    pictures = torch.nn.functional.normalize(torch.randn(80, 16, generator=torch.Generator().manual_seed(0)), dim=1)
    reading = read_sync(shifted_distances(pictures, torch.roll(pictures, late, 0), torch.arange(80).ge(20)))
    assert reading.offset == -late
    assert reading.confidence > 1


def test_distance_and_confidence_of_known_embeddings() -> None:
    """Pictures at 0, sound at distance 3 in sync and 5 elsewhere: LSE-D 3, LSE-C 2."""
    pictures, distances = torch.zeros(10, 4), torch.full((31,), 5.0)
    distances[15] = 3.0
    reading = read_sync(distances)
    assert (reading.offset, reading.distance, reading.confidence) == (0, 3.0, 2.0)
    sound = torch.zeros(10, 4)
    sound[:, 0] = 5.0
    table = shifted_distances(pictures, sound, torch.ones(10, dtype=torch.bool), reach=2)
    inside = (10 - torch.tensor([2, 1, 0, 1, 2.0])) / 10  # beyond the clip the sound is a vector of zeros
    torch.testing.assert_close(table, 5 * inside, rtol=0, atol=1e-4)


def test_frames_that_are_not_known_do_not_count() -> None:
    pictures, sound = torch.zeros(10, 4), torch.zeros(10, 4)
    sound[:, 0] = 1.0
    pictures[5:] = 100.0
    table = shifted_distances(pictures, sound, torch.arange(10).lt(5), reach=1)
    assert float(table[1]) == pytest.approx(1, abs=1e-4)


def test_the_crop_has_the_standard_geometry() -> None:
    """2.8 s square: from s above the middle to 1.8 s below, 1.4 s to each side; grey beyond the picture; BGR."""
    rgb = np.zeros((200, 200, 3), np.uint8)
    rgb[100:190, 50:150] = (250, 0, 0)
    crop = standard_crop(rgb, (100.0, 100.0, 50.0))
    assert crop.shape == (224, 224, 3)
    scale = 224 / 140
    assert crop[int(49 * scale), 112].max() == 0
    assert tuple(crop[int(52 * scale), 112]) == (0, 0, 250)
    assert crop[112, int(19 * scale)].max() == 0
    assert tuple(crop[112, int(22 * scale)]) == (0, 0, 250)
    beyond = standard_crop(rgb, (100.0, 180.0, 50.0))
    assert (beyond[-5:] == 110).all()


class Ramp(SyncNet):
    """Embeds a stack as the brightness of its first frame, and sound as its level's place in time."""

    def __init__(self) -> None:
        torch.nn.Module.__init__(self)

    def pictures(self, stack: torch.Tensor) -> torch.Tensor:
        return stack[:, 0, 0, :1, :1].flatten(1)

    def sound(self, mfcc: torch.Tensor) -> torch.Tensor:
        return mfcc[:, 0, :1, 0]


def test_a_film_is_embedded_frame_by_frame_and_gaps_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """50 frames a second are shown 25 times; the stack that begins at a frame is the one that is compared with it."""
    values = np.random.default_rng(0).permutation(60) * 4
    monkeypatch.setattr(
        "mytalk.evaluation.lse.mfcc", lambda sound: np.repeat(values.astype(np.float32), 4)[None].repeat(13, axis=0)
    )
    points = np.full((478, 3), 60, np.float32)
    points[0] = 100
    track = SyncTrack(Ramp())
    for half in range(120):
        frame = half // 2
        luma = np.full((160, 160), values[frame], np.uint8)
        grey = np.full((80, 80), 128, np.uint8)
        face = None if 30 <= frame < 36 else Face(points)
        track.push(half * FRAME_SAMPLES // 2, Picture(luma, grey, grey, full_range=True), face)
    reading = track.read(np.zeros(60 * FRAME_SAMPLES, np.float32))
    assert reading is not None
    assert reading.offset == 0
    assert reading.distance < 2
    assert reading.confidence > 50


def test_a_film_without_a_face_has_no_reading() -> None:
    track = SyncTrack(Ramp())
    picture = Picture.from_rgb(np.zeros((64, 64, 3), np.uint8))
    for frame in range(30):
        track.push(frame * FRAME_SAMPLES, picture, None)
    assert track.read(np.zeros(30 * FRAME_SAMPLES, np.float32)) is None
