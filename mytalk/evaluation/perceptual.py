"""Computes LPIPS and FID, with the networks' weights as files: nothing is downloaded.

LPIPS (Zhang et al. 2018, version 0.1, AlexNet) takes its linear layers from the package ``lpips`` and its backbone from
torchvision's AlexNet file; neither package is imported. FID (Heusel et al. 2017) takes the Inception network of
``torch-fidelity``, and is between all generated and all filmed face crops of a report, not between those of one clip.
"""

from __future__ import annotations

import pickle
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import normalize

from mytalk.errors import UnreadableError, WeightsError
from mytalk.evaluation.crop import Crop
from mytalk.evaluation.extras import folder_of, part_of
from mytalk.evaluation.moment import Measure, Moment

ALEXNET = "alexnet*.pth"
_BATCH = 8


class LpipsNetwork(nn.Module):
    """Computes the distance of pictures ``(B, 3, H, W)`` in -1..1: ``(B,)``. Zhang et al. 2018, equation 1."""

    shift: Tensor
    scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        pool = nn.MaxPool2d(3, stride=2)
        self.features = nn.Sequential(  # AlexNet's, one to five, named as torchvision's file names them
            nn.Conv2d(3, 64, 11, stride=4, padding=2), nn.ReLU(), pool,
            nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(), pool,
            nn.Conv2d(192, 384, 3, padding=1), nn.ReLU(),
            nn.Conv2d(384, 256, 3, padding=1), nn.ReLU(),
            nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(),
        )  # fmt: skip
        self.linear = nn.ParameterList([nn.Parameter(torch.zeros(width)) for width in (64, 192, 384, 256, 256)])
        self.register_buffer("shift", torch.tensor([-0.030, -0.088, -0.188])[:, None, None], persistent=False)
        self.register_buffer("scale", torch.tensor([0.458, 0.448, 0.450])[:, None, None], persistent=False)

    def forward(self, one: Tensor, other: Tensor) -> Tensor:
        both = (torch.cat([one, other]) - self.shift) / self.scale
        distance = torch.zeros(len(one))
        layers = iter(self.linear)
        for before, module in pairwise([None, *self.features]):
            assert module is not None
            both = module(both)
            if isinstance(before, nn.Conv2d):  # after its ReLU
                first, second = normalize(both, dim=1, eps=1e-10).chunk(2)
                weight = next(layers)[:, None, None]
                distance = distance + ((first - second) ** 2 * weight).sum(dim=1).mean(dim=(1, 2))
        return distance


def load_lpips(path: Path) -> LpipsNetwork:
    """Loads the network, with the AlexNet backbone of a file, or of the one file ``alexnet*.pth`` in a folder.

    Raises UnreadableError, WeightsError, and MissingExtraError without the package ``lpips``.
    """
    found = sorted(path.glob(ALEXNET)) if path.is_dir() else [path]
    if not found or not found[0].is_file():
        where = f"{path}: no {ALEXNET} in it" if path.is_dir() else f"{path}: no such file"
        raise UnreadableError(f"{where} (need torchvision's AlexNet weights, a .pth file)")
    network = LpipsNetwork()
    linear = _load(folder_of("lpips") / "weights/v0.1/alex.pth")
    state = {f"linear.{i}": linear[f"lin{i}.model.1.weight"].flatten() for i in range(len(network.linear))}
    stored = _load(found[0])
    for name, tensor in network.features.state_dict().items():
        weight = stored.get(f"features.{name}")
        if weight is None or weight.shape != tensor.shape:
            has = "is missing" if weight is None else f"is {tuple(weight.shape)}"
            raise WeightsError(f"{found[0]}: tensor features.{name} {has} (AlexNet has {tuple(tensor.shape)})")
        state[f"features.{name}"] = weight
    network.load_state_dict(state)
    return network.eval()


class Lpips(Measure):
    """Averages LPIPS between face crops over frames; frames equal to the bit are not counted."""

    def __init__(self, network: LpipsNetwork) -> None:
        self._network = network
        self._distances: list[float] = []
        self._seen = 0

    def push(self, moment: Moment) -> None:
        if moment.crops is None or not moment.pair.scored:
            return
        filmed, generated = moment.crops
        self._seen += 1
        if not np.array_equal(filmed, generated):
            with torch.inference_mode():
                self._distances.append(float(self._network(_signed(filmed), _signed(generated))))

    def scores(self) -> dict[str, float]:
        if not self._seen:
            return {}
        return {"lpips": float(np.mean(self._distances)) if self._distances else 0.0}


