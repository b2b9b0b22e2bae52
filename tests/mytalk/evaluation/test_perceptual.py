"""LPIPS and FID with weights made on the spot: nothing is downloaded."""

from __future__ import annotations

import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from mytalk.errors import OptionError, UnreadableError, WeightsError
from mytalk.evaluation.clip import Judges
from mytalk.evaluation.extras import part_of
from mytalk.evaluation.moment import Moment, Pair
from mytalk.evaluation.perceptual import Fid, Gaussian, Lpips, frechet_distance, load_inception, load_lpips
from mytalk.face import Face
from mytalk.picture import Picture, VideoFrame


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """AlexNet's convolutions at random, as torchvision's file names them."""
    shapes = {0: (64, 3, 11), 3: (192, 64, 5), 6: (384, 192, 3), 8: (256, 384, 3), 10: (256, 256, 3)}
    generator = torch.Generator().manual_seed(0)
    state = {}
    for layer, (out, into, kernel) in shapes.items():
        state[f"features.{layer}.weight"] = torch.randn(out, into, kernel, kernel, generator=generator) * 0.05
        state[f"features.{layer}.bias"] = torch.zeros(out)
    folder = tmp_path_factory.mktemp("weights")
    torch.save(state, folder / "alexnet-owt-7be5be79.pth")
    return folder


def moment(face: Face, true: Picture, generated: Picture) -> Moment:
    frames = (VideoFrame(picture, 0, 0, Fraction(1, 25)) for picture in (true, generated))
    return Moment(Pair(*frames, face), face)


def noisy(picture: Picture, size: float) -> Picture:
    y = picture.y + np.random.default_rng(0).normal(0, size, picture.y.shape)
    return Picture(np.clip(y, 0, 255).astype(np.uint8), picture.u, picture.v)


def test_lpips_is_zero_for_the_same_and_grows_with_noise(
    backbone: Path, portrait: Picture, portrait_face: Face
) -> None:
    network = load_lpips(backbone)
    figures = []
    for generated in (portrait, noisy(portrait, 3), noisy(portrait, 20)):
        measure = Lpips(network)
        measure.push(moment(portrait_face, portrait, generated))
        figures.append(measure.scores()["lpips"])
    assert figures[0] == 0
    assert 0 < figures[1] < figures[2]


def test_lpips_takes_the_backbone_from_the_file(backbone: Path) -> None:
    network = load_lpips(backbone / "alexnet-owt-7be5be79.pth")
    stored = torch.load(backbone / "alexnet-owt-7be5be79.pth", weights_only=True)
    torch.testing.assert_close(network.features[8].weight.detach(), stored["features.8.weight"])
    for weight in network.linear:  # the published layers are not negative
        assert float(weight.detach().min()) >= 0
        assert float(weight.detach().max()) > 0


def test_lpips_is_the_weighted_distance_of_normalised_features(backbone: Path) -> None:
    """Equation 1, written out once more for one picture."""
    network = load_lpips(backbone)
    one, other = torch.rand(2, 1, 3, 64, 64, generator=torch.Generator().manual_seed(1)) * 2 - 1
    shift, scale = torch.tensor([-0.030, -0.088, -0.188]), torch.tensor([0.458, 0.448, 0.450])
    expected, start = 0.0, 0
    with torch.inference_mode():
        a, b = ((x - shift.view(1, 3, 1, 1)) / scale.view(1, 3, 1, 1) for x in (one, other))
        for stop, weight in zip((2, 5, 8, 10, 12), network.linear, strict=True):  # relu1 to relu5
            a, b = network.features[start:stop](a), network.features[start:stop](b)
            start = stop
            unit = [x / x.norm(dim=1, keepdim=True).clamp_min(1e-10) for x in (a, b)]
            expected += float(((unit[0] - unit[1]) ** 2 * weight.view(1, -1, 1, 1)).sum(dim=1).mean())
        assert expected > 0
        assert float(network(one, other)) == pytest.approx(expected, rel=1e-4)


