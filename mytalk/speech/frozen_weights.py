"""Reads the weights of the networks that hear for every preset: an acoustic model, and a recogniser's first layers.

They are in the package in half precision, and no preset trains them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from importlib import resources
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load

from mytalk.speech.filters import cepstra_bands, mel_bands

Array = NDArray[np.float32]
Weight = TypeVar("Weight")

PHONES_FILE = "cmusphinx_en_us.safetensors"
RECOGNISER_FILE = "moonshine_tiny_en.safetensors"
RECOGNISER_LIVE_FILE = "moonshine_tiny_en_live.safetensors"


def front_weights() -> dict[str, Array]:
    """Returns the larger constants of the built-in fronts' graphs, by the names that these have them by."""
    bands = {"mel": mel_bands(), "cepstra": cepstra_bands()}
    products = {f"{name}/{part}": getattr(one, part) for name, one in bands.items() for part in ("waves", "bins")}
    return products | {f"phones/{name}": array for name, array in phone_weights().items()}


def phone_weights() -> dict[str, Array]:
    """Returns the acoustic model of `mytalk.speech.phone_posteriors`.

    ``linear`` ``(3, 42, 27, 128)``: of each stream, phone and Gaussian what a cepstrum's squares, itself and 1 count in
    its log density; ``weights`` ``(3, 42, 128, 3)``: how much a Gaussian counts in each state of a phone.
    """
    stored = read("phones", PHONES_FILE)
    means, precisions = stored["means"], np.exp(stored["log_precisions"])  # (42, 3, 128, 13)
    offset = 0.5 * (np.log(precisions / (2 * math.pi)).sum(-1) - (means**2 * precisions).sum(-1))
    linear = np.concatenate([-0.5 * precisions, means * precisions, offset[..., None]], axis=-1)  # (42, 3, 128, 27)
    weights = np.exp(stored["log_weights"])  # (42, 3, 128, 3)
    return {
        "linear": np.ascontiguousarray(linear.transpose(1, 0, 3, 2)),
        "weights": np.ascontiguousarray(weights.swapaxes(0, 1)),
    }


def recogniser_weights(live: bool = True) -> dict[str, Array]:
    """Returns the recogniser's weights as `mytalk.speech.moonshine.Moonshine` has them; ``live``: with the changes for
    what a session has heard.

    Kernels are matrices: of the samples in order, the last of no weight, and of the places before, their channels.
    """
    stored = read("speech", RECOGNISER_FILE)
    if live:
        stored |= apply_low_rank(stored, read("speech", RECOGNISER_LIVE_FILE))
    first = stored["conv1.weight"][:, 0]  # (288, 127)
    stored["conv1.weight"] = np.pad(first, ((0, 0), (0, 1)))
    for name in ("conv2.weight", "conv3.weight"):
        stored[name] = np.ascontiguousarray(stored[name].swapaxes(1, 2)).reshape(len(stored[name]), -1)
    return {name.replace(".", "_"): array for name, array in stored.items()}


def apply_low_rank(weights: Mapping[str, Weight], by: Mapping[str, Weight]) -> dict[str, Weight]:
    """Applies changes ``by`` to the weights that they name: matrices by a product of ``NAME.up`` ``(out, R)`` and
    ``NAME.down`` ``(R, in)``, vectors by a sum. Hu et al. 2022, "LoRA". Of arrays or tensors."""
    vectors = {name: weights[name] + part for name, part in by.items() if part.ndim == 1}  # type: ignore[attr-defined,operator]
    pairs = {name.removesuffix(".up") for name in by if name.endswith(".up")}
    return vectors | {
        name: weights[name] + by[f"{name}.up"] @ by[f"{name}.down"]  # type: ignore[operator]
        for name in pairs
    }


def read(folder: str, file: str) -> dict[str, Array]:
    """Reads a file of the package's ``weights`` as float32."""
    stored = load((resources.files("mytalk") / "weights" / folder / file).read_bytes())
    return {name: array.astype(np.float32) for name, array in stored.items()}