class Gaussian:
    """Accumulates mean and covariance of feature vectors: sums only, in double precision."""

    def __init__(self, width: int) -> None:
        self.count = 0
        self._sum = np.zeros(width)
        self._outer = np.zeros((width, width))

    def add(self, rows: NDArray[np.floating[Any]]) -> None:
        """Adds rows ``(n, width)``."""
        rows = np.asarray(rows, np.float64)
        self.count += len(rows)
        self._sum += rows.sum(axis=0)
        self._outer += rows.T @ rows

    @property
    def statistics(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Returns mean, and covariance (divided by count - 1)."""
        mean = self._sum / self.count
        return mean, (self._outer - self.count * np.outer(mean, mean)) / (self.count - 1)


def frechet_distance(a: Gaussian, b: Gaussian) -> float:
    """Computes the distance of two sets' Gaussians, Heusel et al. 2017, equation 6; NaN where a set has fewer than
    two rows.

    The trace of the covariances' root is taken from the eigenvalues of their product.
    """
    if min(a.count, b.count) < 2:
        return float("nan")
    (mean, covariance), (other, other_covariance) = a.statistics, b.statistics
    root = np.sqrt(np.linalg.eigvals(covariance @ other_covariance).astype(np.complex128)).real.sum()
    apart = mean - other
    return float(apart @ apart + np.trace(covariance) + np.trace(other_covariance) - 2 * root)


class Fid:
    """Collects both sets over a whole report. ``features``: uint8 ``(B, 3, 256, 256)`` to ``(B, width)``."""

    def __init__(self, features: Any, width: int = 2048) -> None:
        self._features = features
        self._sets = (Gaussian(width), Gaussian(width))  # filmed, generated
        self._batch: list[Tensor] = []

    def push(self, moment: Moment) -> None:
        if moment.crops is None or not moment.pair.scored:
            return
        self._batch += [torch.from_numpy(np.rint(crop).astype(np.uint8)).permute(2, 0, 1) for crop in moment.crops]
        if len(self._batch) >= 2 * _BATCH:
            self._extract()

    @property
    def frames(self) -> int:
        """Returns the frames of each set."""
        return self._sets[0].count + len(self._batch) // 2

    def score(self) -> float:
        """Computes the distance; NaN for fewer than two frames."""
        self._extract()
        return frechet_distance(*self._sets)

    def _extract(self) -> None:
        if self._batch:
            with torch.inference_mode():
                rows = self._features(torch.stack(self._batch))
            for gaussian, part in zip(self._sets, (rows[::2], rows[1::2]), strict=True):
                gaussian.add(part.numpy())
            self._batch.clear()


def load_inception(path: Path) -> Any:
    """Loads torch-fidelity's Inception network with the user's file of its weights, to 2048 features.

    Raises UnreadableError, WeightsError, and MissingExtraError without the package.
    """
    if not path.is_file():
        raise UnreadableError(f"{path}: no such file (need torch-fidelity's Inception weights, a .pth file)")
    module = part_of("torch_fidelity", "feature_extractor_inceptionv3")
    _load(path)
    try:
        network = module.FeatureExtractorInceptionV3("inception", ["2048"], str(path))
    except (RuntimeError, TypeError) as error:
        raise WeightsError(f"{path}: not the weights of torch-fidelity's Inception network") from error
    return lambda pictures: network(pictures)[0]


def _load(path: Path) -> dict[str, Tensor]:
    try:
        stored = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        raise WeightsError(f"{path}: not a file of weights") from error
    if not isinstance(stored, dict):
        raise WeightsError(f"{path}: not a file of weights")
    return stored


def _signed(crop: Crop) -> Tensor:
    """Converts to ``(1, 3, 256, 256)`` in -1..1."""
    return torch.from_numpy(crop).permute(2, 0, 1)[None] / 127.5 - 1