def test_lpips_refuses_other_files(tmp_path: Path) -> None:
    with pytest.raises(UnreadableError, match="alexnet"):
        load_lpips(tmp_path)
    with pytest.raises(UnreadableError, match="no such file"):
        load_lpips(tmp_path / "none.pth")
    torch.save({"features.0.weight": torch.zeros(1)}, tmp_path / "alexnet.pth")
    with pytest.raises(WeightsError, match="AlexNet"):
        load_lpips(tmp_path)


def test_the_statistics_of_a_stream_are_those_of_the_whole() -> None:
    rows = np.random.default_rng(0).normal(3, 2, (50, 6))
    gaussian = Gaussian(6)
    for part in np.array_split(rows, 7):
        gaussian.add(part)
    mean, covariance = gaussian.statistics
    np.testing.assert_allclose(mean, rows.mean(axis=0))
    np.testing.assert_allclose(covariance, np.cov(rows, rowvar=False), atol=1e-10)


def test_the_frechet_distance_of_known_gaussians() -> None:
    """Independent axes: the squared distance of the means, and of the standard deviations."""
    square = np.array([[-1, -1], [-1, 1], [1, -1], [1, 1]]) * np.sqrt(3 / 4)  # covariance: identity
    sets = [Gaussian(2), Gaussian(2)]
    sets[0].add(square * [2, 3] + [1, 2])
    sets[1].add(square * [1, 5] + [1, 5])
    assert frechet_distance(*sets) == pytest.approx(9 + 1 + 4)
    assert frechet_distance(sets[0], sets[0]) == pytest.approx(0, abs=1e-9)
    assert np.isnan(frechet_distance(sets[0], Gaussian(2)))


def test_fid_of_known_gaussians(portrait: Picture, portrait_face: Face) -> None:
    """Equal covariances: the squared distance of the means. The fake network shifts whatever is generated by (2, 0)."""
    rows = np.random.default_rng(0).normal(0, 1, (24, 2)).astype(np.float32)
    served = []

    def features(pictures: torch.Tensor) -> torch.Tensor:
        assert pictures.dtype == torch.uint8
        assert pictures.shape[1:] == (3, 256, 256)
        pairs = len(pictures) // 2
        filmed = rows[len(served) : len(served) + pairs]
        served.extend(filmed)
        return torch.from_numpy(np.stack([filmed, filmed + np.float32([2, 0])], axis=1).reshape(-1, 2))

    fid = Fid(features, width=2)
    assert np.isnan(fid.score())
    for _ in range(20):
        fid.push(moment(portrait_face, portrait, portrait))
    assert fid.frames == 20
    assert fid.score() == pytest.approx(4, abs=1e-4)


def test_the_inception_network_is_built_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnreadableError, match="no such file"):
        load_inception(tmp_path / "none.pth")
    path = tmp_path / "inception.pth"
    torch.save({"a": torch.zeros(1)}, path)
    with pytest.raises(WeightsError, match="Inception"):
        load_inception(path)
    fidelity = part_of("torch_fidelity", "feature_extractor_inceptionv3").FeatureExtractorInceptionV3
    with monkeypatch.context() as patch:
        patch.setattr(fidelity, "load_state_dict", lambda *_: None)
        network = fidelity("inception", ["2048"], str(path))
    torch.save(network.state_dict(), path)
    features = load_inception(path)
    with torch.inference_mode():
        assert features(torch.zeros(1, 3, 256, 256, dtype=torch.uint8)).shape == (1, 2048)


def test_a_requested_score_without_its_package_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backbone: Path
) -> None:
    monkeypatch.setattr("mytalk.evaluation.extras.find_spec", lambda _: None)
    with pytest.raises(OptionError, match=r"lpips is not installed \(pip install 'mytalk-streamer\[evaluate\]'\)"):
        Judges.load(lpips=backbone)
    monkeypatch.setitem(sys.modules, "python_speech_features", None)
    with pytest.raises(OptionError, match="python_speech_features is not installed"):
        Judges.load(syncnet=tmp_path / "weights")
