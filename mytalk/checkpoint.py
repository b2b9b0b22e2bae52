"""Reads and writes checkpoints: a folder of safetensors, ``config.json`` and a model card.

``config.json`` names the preset, its sizes, and each part's SHA-256; loading checks the hash and every tensor's name
and shape, and says which one is wrong.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_bytes
from safetensors.torch import save as save_bytes
from torch import Tensor, nn

from mytalk.dataclass_json import build_sizes
from mytalk.errors import PresetError, WeightsError
from mytalk.presets import PRESETS, Preset

CONFIG = "config.json"

LABEL_DIGITS = 8
"""Hexadecimal digits of a hash in the label of a checkpoint folder."""


def save_tensors(folder: Path, part: str, tensors: Mapping[str, Tensor]) -> None:
    """Writes one part (``motion``, ``identity``, ``appearance``) and records its hash. Each file is replaced at
    once."""
    folder.mkdir(parents=True, exist_ok=True)
    data = save_bytes({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()})
    _replace(folder / f"{part}.safetensors", data)
    config = _read_config(folder) if (folder / CONFIG).exists() else {}
    config.setdefault("parts", {})[part] = {"file": f"{part}.safetensors", "sha256": hashlib.sha256(data).hexdigest()}
    _replace(folder / CONFIG, (json.dumps(config, indent=2) + "\n").encode())


def save_preset(folder: Path, preset: Preset) -> None:
    """Records which preset a folder's weights belong to, with its sizes."""
    folder.mkdir(parents=True, exist_ok=True)
    config = _read_config(folder) if (folder / CONFIG).exists() else {}
    config = {**config, "preset": preset.name, "sizes": asdict(preset)}
    _replace(folder / CONFIG, (json.dumps(config, indent=2) + "\n").encode())


def read_preset(folder: Path) -> Preset:
    """Builds the preset of a checkpoint folder from the sizes in its config; its name is a label.

    A config without sizes names one of ``PRESETS``. Raises PresetError naming what is unknown, missing or impossible.
    """
    config = _read_config(folder)
    if "sizes" in config:
        return build_sizes(Preset, config["sizes"], f"{folder / CONFIG}: sizes")
    preset = PRESETS.get(str(config.get("preset")))
    if preset is None:
        raise PresetError(
            f"{folder / CONFIG}: preset {config.get('preset')!r} is unknown (known: {', '.join(PRESETS)})"
            " and it holds no sizes"
        )
    return preset


def folder_label(folder: Path) -> str:
    """Names a checkpoint folder and what is in it: its name, and a hash of the hashes of its weights."""
    parts = _read_config(folder).get("parts", {})
    listed = "".join(f"{part} {parts[part]['sha256']}\n" for part in sorted(parts))
    return f"{folder.resolve().name} ({hashlib.sha256(listed.encode()).hexdigest()[:LABEL_DIGITS]})"


def save_speech_model(folder: Path, source: str, sha256: str) -> None:
    """Records the speech network that a folder's motion weights were trained with; its own weights are not stored."""
    folder.mkdir(parents=True, exist_ok=True)
    config = _read_config(folder) if (folder / CONFIG).exists() else {}
    config["speech_model"] = {"source": source, "sha256": sha256}
    _replace(folder / CONFIG, (json.dumps(config, indent=2) + "\n").encode())


def read_speech_model(folder: Path) -> dict[str, str] | None:
    """Returns ``source`` and ``sha256`` of the speech network that a folder's weights go with; None where it has its
    own."""
    recorded = _read_config(folder).get("speech_model")
    if recorded is None:
        return None
    if not isinstance(recorded, dict) or not all(isinstance(recorded.get(key), str) for key in ("source", "sha256")):
        raise PresetError(f"{folder / CONFIG}: speech_model must hold source and sha256")
    return {key: recorded[key] for key in ("source", "sha256")}


def read_tensors(folder: Path, part: str) -> dict[str, Tensor]:
    """Reads the tensors of one part and checks their hash.

    Raises WeightsError where the part is missing, cut short, or not what was saved.
    """
    entry = _read_config(folder).get("parts", {}).get(part)
    if entry is None:
        raise WeightsError(f"{folder}: holds no {part} weights (train them, or use the embedded preset)")
    path = folder / str(entry["file"])
    try:
        data = path.read_bytes()
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read ({error.strerror}); reinstall or copy the folder again") from error
    tensors: dict[str, Tensor] = {}
    try:
        tensors = load_bytes(data)
    except SafetensorError as error:
        raise WeightsError(
            f"{path}: damaged, no tensor can be read ({error}); reinstall or copy the folder again"
        ) from error
    if hashlib.sha256(data).hexdigest() != entry["sha256"]:
        broken = [
            name for name, tensor in tensors.items() if tensor.is_floating_point() and not torch.isfinite(tensor).all()
        ]
        where = f"tensor {broken[0]} is not finite" if broken else f"its {len(tensors)} tensors are not those saved"
        raise WeightsError(f"{path}: damaged (SHA-256 differs; {where}); reinstall or copy the folder again")
    return tensors


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


def _read_config(folder: Path) -> dict[str, Any]:
    path = folder / CONFIG
    try:
        config = json.loads(path.read_text())
    except OSError as error:
        raise PresetError(f"{path}: cannot be read ({error.strerror}); need a checkpoint folder") from error
    except json.JSONDecodeError as error:
        raise PresetError(f"{path}: not JSON ({error})") from error
    if not isinstance(config, dict):
        raise PresetError(f"{path}: not a JSON object")
    return config


def _replace(path: Path, data: bytes) -> None:
    part = path.with_suffix(path.suffix + ".part")
    part.write_bytes(data)
    part.replace(path)
