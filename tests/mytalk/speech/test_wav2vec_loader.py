"""Which speech network: found in a folder or the hub's cache, refused when it is another, and errors that say why."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import load_file, save_file

from mytalk.errors import OptionError, PresetError, WeightsError
from mytalk.presets import PRESETS, SpeechPreset
from mytalk.speech import wav2vec_loader
from mytalk.speech.factory import build_front, load_front
from mytalk.speech.wav2vec_loader import load_wav2vec

PRESET = SpeechPreset(width=32, front="wav2vec2", features=64, hidden=48, layers=1, heads=4, ffn=96, lookback=12)


@pytest.fixture(scope="module")
def network(make_network: Callable[..., Path]) -> Path:
    return make_network()


@pytest.fixture
def copied(network: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(network, tmp_path / "copy"))


def test_a_name_that_is_not_here_says_what_to_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(PresetError, match=r"nobody/nothing: .* the hub is off; pass a local folder .*--speech-model"):
        load_wav2vec("nobody/nothing", lookback=12)


def test_a_hub_that_refuses_says_what_to_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    with pytest.raises(PresetError, match=r"nor to be had from the hub \(.*refused\); .*speech_model=FOLDER"):
        load_wav2vec("nobody/nothing", lookback=12)


def test_no_folder_and_no_name_differs_from_a_hub_name(tmp_path: Path) -> None:
    with pytest.raises(PresetError, match="no such folder; pass a local folder"):
        load_wav2vec(tmp_path / "missing", lookback=12)


def test_a_cached_name_needs_no_network(network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot = tmp_path / "models--someone--tiny" / "snapshots" / ("0" * 40)
    shutil.copytree(network, snapshot)
    (tmp_path / "models--someone--tiny" / "refs").mkdir()
    (tmp_path / "models--someone--tiny" / "refs" / "main").write_text("0" * 40)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    front = load_wav2vec("someone/tiny", lookback=12)
    assert (front.source, front.sha256) == ("someone/tiny", load_wav2vec(network, lookback=12).sha256)


def test_missing_transformers_names_the_extra(monkeypatch: pytest.MonkeyPatch, network: Path) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(PresetError, match=r"pip install 'mytalk-streamer\[paper\]'"):
        load_wav2vec(network, lookback=12)


def test_a_broken_torchvision_is_hidden_from_transformers(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    class Transformers(ModuleType):
        def __getattr__(self, name: str) -> None:
            seen.append(sys.modules.get("torchvision", "not hidden"))

    def import_module(name: str) -> ModuleType:
        if name == "torchvision":
            raise RuntimeError("operator torchvision::nms does not exist")
        return Transformers(name)

    monkeypatch.setattr(wav2vec_loader, "import_module", import_module)
    wav2vec_loader.import_transformers()
    assert seen == [None]
    assert "torchvision" not in sys.modules


def test_another_architecture_is_refused(copied: Path) -> None:
    config = json.loads((copied / "config.json").read_text())
    (copied / "config.json").write_text(json.dumps({**config, "model_type": "hubert"}))
    with pytest.raises(PresetError, match="holds a model of type 'hubert', need 'wav2vec2'"):
        load_wav2vec(copied, lookback=12)


def test_a_folder_without_weights_or_config_is_named(copied: Path) -> None:
    (copied / "model.safetensors").unlink()
    with pytest.raises(PresetError, match="no weights in it"):
        load_wav2vec(copied, lookback=12)
    (copied / "config.json").unlink()
    with pytest.raises(PresetError, match=r"config\.json: cannot be read"):
        load_wav2vec(copied, lookback=12)


def test_damaged_and_incomplete_weights_are_reported(copied: Path) -> None:
    path = copied / "model.safetensors"
    tensors = load_file(path)
    save_file({name: part for name, part in tensors.items() if "layers.1.final" not in name}, path, {"format": "pt"})
    with pytest.raises(WeightsError, match=r"tensor encoder\.layers\.1\.final_layer_norm\.bias is missing"):
        load_wav2vec(copied, lookback=12)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(WeightsError, match="damaged, cannot be read"):
        load_wav2vec(copied, lookback=12)


def test_the_fingerprint_is_of_the_values_not_of_the_file(network: Path, copied: Path) -> None:
    tensors = load_file(copied / "model.safetensors")
    torch.save(tensors, copied / "pytorch_model.bin")
    (copied / "model.safetensors").unlink()
    assert load_wav2vec(copied, lookback=12).sha256 == load_wav2vec(network, lookback=12).sha256


def test_a_network_with_heads_of_its_training_is_the_same_network(network: Path, tmp_path: Path) -> None:
    transformers = wav2vec_loader.import_transformers()
    config = transformers.Wav2Vec2Config.from_pretrained(network)
    whole = transformers.Wav2Vec2ForPreTraining(config)
    whole.wav2vec2.load_state_dict(load_file(network / "model.safetensors"))
    whole.save_pretrained(tmp_path)
    assert any(name.startswith("wav2vec2.") for name in load_file(tmp_path / "model.safetensors"))
    assert load_wav2vec(tmp_path, lookback=12).sha256 == load_wav2vec(network, lookback=12).sha256


def test_another_network_than_the_checkpoints_is_refused(network: Path, make_network: Callable[..., Path]) -> None:
    front = load_wav2vec(network, lookback=12)
    trained_with = {"source": front.source, "sha256": front.sha256}
    assert load_front(PRESET, network, trained_with).width == 64
    with pytest.raises(WeightsError, match=r"not the network that this checkpoint was trained with \(tiny-wav2vec2"):
        load_front(PRESET, make_network(seed=6), trained_with)


def test_a_preset_gets_the_front_that_it_needs(network: Path) -> None:
    with pytest.raises(OptionError, match="hears log-mel and needs none"):
        load_front(PRESETS["edge"].speech, network)
    with pytest.raises(PresetError, match="was given no network"):
        load_front(PRESET)
    with pytest.raises(PresetError, match="features are 64 wide, 2 a motion frame; this preset needs 768 and 2"):
        load_front(PRESETS["paper"].speech, network)
    with pytest.raises(PresetError, match="was given no network"):
        build_front(PRESET).offline(torch.zeros(1, 640))
