"""Shares of readout and denoiser, scored on people left out: what is fitted to whom, and what the command prints."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from mytalk.checkpoint import read_preset, save_preset
from mytalk.errors import DataError, OptionError
from mytalk.motion.model import MotionModel
from mytalk.presets import PRESETS
from mytalk.torch_checkpoint import save_tensors
from mytalk.training.data.people import fit_space, sample_people
from mytalk.training.data.store import ClipStore
from mytalk.training.speech import share_scores
from mytalk.training.speech.readout import Sums, add_readout
from mytalk.training.speech.share_scores import ShareRow, score_shares
from streamer.cli import main
from tests.mytalk.support.small_store import make_store


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_store(tmp_path_factory.mktemp("data"), people=3)


@pytest.fixture(scope="module")
def folder(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A preset with a readout, and a denoiser of random weights, in a mouth space of the clips."""
    made = tmp_path_factory.mktemp("preset")
    torch.manual_seed(1)
    edge = PRESETS["edge"]
    preset = replace(edge, motion=replace(edge.motion, layers=1))
    model = MotionModel(preset)
    model.space.load_state_dict(fit_space(sample_people(ClipStore(data), 0), 24).state_dict())
    save_preset(made, preset)
    own = {name: tensor for name, tensor in model.state_dict().items() if not name.startswith("identity.")}
    save_tensors(made, "motion", own)
    save_tensors(made, "identity", model.identity.state_dict())
    add_readout(made, [data])
    return made


@pytest.fixture(scope="module")
def scored(folder: Path, data: Path) -> tuple[list[ShareRow], list[int]]:
    """The readout alone and the denoiser alone over three people; and how many people each fit saw."""
    seen: list[int] = []
    solve = share_scores.solve

    def counted(people: list[Sums]) -> tuple[Tensor, Tensor]:
        seen.append(len(people))
        return solve(people)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(share_scores, "solve", counted)
        return score_shares(folder, [data], [data], [1.0, 0.0]), seen


def test_everybody_is_scored_once_for_each_share(scored: tuple[list[ShareRow], list[int]]) -> None:
    rows, seen = scored
    assert [(row.share, len(row.by_person)) for row in rows] == [(1.0, 3), (0.0, 3)]
    assert seen == [2] * 3  # three people, one left out each time


def test_a_fitted_readout_says_more_than_a_denoiser_of_random_weights(scored: tuple[list[ShareRow], list[int]]) -> None:
    (readout, denoiser), _ = scored
    assert readout.over("correlation").mean > denoiser.over("correlation").mean + 0.2
    assert readout.over("error").mean < denoiser.over("error").mean


def test_the_command_prints_a_line_for_each_share_and_person(
    folder: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["train", "crossvalidate", str(folder), "--data", str(data), "--shares", "1", "--people"]
    assert main(arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines if line.startswith("            1.00")] == [["1.00", "3"]]
    assert len([line for line in lines if line.startswith("    1.00")]) == 3


def test_what_cannot_be_scored_is_refused(
    folder: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(DataError, match="one person alone"):
        score_shares(folder, [make_store(tmp_path, people=1)], [tmp_path], [1.0])
    assert main(["train", "crossvalidate", str(folder), "--data", str(data), "--shares", "2"]) != 0
    assert "need shares from 0 to 1" in capsys.readouterr().err
    preset = read_preset(folder)
    save_preset(folder, replace(preset, motion=replace(preset.motion, readout=0.0)))
    try:
        with pytest.raises(OptionError, match="no readout"):
            score_shares(folder, [data], [data], [1.0])
    finally:
        save_preset(folder, preset)
