"""Makes the file of `mytalk.speech.moonshine` from the English model in the ``moonshine-voice`` package.

python -m mytalk.training.speech.recogniser -o FOLDER
"""

from __future__ import annotations

import argparse
import tempfile
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from mytalk.errors import DataError
from mytalk.speech.frozen_weights import RECOGNISER_FILE
from mytalk.speech.moonshine import LAYERS

_MODEL = "moonshine_voice/assets/tiny-en/encoder_model.ort"
_PACKAGE = "moonshine-voice"


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--model", type=Path, help="an encoder_model.ort; otherwise the one in the package")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    model = arguments.model or packaged_model()
    save_file(read_model(model), arguments.output / RECOGNISER_FILE)
    print(f"{arguments.output / RECOGNISER_FILE}: {(arguments.output / RECOGNISER_FILE).stat().st_size / 1e6:.2f} MB")


def packaged_model() -> Path:
    """Finds the encoder in the ``moonshine-voice`` package. Raises DataError where it is not installed."""
    try:
        found = Path(str(metadata.distribution(_PACKAGE).locate_file(_MODEL)))
    except metadata.PackageNotFoundError as error:
        raise DataError(f"the recogniser comes with a package: pip install {_PACKAGE}==0.1.0") from error
    if not found.is_file():
        raise DataError(f"{found}: not in this version of {_PACKAGE}; version 0.1.0 has it")
    return found


def read_model(path: Path) -> dict[str, torch.Tensor]:
    """Reads the convolutions and the first layers, half precision; what was stored in 8 bits is what these 8 bits
    mean.

    Raises DataError where the file holds another kind of model.
    """
    graph = read_graph(path).graph
    held = _initializers(graph)
    try:
        stored = {"norm.weight": held["onnx::Mul_2080"].ravel(), "norm.bias": held["onnx::Add_2081"].ravel()}
        for number in (1, 2, 3):
            stored[f"conv{number}.weight"] = held[f"conv{number}.weight_add_tensor"]
        stored |= {name: held[name] for name in ("conv2.bias", "conv3.bias")}
        for layer in range(LAYERS):
            stored |= _layer(graph, held, layer)
    except KeyError as error:
        raise DataError(f"{path}: {error} is not in it: another model than Moonshine tiny") from error
    return {name: torch.from_numpy(np.array(array, np.float32)).half() for name, array in stored.items()}


def _layer(graph: Any, held: dict[str, NDArray[Any]], layer: int) -> dict[str, NDArray[Any]]:
    """Reads one Transformer layer; matrices as ``F.linear`` wants them."""

    def matrix(name: str) -> NDArray[Any]:
        node = next((one for one in graph.node if one.name == f"/layers.{layer}/{name}/MatMul_quant"), None)
        if node is None:
            raise KeyError(f"layers.{layer}/{name}")
        stem = next(one for one in node.input if one.endswith("_quantized") and one in held).removesuffix("_quantized")
        steps = held[f"{stem}_quantized"].astype(np.float32) - held[f"{stem}_zero_point"].astype(np.float32)
        return np.ascontiguousarray((steps * held[f"{stem}_scale"]).T)

    at, theirs = f"layers.{layer}.", f"layers.{layer}.mlp."
    return {
        f"{at}norm1": held[f"{at}input_layernorm.weight"],
        f"{at}norm2": held[f"{at}post_attention_layernorm.weight"],
        f"{at}qkv": np.concatenate([matrix(f"self_attn/{part}_proj") for part in "qkv"]),
        f"{at}out": matrix("self_attn/o_proj"),
        f"{at}fc1": matrix("mlp/fc1"),
        f"{at}fc1_bias": held[f"{theirs}fc1.bias"],
        f"{at}fc2": matrix("mlp/fc2"),
        f"{at}fc2_bias": held[f"{theirs}fc2.bias"],
    }


def read_graph(path: Path) -> Any:
    """Reads an ONNX model from ONNX Runtime's own format, by way of ONNX Runtime, which writes what it reads."""
    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder) / "encoder.onnx"
        options = onnxruntime.SessionOptions()
        options.optimized_model_filepath = str(written)
        options.add_session_config_entry("session.save_model_format", "ONNX")
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        try:
            onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime raises classes of its own
            raise DataError(f"{path}: ONNX Runtime cannot read it ({error})") from error
        return onnx.load(str(written))


def _initializers(graph: Any) -> dict[str, NDArray[Any]]:
    from onnx import numpy_helper

    return {one.name: numpy_helper.to_array(one) for one in graph.initializer}


if __name__ == "__main__":
    main()
