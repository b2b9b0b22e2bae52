"""Loads wav2vec 2.0 networks from a local folder or by the hub's name, and fingerprints them for checkpoints."""

from __future__ import annotations

import hashlib
import json
import re
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from mytalk.errors import PresetError, WeightsError
from mytalk.media_time import FRAME_SAMPLES, SAMPLE_RATE
from mytalk.speech.wav2vec import Wav2Vec2

NETWORK_SECONDS = 5.0
"""Seconds in which the hub must answer before this machine counts as offline."""

PASS = "pass a local folder that holds config.json and model.safetensors: speech_model=FOLDER (--speech-model FOLDER)"

_HUB_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")
_UNTRAINED = "masked_spec_embed"  # stands in for masked tokens in pre-training: no part of hearing, often not saved


def import_transformers() -> Any:
    """Imports the package. Raises PresetError that says what to install.

    A torchvision built for another torch fails on import, and would take transformers with it, though speech needs no
    pictures: it is hidden while transformers looks around.
    """
    modules: Any = sys.modules
    try:
        import_module("torchvision")
    except ImportError:
        pass
    except Exception:  # whatever its compiled part raises
        modules["torchvision"] = None
    try:
        transformers: Any = import_module("transformers")
        transformers.Wav2Vec2Model  # noqa: B018  it is imported on first use, which is when it looks around
    except ImportError as error:
        raise PresetError("wav2vec 2.0 needs transformers: pip install 'mytalk-streamer[paper]'") from error
    finally:
        if modules.get("torchvision", "") is None:
            del modules["torchvision"]
    return transformers


def load_wav2vec(source: str | Path, *, lookback: int) -> Wav2Vec2:
    """Loads the network in a local folder, or of a hub name such as ``facebook/wav2vec2-base``, as a front.

    ``lookback`` is in motion frames. A name is taken from this machine's hub cache, else downloaded into it.

    Raises PresetError where ``transformers`` is missing, nothing is found, or what is found is another architecture;
    WeightsError where its weights are damaged or incomplete.
    """
    transformers = import_transformers()
    folder = find_network(source)
    _check_architecture(folder)
    model = _read_model(transformers, folder)
    config = model.config
    if FRAME_SAMPLES % (step := _product(config.conv_stride)):
        raise PresetError(f"{folder}: a token every {step} samples, need a divisor of {FRAME_SAMPLES}")
    name = folder.name if Path(source).is_dir() else str(source)
    normalise = _normalises(folder)
    return Wav2Vec2(model, lookback=lookback, normalise=normalise, source=name, sha256=fingerprint(model))


def find_network(source: str | Path) -> Path:
    """Finds the folder of a network: ``source`` itself, or its snapshot in the hub's cache, downloaded if missing."""
    if Path(source).is_dir():
        return Path(source)
    if not _HUB_NAME.fullmatch(str(source)):
        raise PresetError(f"{source}: no such folder; {PASS}")
    import huggingface_hub as hub
    from huggingface_hub import constants
    from huggingface_hub.errors import LocalEntryNotFoundError

    name = str(source)
    files = ["config.json", "preprocessor_config.json"]
    try:
        cached = Path(
            hub.snapshot_download(name, allow_patterns=[*files, "*.safetensors", "*.bin"], local_files_only=True)
        )
        if (cached / "config.json").exists() and _weights_of(cached):
            return cached
    except LocalEntryNotFoundError:
        pass
    if constants.HF_HUB_OFFLINE:
        raise PresetError(f"{name}: neither a folder nor in this machine's hub cache, and the hub is off; {PASS}")
    try:
        listed = hub.HfApi().model_info(name, timeout=NETWORK_SECONDS).siblings or []
        safe = any(one.rfilename.endswith(".safetensors") for one in listed)
        return Path(hub.snapshot_download(name, allow_patterns=[*files, "*.safetensors" if safe else "pytorch_model*"]))
    except Exception as error:  # refused, unknown, no route, no name server: each client version has its own
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise PresetError(f"{name}: neither a folder nor to be had from the hub ({reason}); {PASS}") from error


def fingerprint(model: torch.nn.Module) -> str:
    """Computes SHA-256 over the tensors' values in float32: the same for every file format and naming of one
    network."""
    digests = []
    for name, tensor in model.state_dict().items():
        if name != _UNTRAINED:
            values = tensor.detach().cpu().to(torch.float32).contiguous()
            digests.append(hashlib.sha256(repr(tuple(values.shape)).encode() + values.numpy().tobytes()).digest())
    return hashlib.sha256(b"".join(sorted(digests))).hexdigest()


def _read_model(transformers: Any, folder: Path) -> Any:
    if not _weights_of(folder):
        raise PresetError(f"{folder}: no weights in it (need model.safetensors or pytorch_model.bin)")
    log = transformers.utils.logging
    verbosity, bars = log.get_verbosity(), log.is_progress_bar_enabled()
    log.set_verbosity_error()  # heads that speech features do not need are reported as a page of unused tensors
    log.disable_progress_bar()
    try:
        model, info = transformers.Wav2Vec2Model.from_pretrained(
            str(folder), local_files_only=True, output_loading_info=True, dtype=torch.float32
        )
    except Exception as error:  # what a damaged file raises depends on its format
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise WeightsError(f"{folder}: damaged, cannot be read ({reason}); copy or download it again") from error
    finally:
        log.set_verbosity(verbosity)
        if bars:
            log.enable_progress_bar()
    missing = sorted(set(info["missing_keys"]) - {_UNTRAINED})
    if missing:
        raise WeightsError(f"{folder}: tensor {missing[0]} is missing (is this a wav2vec 2.0 model?)")
    return model


def _check_architecture(folder: Path) -> None:
    config = _read_json(folder / "config.json")
    if config.get("model_type") != "wav2vec2":
        raise PresetError(f"{folder}: holds a model of type {config.get('model_type')!r}, need 'wav2vec2'")
    if config.get("add_adapter") or config.get("adapter_attn_dim") is not None:
        raise PresetError(f"{folder}: has adapter layers, need a plain wav2vec 2.0 model (such as wav2vec2-base)")


def _normalises(folder: Path) -> bool:
    """Says whether input is scaled to zero mean and unit variance; as in transformers, yes unless the folder says
    no."""
    path = folder / "preprocessor_config.json"
    config = _read_json(path) if path.exists() else {}
    if config.get("sampling_rate", SAMPLE_RATE) != SAMPLE_RATE:
        raise PresetError(f"{path}: hears {config['sampling_rate']} Hz, need {SAMPLE_RATE}")
    return bool(config.get("do_normalize", True))


def _read_json(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(path.read_text())
    except OSError as error:
        raise PresetError(f"{path}: cannot be read ({error.strerror}); {PASS}") from error
    except ValueError as error:
        raise PresetError(f"{path}: not JSON ({error}); copy or download it again") from error
    if not isinstance(config, dict):
        raise PresetError(f"{path}: not a JSON object; copy or download it again")
    return config


def _weights_of(folder: Path) -> list[Path]:
    return [*folder.glob("model*.safetensors"), *folder.glob("pytorch_model*.bin")]


def _product(values: list[int]) -> int:
    whole = 1
    for value in values:
        whole *= value
    return whole
