"""Reads and writes checkpoints: a folder of safetensors, ``config.json`` and a model card.

``config.json`` names the preset, its sizes, and each part's SHA-256; loading checks the hash and every tensor's name
and shape, and says which one is wrong.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load

from mytalk.dataclass_json import build_sizes
from mytalk.errors import PresetError, WeightsError
from mytalk.presets import PRESETS, Preset

CONFIG = "config.json"

LABEL_DIGITS = 8
"""Hexadecimal digits of a hash in the label of a checkpoint folder."""


def save_part(folder: Path, part: str, data: bytes) -> None:
    """Writes one part (``motion``, ``identity``, ``appearance``, ``readout``), given as safetensors, and records its
    hash. Each file is replaced at once."""
    folder.mkdir(parents=True, exist_ok=True)
    replace_file(folder / f"{part}.safetensors", data)
    config = _read_config(folder) if (folder / CONFIG).exists() else {}
    config.setdefault("parts", {})[part] = {"file": f"{part}.safetensors", "sha256": hashlib.sha256(data).hexdigest()}
    replace_file(folder / CONFIG, (json.dumps(config, indent=2) + "\n").encode())


def save_preset(folder: Path, preset: Preset) -> None:
    """Records which preset a folder's weights belong to, with its sizes."""
    folder.mkdir(parents=True, exist_ok=True)
    config = _read_config(folder) if (folder / CONFIG).exists() else {}
    config = {**config, "preset": preset.name, "sizes": asdict(preset)}
    replace_file(folder / CONFIG, (json.dumps(config, indent=2) + "\n").encode())


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
    replace_file(folder / CONFIG, (json.dumps(config, indent=2) + "\n").encode())


def read_speech_model(folder: Path) -> dict[str, str] | None:
    """Returns ``source`` and ``sha256`` of the speech network that a folder's weights go with; None where it has its
    own."""
    recorded = _read_config(folder).get("speech_model")
    if recorded is None:
        return None
    if not isinstance(recorded, dict) or not all(isinstance(recorded.get(key), str) for key in ("source", "sha256")):
        raise PresetError(f"{folder / CONFIG}: speech_model must hold source and sha256")
    return {key: recorded[key] for key in ("source", "sha256")}


def read_part(folder: Path, part: str) -> bytes:
    """Reads one part, as safetensors, and checks its hash.

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
    if hashlib.sha256(data).hexdigest() != entry["sha256"]:
        raise WeightsError(f"{path}: damaged ({_damage(data)}); reinstall or copy the folder again")
    return data


def read_arrays(folder: Path, part: str) -> dict[str, NDArray[Any]]:
    """Reads the tensors of one part as arrays. Raises WeightsError as `read_part` does."""
    return load(read_part(folder, part))


def _damage(data: bytes) -> str:
    try:
        arrays = load(data)
    except SafetensorError as error:
        return f"no tensor can be read: {error}"
    broken = [name for name, one in arrays.items() if one.dtype.kind == "f" and not np.isfinite(one).all()]
    where = f"tensor {broken[0]} is not finite" if broken else f"its {len(arrays)} tensors are not those saved"
    return f"SHA-256 differs; {where}"


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


def replace_file(path: Path, data: bytes) -> None:
    """Replaces a file at once."""
    part = path.with_suffix(path.suffix + ".part")
    part.write_bytes(data)
    part.replace(path)
