"""Checkpoints say what is wrong with them, and which tensor."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import mytalk
from mytalk.appearance.model import AppearanceModel
from mytalk.checkpoint import folder_label, read_preset, save_preset
from mytalk.errors import OptionError, PresetError, WeightsError
from mytalk.motion.model import MotionModel
from mytalk.preset_folders import EMBEDDED
from mytalk.presets import PRESETS
from mytalk.torch_backend import load_motion
from mytalk.torch_checkpoint import load_into, read_tensors, save_tensors


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(EMBEDDED / "edge", tmp_path / "edge")
    return tmp_path / "edge"


def test_saved_weights_are_loaded(tmp_path: Path) -> None:
    layer, other = torch.nn.Linear(3, 2), torch.nn.Linear(3, 2)
    save_tensors(tmp_path, "motion", layer.state_dict())
    load_into(other, tmp_path, "motion")
    assert torch.equal(layer.weight, other.weight)


def test_a_wrong_shape_names_the_tensor(tmp_path: Path) -> None:
    save_tensors(tmp_path, "motion", torch.nn.Linear(3, 2).state_dict())
    with pytest.raises(WeightsError, match=r"tensor weight has shape \(2, 3\), need \(2, 4\)"):
        load_into(torch.nn.Linear(4, 2), tmp_path, "motion")


def test_missing_and_unknown_tensors_are_named(tmp_path: Path) -> None:
    save_tensors(tmp_path, "motion", torch.nn.Linear(3, 2, bias=False).state_dict())
    with pytest.raises(WeightsError, match="tensor bias is missing"):
        load_into(torch.nn.Linear(3, 2), tmp_path, "motion")
    save_tensors(tmp_path, "motion", torch.nn.Linear(3, 2).state_dict())
    with pytest.raises(WeightsError, match="tensor bias is unknown"):
        load_into(torch.nn.Linear(3, 2, bias=False), tmp_path, "motion")


def test_a_cut_file_is_distinguished_from_a_changed_one(folder: Path) -> None:
    weights = folder / "motion.safetensors"
    data = weights.read_bytes()
    weights.write_bytes(data[: len(data) // 2])
    with pytest.raises(WeightsError, match="no tensor can be read"):
        mytalk.load(folder)
    weights.write_bytes(data[:-4] + b"\x00\x00\xc0\x7f")
    with pytest.raises(WeightsError, match=r"SHA-256 differs; tensor .* is not finite"):
        mytalk.load(folder)


def test_missing_weights_are_named(folder: Path) -> None:
    (folder / "appearance.safetensors").unlink()
    with pytest.raises(WeightsError, match=r"appearance\.safetensors"):
        mytalk.load(folder)
    with pytest.raises(WeightsError, match="holds no other weights"):
        read_tensors(folder, "other")


def rewrite(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    config = json.loads((folder / "config.json").read_text())
    change(config)
    (folder / "config.json").write_text(json.dumps(config))


def test_a_checkpoint_of_another_preset_names_the_tensor(folder: Path) -> None:
    rewrite(folder, lambda config: config["sizes"]["identity"].update(width=96))
    with pytest.raises(WeightsError, match=r"tensor layers\.0\.weight has shape \(128, 414\), need \(96, 414\)"):
        mytalk.load(folder)
    rewrite(folder, lambda config: config["sizes"]["identity"].update(width=128))
    rewrite(folder, lambda config: config["sizes"]["motion"].update(layers=4))
    with pytest.raises(WeightsError, match=r"tensor denoiser\.blocks\.3\..* is missing .*another preset"):
        mytalk.load(folder)
    rewrite(folder, lambda config: config["sizes"]["motion"].update(layers=2))
    with pytest.raises(WeightsError, match=r"tensor denoiser\.blocks\.2\..* is unknown .*another preset"):
        mytalk.load(folder)


def test_a_preset_of_other_sizes_is_built_from_its_config(tmp_path: Path) -> None:
    edge = PRESETS["edge"]
    smaller = replace(edge, motion=replace(edge.motion, layers=2), appearance=replace(edge.appearance, hidden=16))
    save_preset(tmp_path, smaller)
    assert read_preset(tmp_path) == smaller
    motion, appearance = MotionModel(smaller), AppearanceModel(smaller.appearance)
    save_tensors(tmp_path, "identity", motion.identity.state_dict())
    save_tensors(tmp_path, "motion", without_identity(motion))
    save_tensors(tmp_path, "appearance", appearance.state_dict())
    loaded = mytalk.load(tmp_path, device="cpu")
    assert loaded.preset == replace(smaller, name=folder_label(tmp_path))
    stored = load_motion(tmp_path)
    assert all(torch.equal(a, b) for a, b in zip(stored.parameters(), motion.parameters(), strict=True))


def without_identity(motion: MotionModel) -> dict[str, torch.Tensor]:
    return {name: tensor for name, tensor in motion.state_dict().items() if not name.startswith("identity.")}


def test_a_config_of_an_older_version_gets_defaults(folder: Path) -> None:
    before = read_preset(folder)
    rewrite(folder, lambda config: config["sizes"]["motion"].pop("conditioning", None))
    assert read_preset(folder) == before
    rewrite(folder, lambda config: config["sizes"]["motion"].pop("readout"))
    assert read_preset(folder) == PRESETS["edge"], "a preset is trained before it is given a readout"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layers": None}, r"sizes\.motion\.layers: need int, got None"),
        ({"layers": "3"}, r"sizes\.motion\.layers: need int, got '3'"),
        ({"bias": 1}, r"sizes\.motion: bias is unknown"),
        ({"conditioning": "gate"}, r"sizes\.motion\.conditioning: need one of 'cross', 'concat', 'add', got 'gate'"),
        ({"heads": 3}, r"sizes\.motion: motion width 128 must be a multiple"),
    ],
)
def test_impossible_sizes_are_named(folder: Path, change: dict[str, object], message: str) -> None:
    rewrite(folder, lambda config: config["sizes"]["motion"].update(change))
    with pytest.raises(PresetError, match=message):
        mytalk.load(folder)


def test_missing_sizes_are_named(folder: Path) -> None:
    rewrite(folder, lambda config: config["sizes"]["motion"].pop("layers"))
    with pytest.raises(PresetError, match=r"sizes\.motion: layers is missing"):
        mytalk.load(folder)
    rewrite(folder, lambda config: config.pop("sizes"))
    assert read_preset(folder) == PRESETS["edge"]
    rewrite(folder, lambda config: config.update(preset="mine"))
    with pytest.raises(PresetError, match=r"preset 'mine' is unknown .* holds no sizes"):
        mytalk.load(folder)


@pytest.mark.parametrize("name", ["nonsense", "paper"])
def test_a_preset_without_weights_is_an_error_that_says_what_to_do(name: str) -> None:
    with pytest.raises(PresetError, match=name):
        mytalk.load(name)


def test_a_folder_that_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PresetError, match=r"config\.json"):
        mytalk.load(tmp_path)
    save_preset(tmp_path, PRESETS["edge"])  # without a readout: has no graphs, runs by torch
    with pytest.raises(WeightsError, match="holds no identity weights"):
        mytalk.load(tmp_path)
    save_preset(tmp_path, read_preset(EMBEDDED / "edge"))  # runs by graphs
    with pytest.raises(WeightsError, match="holds no appearance weights"):
        mytalk.load(tmp_path, device="cpu")


@pytest.mark.parametrize("device", ["tpu", "cuda:77", "mps"])
def test_a_device_that_is_not_there_is_refused(device: str) -> None:
    with pytest.raises(OptionError, match=device):
        mytalk.load("edge", device=device)


def test_a_number_type_that_is_not_offered_is_refused() -> None:
    with pytest.raises(OptionError, match="dtype 'int8': need float32, bfloat16 or float16"):
        mytalk.load("edge", device="cpu", dtype="int8")


def test_a_folder_is_named_by_itself_and_its_weights(tmp_path: Path) -> None:
    labels = []
    for number in (0, 1, 0):
        save_tensors(tmp_path / "mine", "motion", {"one": torch.full((3,), float(number))})
        labels.append(folder_label(tmp_path / "mine"))
    assert all(re.fullmatch(r"mine \([0-9a-f]{8}\)", label) for label in labels)
    assert labels[0] == labels[2] != labels[1]
