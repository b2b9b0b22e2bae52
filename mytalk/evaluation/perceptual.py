"""LPIPS and FID, with the networks' weights as files: nothing is downloaded.

LPIPS (Zhang et al. 2018, version 0.1, AlexNet) takes its linear layers from the package ``lpips`` and its backbone from
torchvision's AlexNet file. FID (Heusel et al. 2017) takes the Inception network of ``torch-fidelity``, and is between
all generated and all filmed face crops of a report, not between those of one clip.
"""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mytalk.errors import UnreadableError, WeightsError
from mytalk.evaluation.crop import Crop
from mytalk.evaluation.extras import extra
from mytalk.evaluation.moment import Measure, Moment

ALEXNET = "alexnet*.pth"
_SLICES = {1: (0,), 2: (3,), 3: (6,), 4: (8,), 5: (10,)}  # convolutions of AlexNet in each slice of LPIPS's backbone
_BATCH = 8


def load_lpips(path: Path) -> Any:
    """LPIPS's network, with the AlexNet backbone of a file, or of the one file ``alexnet*.pth`` in a folder.

    Raises UnreadableError, WeightsError, and MissingExtraError without the package.
    """
    found = sorted(path.glob(ALEXNET)) if path.is_dir() else [path]
    if not found or not found[0].is_file():
        where = f"{path}: no {ALEXNET} in it" if path.is_dir() else f"{path}: no such file"
        raise UnreadableError(f"{where} (need torchvision's AlexNet weights, a .pth file)")
    lpips = extra("lpips")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torchvision's about a deprecated argument
        network = lpips.LPIPS(net="alex", pnet_rand=True, verbose=False)
    stored = _load(found[0])
    own = network.net.state_dict()
    renamed = {
        f"slice{part}.{layer}.{kind}": stored.get(f"features.{layer}.{kind}")
        for part, layers in _SLICES.items()
        for layer in layers
        for kind in ("weight", "bias")
    }
    for name, tensor in renamed.items():
        if tensor is None or tensor.shape != own[name].shape:
            raise WeightsError(f"{found[0]}: no features of AlexNet's shape for {name} (need torchvision's file)")
    network.net.load_state_dict(renamed)
    return network.eval()


class Lpips(Measure):
    """Mean over frames of LPIPS between face crops; frames equal to the bit are not counted."""

    def __init__(self, network: Any) -> None:
        self._network = network
        self._distances: list[float] = []
        self._seen = 0

    def push(self, moment: Moment) -> None:
        if moment.crops is None or not moment.pair.scored:
            return
        filmed, made = moment.crops
        self._seen += 1
        if not np.array_equal(filmed, made):
            with torch.inference_mode():
                self._distances.append(float(self._network(_signed(filmed), _signed(made))))

    def scores(self) -> dict[str, float]:
        if not self._seen:
            return {}
        return {"lpips": float(np.mean(self._distances)) if self._distances else 0.0}


class Gaussian:
    """Mean and covariance of feature vectors as they come: sums only, in double precision."""

    def __init__(self, width: int) -> None:
        self.count = 0
        self._sum = np.zeros(width)
        self._outer = np.zeros((width, width))

    def add(self, rows: NDArray[np.floating[Any]]) -> None:
        """``(n, width)``."""
        rows = np.asarray(rows, np.float64)
        self.count += len(rows)
        self._sum += rows.sum(axis=0)
        self._outer += rows.T @ rows

    @property
    def statistics(self) -> dict[str, NDArray[np.float64]]:
        """``mu`` and ``sigma`` (divided by count - 1)."""
        mean = self._sum / self.count
        return {"mu": mean, "sigma": (self._outer - self.count * np.outer(mean, mean)) / (self.count - 1)}


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
        """Of each set."""
        return self._sets[0].count + len(self._batch) // 2

    def score(self) -> float:
        """NaN for fewer than two frames."""
        self._extract()
        if self._sets[0].count < 2:
            return float("nan")
        metric = extra("torch_fidelity.metric_fid")
        filmed, made = (gaussian.statistics for gaussian in self._sets)
        return float(metric.fid_statistics_to_metric(filmed, made, False)[metric.KEY_METRIC_FID])

    def _extract(self) -> None:
        if self._batch:
            with torch.inference_mode():
                rows = self._features(torch.stack(self._batch))
            for gaussian, part in zip(self._sets, (rows[::2], rows[1::2]), strict=True):
                gaussian.add(part.numpy())
            self._batch.clear()


def load_inception(path: Path) -> Any:
    """torch-fidelity's Inception network with the user's file of its weights, to 2048 features.

    Raises UnreadableError, WeightsError, and MissingExtraError without the package.
    """
    if not path.is_file():
        raise UnreadableError(f"{path}: no such file (need torch-fidelity's Inception weights, a .pth file)")
    module = extra("torch_fidelity.feature_extractor_inceptionv3")
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
    """``(1, 3, 256, 256)`` in -1..1."""
    return torch.from_numpy(crop).permute(2, 0, 1)[None] / 127.5 - 1
