"""Reads and writes the tensors of a checkpoint's parts, and loads them into modules of torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import load, save
from torch import Tensor, nn

from mytalk.checkpoint import read_part, save_part
from mytalk.errors import WeightsError


def save_tensors(folder: Path, part: str, tensors: Mapping[str, Tensor]) -> None:
    """Writes one part, and records its hash. Each file is replaced at once."""
    save_part(folder, part, save({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}))


def read_tensors(folder: Path, part: str) -> dict[str, Tensor]:
    """Reads the tensors of one part. Raises WeightsError as `mytalk.checkpoint.read_part` does."""
    return load(read_part(folder, part))


def load_into(module: nn.Module, folder: Path, part: str) -> None:
    """Loads one part's tensors into a module.

    Raises WeightsError naming the first tensor that is missing, unknown or of another shape.
    """
    tensors = read_tensors(folder, part)
    wanted = module.state_dict()
    path = folder / f"{part}.safetensors"
    for name, tensor in wanted.items():
        if name not in tensors:
            raise WeightsError(f"{path}: tensor {name} is missing (are these weights of another preset?)")
        if tensors[name].shape != tensor.shape:
            shapes = f"{tuple(tensors[name].shape)}, need {tuple(tensor.shape)}"
            raise WeightsError(f"{path}: tensor {name} has shape {shapes} (are these weights of another preset?)")
    unknown = sorted(set(tensors) - set(wanted))
    if unknown:
        raise WeightsError(f"{path}: tensor {unknown[0]} is unknown (are these weights of another preset?)")
    module.load_state_dict(tensors)
