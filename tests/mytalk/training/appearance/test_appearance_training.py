"""Promises of the appearance trainer, on clips that the renderer makes of the one real face at hand."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import mytalk
from mytalk import Picture
from mytalk.appearance.model import AppearanceModel
from mytalk.appearance.preset import EDGE, PAPER, AppearancePreset
from mytalk.appearance.renderer import MouthRenderer
from mytalk.checkpoint import read_preset
from mytalk.errors import DataError, TrainingError, WeightsError
from mytalk.face import Face, fit_pose
from mytalk.face.landmarks import LOWER_FACE
from mytalk.presets import PRESETS
from mytalk.torch_checkpoint import load_into, read_tensors
from mytalk.training.appearance.examples import AppearanceExamples
from mytalk.training.appearance.options import AppearanceOptions
from mytalk.training.appearance.task import AppearanceTask
from mytalk.training.data.store import ClipStore
from mytalk.training.run.config import read_config
from mytalk.training.run.logbook import read_curve
from mytalk.training.run.loop import fit
from mytalk.training.trainers import train_appearance
from tests.mytalk.support.aligned_faces import write_faces

SMALL = replace(
    PAPER, size=32, window=64, stem=4, hidden=32, multipliers=(1,), blocks=1, middle=False, decoder_hidden=32,
    decoder_blocks=1, fusion_hidden=32, fusion_blocks=1, norm_groups=8, discriminator_hidden=8, discriminator_layers=1,
    decoder_middle=0,
)  # fmt: skip
PLAIN = AppearanceOptions(steps=4, batch=4, learning_rate=2e-3, log_every=1, save_every=0, pictures_every=0)
LIKE_A_BANK = AppearanceOptions(
    steps=4, batch=2, learning_rate=1e-3, by_person=True, drawn="bank", same_frame=0.4, jitter=0.25, augment=True,
    whole=False, mouth_weight=4.0, gradient_weight=0.25, texture_weight=2.0, trust=True, detail=True, log_every=1,
    patch_start=1,
)  # fmt: skip


@pytest.fixture(scope="module")
def data(portrait: Picture, portrait_face: Face, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_faces(tmp_path_factory.mktemp("faces"), portrait, portrait_face, ("ann", "bob"))


@pytest.fixture(scope="module")
def store(data: Path) -> ClipStore:
    return ClipStore(data)


def task(preset: AppearancePreset, options: AppearanceOptions, store: ClipStore) -> AppearanceTask:
    return AppearanceTask(replace(PRESETS["edge"], appearance=preset), options, store)


def curve(run: Path, name: str = "loss") -> list[float]:
    return [line[name] for line in read_curve(run) if name in line]


class FewExamples(AppearanceExamples):
    """Six rows over and over, each made once."""

    @lru_cache  # noqa: B019
    def _made(self, step: int, row: int) -> dict[str, Any]:
        return super().draw(step, row)

    def draw(self, step: int, row: int) -> dict[str, Any]:
        return self._made(step % 3, row)


def test_a_painting_preset_learns_a_face_by_heart(store: ClipStore, tmp_path: Path) -> None:
    preset = replace(SMALL, size=16, window=32, stem=1, hidden=16, decoder_hidden=16, fusion_hidden=16)
    options = replace(
        PLAIN, steps=120, batch=2, patch_weight=0.0, learning_rate=6e-3, warm_up=5, schedule="cosine", betas=(0.9, 0.99)
    )
    learned = task(preset, options, store)
    learned.examples = FewExamples(store, preset, options)
    fit(learned, options, tmp_path, device="cpu")
    l1 = curve(tmp_path, "l1")
    assert np.mean(l1[-5:]) < 0.1 * l1[0]


@pytest.mark.parametrize(("preset", "options"), [(EDGE, LIKE_A_BANK), (SMALL, PLAIN)])
def test_a_run_that_was_stopped_goes_on_exactly(
    preset: AppearancePreset, options: AppearanceOptions, store: ClipStore, tmp_path: Path
) -> None:
    straight, resumed = tmp_path / "straight", tmp_path / "resumed"
    fit(task(preset, options, store), options, straight, device="cpu")
    for steps in (2, 4):
        again = replace(options, steps=steps)
        fit(task(preset, again, store), again, resumed, device="cpu")
    assert curve(resumed) == curve(straight)
    one, other = (read_tensors(run / "weights", "appearance") for run in (straight, resumed))
    assert all(torch.equal(one[name], tensor) for name, tensor in other.items())


def test_how_a_batch_is_shared_out_does_not_change_the_curve(store: ClipStore, tmp_path: Path) -> None:
    options = replace(PLAIN, balance=False)  # which weighs two gradients of a part against each other
    for passes in (1, 2):
        fit(task(SMALL, options, store), replace(options, accumulate=passes), tmp_path / str(passes), device="cpu")
    torch.testing.assert_close(curve(tmp_path / "1"), curve(tmp_path / "2"), rtol=1e-4, atol=1e-5)


def test_a_trained_model_renders(store: ClipStore, portrait: Picture, portrait_face: Face, tmp_path: Path) -> None:
    fit(task(SMALL, PLAIN, store), PLAIN, tmp_path, device="cpu")
    preset = read_preset(tmp_path / "weights").appearance
    assert preset == SMALL
    model = AppearanceModel(preset)
    load_into(model, tmp_path / "weights", "appearance")
    lower, face = portrait_face.points[list(LOWER_FACE), :2], portrait_face.points[:, :2]
    rendered = MouthRenderer(model).render(portrait, fit_pose(portrait_face), lower, lower, face=face)
    assert not np.array_equal(rendered.y, portrait.y)


def test_a_run_may_begin_from_weights_that_are_there(data: Path, tmp_path: Path) -> None:
    given = {"steps": 1, "batch": 2, "learning_rate": 1e-9}
    embedded = Path(mytalk.__file__).parent / "weights" / "edge"
    train_appearance(read_config("edge"), [data], tmp_path / "run", start=embedded, device="cpu", **given)
    asis, begun = read_tensors(embedded, "appearance"), read_tensors(tmp_path / "run" / "weights", "appearance")
    assert asis.keys() == begun.keys()
    assert all(torch.allclose(asis[name], begun[name], atol=1e-6) for name in asis)
    with pytest.raises(WeightsError, match="another preset"):
        train_appearance(read_config("tiny"), [data], tmp_path / "tiny", start=embedded, device="cpu", **given)


@pytest.mark.parametrize(("preset", "options"), [(EDGE, LIKE_A_BANK), (SMALL, PLAIN)])
def test_a_row_depends_on_its_number_alone(
    preset: AppearancePreset, options: AppearanceOptions, data: Path, store: ClipStore
) -> None:
    one, other = AppearanceExamples(store, preset, options), AppearanceExamples(ClipStore(data), preset, options)
    other.draw(7, 3)
    first, again = one.draw(2, 1), other.draw(2, 1)
    assert first.keys() == again.keys()
    for name, value in first.items():
        assert np.array_equal(value, again[name]), name
        assert name == "key" or np.isfinite(value).all()
    assert first["truth"].shape == (3, preset.window, preset.window)
    assert not np.array_equal(first["truth"], one.draw(2, 2)["truth"])


@pytest.mark.parametrize(("references", "masked"), [(3, True), (1, True), (1, False)])
def test_reference_designs_differ_in_what_the_network_is_shown(references: int, masked: bool, store: ClipStore) -> None:
    row = AppearanceExamples(store, replace(SMALL, references=references, masked=masked), PLAIN).draw(0, 0)
    assert row["references"].shape == (references, 3, 64, 64)
    assert row["references"][:, :, :24].any() != masked  # eyes and forehead
    assert row["references"][:, :, 44:48, 30:34].all()  # lips


def test_sample_pictures_show_every_input_beside_truth_and_result(store: ClipStore) -> None:
    sheet = task(SMALL, PLAIN, store).pictures()["appearance"]
    assert sheet.shape == (4 * 64, 8 * 64, 3)
    truth, non_lip = sheet[:64, 5 * 64 : 6 * 64], sheet[:64, 3 * 64 : 4 * 64]
    assert np.array_equal(truth[:24], non_lip[:24])


def test_faces_smaller_than_the_preset_are_refused_with_what_to_do(store: ClipStore) -> None:
    with pytest.raises(DataError, match=r"faces of 256 pixels, need 512 \(prepare with --size 512\)"):
        AppearanceExamples(store, replace(SMALL, size=256, window=512), PLAIN).draw(0, 0)


class Broken(AppearanceExamples):
    """From step 2 on, row 1 is not a number."""

    def draw(self, step: int, row: int) -> dict[str, Any]:
        made = super().draw(step, row)
        if (step, row) == (2, 1):
            made["truth"] = np.full_like(made["truth"], np.nan)
            made["key"] = "broken clip"
        return made


@pytest.mark.parametrize("balance", [False, True])
def test_a_loss_that_is_not_finite_names_step_and_clip(balance: bool, store: ClipStore, tmp_path: Path) -> None:
    options = replace(PLAIN, balance=balance, save_every=1)
    broken = task(SMALL, options, store)
    broken.examples = Broken(store, SMALL, options)
    with pytest.raises(TrainingError, match=r"step 2: loss \w+ is not finite, on broken clip; .*step-0*2"):
        fit(broken, options, tmp_path, device="cpu")
