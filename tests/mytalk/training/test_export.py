"""Three runs become one preset folder that the engine loads; runs that do not belong together are refused."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import mytalk
from mytalk.appearance.model import AppearanceModel
from mytalk.checkpoint import save_preset
from mytalk.errors import OptionError, OutputExistsError, PresetError, WeightsError
from mytalk.torch_checkpoint import read_tensors, save_tensors
from mytalk.training.export import compose
from mytalk.training.motion.task import MotionSources
from mytalk.training.run.config import Config, read_config
from mytalk.training.trainers import train_identity, train_motion
from tests.mytalk.support.small_store import make_store

CONFIG = read_config("tiny")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    data = make_store(folder / "data")
    for name, seed in (("identity", 1), ("other", 2)):
        train_identity(CONFIG, [data], folder / name, device="cpu", steps=2, batch=4, seed=seed)
    sources = MotionSources([data], folder / "identity")
    train_motion(CONFIG, sources, folder / "motion", device="cpu", steps=2, batch=2)
    _appearance(CONFIG, folder / "appearance")
    return folder


def _appearance(config: Config, run: Path) -> None:
    save_preset(run / "weights", config.preset)
    save_tensors(run / "weights", "appearance", AppearanceModel(config.preset.appearance).state_dict())


def test_the_folder_is_a_preset_that_loads(runs: Path, tmp_path: Path) -> None:
    compose(runs / "identity", runs / "motion", runs / "appearance", tmp_path / "mine")
    pipeline = mytalk.load(tmp_path / "mine", device="cpu")
    assert pipeline.preset.motion.width == CONFIG.preset.motion.width
    assert np.array_equal(pipeline.motion.space.basis, mytalk.load(tmp_path / "mine", device="cpu").motion.space.basis)
    card = (tmp_path / "mine" / "MODEL_CARD.md").read_text()
    assert re.fullmatch(r"mine \([0-9a-f]{8}\)", pipeline.preset.name)
    assert f"# Model card: {pipeline.preset.name}\n" in card
    assert f"Sizes of preset `{CONFIG.preset.name}`" in card
    assert "| motion |" in card
    assert '"aperture_weight": 1.0' in card


def test_a_checkpoint_may_stand_for_its_run(runs: Path, tmp_path: Path) -> None:
    checkpoint = {name: runs / name / "checkpoints" / "step-00000002" for name in ("identity", "motion")}
    compose(checkpoint["identity"], checkpoint["motion"], runs / "appearance", tmp_path / "checkpoint")
    compose(runs / "identity", runs / "motion", runs / "appearance", tmp_path / "run")
    for part in ("identity", "motion"):
        one, other = (read_tensors(tmp_path / name, part) for name in ("checkpoint", "run"))
        assert one.keys() == other.keys()
        assert all(torch.equal(one[name], other[name]) for name in one)


def test_runs_from_one_start_are_averaged(runs: Path, tmp_path: Path) -> None:
    began = MotionSources([runs / "data"], runs / "identity", start=runs / "motion")
    for name, seed in (("one", 1), ("two", 2)):
        train_motion(CONFIG, began, tmp_path / name, device="cpu", steps=2, batch=2, seed=seed)
    given = runs / "identity", tmp_path / "one", runs / "appearance"
    compose(*given, tmp_path / "mean", average=[tmp_path / "two"])
    one, two, mean = (
        read_tensors(folder, "motion")
        for folder in (tmp_path / "one" / "weights", tmp_path / "two" / "weights", tmp_path / "mean")
    )
    assert mean.keys() == one.keys()
    assert all(torch.allclose(mean[name], (one[name] + two[name]) / 2, atol=1e-7) for name in mean)
    assert any(not torch.equal(one[name], two[name]) for name in mean)
    assert "| motion 2 |" in (tmp_path / "mean" / "MODEL_CARD.md").read_text()
    mytalk.load(tmp_path / "mean", device="cpu")
    stranger = read_tensors(tmp_path / "two" / "weights", "motion")
    save_tensors(tmp_path / "two" / "weights", "motion", stranger | {"space.scale": 2 * stranger["space.scale"]})
    with pytest.raises(WeightsError, match="another space"):
        compose(*given, tmp_path / "none", average=[tmp_path / "two"])
    assert not (tmp_path / "none").exists()


def test_a_preset_that_is_there_is_not_replaced_unasked(runs: Path, tmp_path: Path) -> None:
    given = runs / "identity", runs / "motion", runs / "appearance", tmp_path
    compose(*given)
    with pytest.raises(OutputExistsError, match="--force"):
        compose(*given)
    compose(*given, force=True)


def test_runs_that_do_not_belong_together_are_refused(runs: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="another identity extractor"):
        compose(runs / "other", runs / "motion", runs / "appearance", tmp_path)
    paper = replace(CONFIG, preset=replace(CONFIG.preset, name="paper"))
    _appearance(paper, tmp_path / "paper")
    with pytest.raises(PresetError, match="different presets, edge, paper"):
        compose(runs / "identity", runs / "motion", tmp_path / "paper", tmp_path / "out")
    with pytest.raises(OptionError, match="neither a run"):
        compose(runs / "identity", runs / "motion", tmp_path / "nothing", tmp_path / "out")


def test_a_run_records_its_configuration(runs: Path) -> None:
    assert (runs / "motion" / "config.toml").read_text() == CONFIG.text
    assert '"steps": 2' in (runs / "motion" / "options.json").read_text()


@pytest.mark.parametrize("name", ["edge", "paper", "tiny"])
def test_shipped_configs_hold_known_options_only(name: str) -> None:
    from mytalk.training.appearance.options import AppearanceOptions
    from mytalk.training.motion.examples import MotionOptions
    from mytalk.training.motion.identity import IdentityOptions

    config = read_config(name)
    assert set(config.tables) >= {"identity", "motion", "appearance"}
    config.options("identity", IdentityOptions)
    config.options("motion", MotionOptions)
    config.options("appearance", AppearanceOptions)


def test_the_second_part_of_edge_is_of_its_sizes_and_speaks_of_motion_alone() -> None:
    from mytalk.training.motion.examples import MotionOptions

    config = read_config("edge_people")
    assert config.preset == read_config("edge").preset
    assert set(config.tables) == {"motion"}
    assert config.options("motion", MotionOptions).tts_first == 0
