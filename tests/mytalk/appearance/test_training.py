"""Promises of the training script, on crops that the renderer makes of the one real face at hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from mytalk import Picture
from mytalk.appearance.compose import apply, place_of
from mytalk.appearance.prepare import to_crop
from mytalk.appearance.preset import EDGE
from mytalk.appearance.renderer import MouthRenderer
from mytalk.errors import InputError
from mytalk.face import Face, fit_pose
from mytalk.face.landmarks import LOWER_FACE, LOWER_LIPS_INNER
from mytalk.training.appearance import Recipe, Run
from mytalk.training.appearance_data import Examples
from mytalk.training.crops import Crops, load_crops, save_crops


@pytest.fixture(scope="module")
def data(portrait: Picture, portrait_face: Face, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one clip: the astronaut opening and closing her mouth."""
    folder = tmp_path_factory.mktemp("crops")
    pose, smile = fit_pose(portrait_face), portrait_face.points[list(LOWER_FACE), :2]
    matrix = pose.crop_matrix()
    place = place_of(portrait, matrix)
    assert place is not None
    crops, points = [], []
    for frame in range(24):
        wanted = smile.copy()
        wanted[list(LOWER_LIPS_INNER[1:10]), 1] += 3 * np.sin(frame / 3)
        picture = MouthRenderer(None).render(portrait, pose, smile, wanted)
        crops.append(to_crop(picture.region_rgb(place.box), place.to_pixels, EDGE.size))
        points.append(apply(matrix, wanted))
    save_crops(Crops("astronaut", np.stack(crops), np.stack(points), np.arange(24)), folder, "clip")
    return folder


def recipe() -> Recipe:
    return Recipe(minutes=60, seed=4, batch=2, patch_from=0.0)


def steps(run: Run, count: int) -> Run:
    for _ in range(count):
        run.step()
        run.seconds = 30.0 * run.steps  # the clock decides the learning rate
    return run


def test_crops_come_back_as_saved(data: Path, tmp_path: Path) -> None:
    clip = load_crops(data / "clip.npz")
    save_crops(clip, tmp_path, "again")
    again = load_crops(tmp_path / "again.npz")
    assert again.person == "astronaut"
    assert np.array_equal(again.crops, clip.crops)


def test_a_resumed_run_goes_on_exactly(data: Path, tmp_path: Path) -> None:
    cpu = torch.device("cpu")
    straight = steps(Run("edge", recipe(), data, cpu), 4)
    first = steps(Run("edge", recipe(), data, cpu), 2)
    first.save(tmp_path / "last.pt")
    second = Run("edge", recipe(), data, cpu)
    second.resume(tmp_path / "last.pt")
    steps(second, 2)
    for name, value in straight.model.state_dict().items():
        assert torch.equal(second.model.state_dict()[name], value), name
    assert all(torch.equal(second.average[name], value) for name, value in straight.average.items())


def test_examples_are_the_same_for_the_same_seed_and_finite(data: Path) -> None:
    one, other = Examples(data, EDGE, seed=5), Examples(data, EDGE, seed=5)
    for _ in range(12):
        a, b = one.draw(), other.draw()
        assert np.array_equal(a.references, b.references)
        assert np.array_equal(a.truth, b.truth)
        assert np.isfinite(a.references).all()
        assert np.isfinite(a.truth).all()
        assert a.truth.shape == (EDGE.window, EDGE.window, 3)


def test_an_empty_folder_says_how_to_fill_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"mytalk\.training\.crops"):
        Examples(tmp_path, EDGE, seed=1)
