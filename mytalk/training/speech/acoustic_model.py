"""Makes the file of `mytalk.speech.phone_posteriors` from the English model in the `pocketsphinx` package.

python -m mytalk.training.speech.acoustic_model -o FOLDER
"""

from __future__ import annotations

import argparse
import math
import struct
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from mytalk.errors import DataError
from mytalk.speech.frozen_weights import PHONES_FILE
from mytalk.speech.phone_posteriors import PHONES, STATES

_ORDER = 0x11223344
_LOG_UNIT = 1024 * math.log(1.0001)  # of Sphinx's integer logarithms, as it stores weights


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--model", type=Path, help="a folder of Sphinx's; otherwise the one in the package")
    arguments = parser.parse_args()
    model = arguments.model or packaged_model()
    arguments.output.mkdir(parents=True, exist_ok=True)
    save_file(read_model(model), arguments.output / PHONES_FILE)
    (arguments.output / "LICENSE").write_text((model / "README").read_text())
    print(f"{arguments.output / PHONES_FILE}: {(arguments.output / PHONES_FILE).stat().st_size / 1e6:.2f} MB")


def packaged_model() -> Path:
    """Finds the folder of the acoustic model in the `pocketsphinx` package. Raises DataError where it is not
    installed."""
    try:
        import pocketsphinx
    except ImportError as error:
        raise DataError("the acoustic model comes with the pocketsphinx package: pip install pocketsphinx") from error
    return Path(pocketsphinx.get_model_path()) / "en-us" / "en-us"


def read_model(folder: Path) -> dict[str, torch.Tensor]:
    """Reads means and log precisions ``(42, 3, 128, 13)`` and log weights ``(42, 3, 128, 3)``, half precision.

    Raises DataError where the folder holds another kind of model.
    """
    means, variances = _gaussians(folder / "means"), _gaussians(folder / "variances")
    weights = _weights(folder / "sendump", means.shape[1:3])[..., : PHONES * STATES]
    by_phone = weights.reshape(*weights.shape[:2], PHONES, STATES).transpose(2, 0, 1, 3)
    if len(means) != PHONES:
        raise DataError(f"{folder}: {len(means)} phones, not {PHONES}")
    stored = {"means": means, "log_precisions": -np.log(np.maximum(variances, 1e-4)), "log_weights": by_phone}
    return {name: torch.from_numpy(array.copy()).half() for name, array in stored.items()}


def _gaussians(path: Path) -> NDArray[np.float32]:
    """Reads one number for each phone, stream, Gaussian and dimension."""
    data = path.read_bytes()
    start = data.index(b"endhdr\n") + len(b"endhdr\n")
    order, phones, streams, count = struct.unpack_from("<4i", data, start)
    lengths = struct.unpack_from(f"<{streams}i", data, start + 16)
    if order != _ORDER or len(set(lengths)) != 1:
        raise DataError(f"{path}: not a Sphinx file with streams of one length")
    first = start + 16 + 4 * streams + 4
    values = np.frombuffer(data, "<f4", phones * count * sum(lengths), first)
    return values.reshape(phones, streams, count, lengths[0])


def _weights(path: Path, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Reads log weights ``(streams, Gaussians, states)``."""
    data, start = path.read_bytes(), 0
    headers: list[str] = []
    while (length := struct.unpack_from("<i", data, start)[0]) > 0:
        headers.append(data[start + 4 : start + 4 + length].rstrip(b"\0").decode("latin-1"))
        start += 4 + length
    if "cluster_count 0" not in headers:
        raise DataError(f"{path}: its weights are clustered, which is not read here")
    count, states = struct.unpack_from("<2i", data, start + 4)
    values: NDArray[Any] = np.frombuffer(data, np.uint8, shape[0] * count * states, start + 12)
    return -_LOG_UNIT * values.reshape(shape[0], count, states).astype(np.float32)


if __name__ == "__main__":
    main()
