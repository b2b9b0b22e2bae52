"""The identity trainer tells people apart, on frames that it never saw, and hands over an extractor."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from mytalk.checkpoint import read_preset
from mytalk.errors import DataError, OptionError
from mytalk.motion.identity import IdentityExtractor
from mytalk.torch_checkpoint import load_into
from mytalk.training.motion.identity import IdentityOptions, IdentityTask
from mytalk.training.run.config import read_config
from mytalk.training.run.logbook import read_curve
from mytalk.training.run.loop import fit
from tests.mytalk.support.small_store import make_store

CONFIG = read_config("tiny")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_store(tmp_path_factory.mktemp("identity_data"))


def test_people_are_told_apart_on_frames_never_seen(data: Path, tmp_path: Path) -> None:
    options = CONFIG.options("identity", IdentityOptions, steps=120, validate_every=120)
    fit(IdentityTask(CONFIG.preset, options, [data]), options, tmp_path, device="cpu")
    curve = read_curve(tmp_path)
    losses = [line["loss"] for line in curve if "loss" in line]
    assert losses[-1] < losses[0] / 10
    assert curve[-1]["held_out/accuracy"] > 0.9
    extractor = IdentityExtractor(read_preset(tmp_path / "weights").identity)
    load_into(extractor, tmp_path / "weights", "identity")


def test_frames_kept_for_validation_are_never_trained_on(data: Path) -> None:
    options = CONFIG.options("identity", IdentityOptions, noise=0.0, held_out_frames=0.25)
    task = IdentityTask(CONFIG.preset, options, [data])
    assert task.held_out is not None
    seen, kept = (
        {torch.as_tensor(rows.draw(step, row)["face"]).numpy().tobytes() for step in range(40) for row in range(16)}
        for rows in (task.examples, task.held_out)
    )
    assert len(kept) > 20
    assert not seen & kept


def test_one_person_cannot_be_told_from_others(tmp_path: Path) -> None:
    alone = make_store(tmp_path / "alone", people=1)
    with pytest.raises(DataError, match="need two or more"):
        IdentityTask(CONFIG.preset, CONFIG.options("identity", IdentityOptions), [alone])


def test_a_folder_without_data_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"manifest.jsonl.*train prepare"):
        IdentityTask(CONFIG.preset, CONFIG.options("identity", IdentityOptions), [tmp_path])


def test_shares_outside_their_range_are_refused() -> None:
    with pytest.raises(OptionError, match="held_out_frames"):
        CONFIG.options("identity", IdentityOptions, held_out_frames=1.0)
