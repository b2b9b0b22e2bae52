"""Frames rendered by torch, which a GPU runs, are those of the compiled renderer."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from mytalk import Picture
from mytalk.appearance.batched.kernel import BatchedKernel, render_batch
from mytalk.appearance.batched.scenes import part_of, tensors_of
from mytalk.appearance.colour_match import CELLS
from mytalk.appearance.interfaces import Kernel
from mytalk.appearance.placement import apply_affine
from mytalk.appearance.preset import EDGE, AppearancePreset
from mytalk.appearance.renderer import MouthRenderer
from mytalk.appearance.warm_up import empty_scene
from mytalk.appearance.warped_reference import WarpedReference
from mytalk.face import Face, HeadPose, fit_pose
from mytalk.face.landmarks import LOWER_FACE, LOWER_LIPS_INNER, LOWER_LIPS_OUTER
from tests.support.limits import LIMIT_S

Points = NDArray[np.float32]
LIPS = list(LOWER_LIPS_INNER[1:10] + LOWER_LIPS_OUTER[1:10])
MOST_STEPS = 1  # of 255: sums in another order are rounded to the other side
MOST_UNEQUAL = 0.01  # share of the pixels that are


class Contrast:
    """A network that adds a little of what it sees; ``kernel`` renders what it is asked for."""

    preset: AppearancePreset = EDGE

    def __init__(self, kernel: Kernel | None = None) -> None:
        self._kernel = kernel

    def refine(self, references: Points, non_lip: Points, landmarks: Points) -> Points:
        return np.asarray(0.05 * references[0] + 0.1 * non_lip - 0.05 * references.mean(0), np.float32)

    def new_painter(self) -> WarpedReference:
        return WarpedReference(self, self._kernel)


class Film(NamedTuple):
    """One frame of a film, and how far the mouth is to open."""

    picture: Picture
    by: float
    opacity: float = 1.0


def opened(smile: Points, by: float) -> Points:
    moved = smile.copy()
    moved[LIPS, 1] += by
    return moved


def rendered(film: list[Film], face: Face, refiner: Contrast) -> list[Picture]:
    """Renders a film of one face, whose mouths are learned as they are shown."""
    renderer, scale = MouthRenderer(refiner), film[0].picture.width / 512
    face = Face(face.points * np.float32(scale))
    pose, smile = fit_pose(face), face.points[list(LOWER_FACE), :2]
    shown = []
    for frame in film:
        wanted = opened(smile, scale * frame.by)
        shown.append(renderer.render(frame.picture, pose, smile, wanted, frame.opacity))
        renderer.observe(shown[-1], pose, wanted)  # a mouth of another shape
    return shown


def unequal(film: list[Film], made: list[Picture], wanted: list[Picture]) -> float:
    """Checks two films against each other; returns which share of the pixels that were changed is not equal."""
    changed = apart = 0
    for frame, one, other in zip(film, made, wanted, strict=True):
        for name in ("y", "u", "v"):
            found, right = getattr(one, name).astype(int), getattr(other, name)
            changed += int((right != getattr(frame.picture, name)).sum())
            apart += int((found != right).sum())
            assert np.abs(found - right).max() <= MOST_STEPS
    assert changed > 200
    return apart / changed


@pytest.fixture(scope="module")
def kernel() -> BatchedKernel:
    return BatchedKernel(torch.device("cpu"), EDGE)


def test_mouths_that_open_and_close_are_the_compiled_ones(
    portrait: Picture, portrait_face: Face, kernel: BatchedKernel
) -> None:
    """Few mouths are known at first, which a network refines; teeth, cavity and slits are drawn; one frame fades."""
    film = [Film(portrait, by) for by in (-3, 14, 0, 5, 9)]
    film += [Film(portrait, 6, 0.3), Film(portrait, 0)]
    share = unequal(film, rendered(film, portrait_face, Contrast(kernel)), rendered(film, portrait_face, Contrast()))
    assert share < MOST_UNEQUAL


@pytest.mark.parametrize("side", [200, 1400])
def test_pictures_of_any_size_are_the_compiled_ones(
    portrait: Picture, portrait_face: Face, kernel: BatchedKernel, side: int
) -> None:
    sized = Picture.from_rgb(cv2.resize(portrait.rgb(), (side, side), interpolation=cv2.INTER_AREA))
    film = [Film(sized, by) for by in (4, 9)]
    share = unequal(film, rendered(film, portrait_face, Contrast(kernel)), rendered(film, portrait_face, Contrast()))
    assert share < MOST_UNEQUAL


def test_what_is_in_front_of_the_mouth_stays_there(
    portrait: Picture, portrait_face: Face, pose: HeadPose, kernel: BatchedKernel
) -> None:
    rgb, to_picture = portrait.rgb(), cv2.invertAffineTransform(pose.crop_matrix())
    x, y = apply_affine(to_picture, np.array([64, 73], np.float32)).astype(int).tolist()
    cv2.circle(rgb, (x, y), round(11 * float(np.linalg.norm(to_picture[:, 0]))), (25, 25, 30), -1)
    film = [Film(portrait, by) for by in (-4, -2, 0, 2, 4, 6, 8, 10)]
    film += [Film(Picture.from_rgb(rgb), 5) for _ in range(2)]
    made, wanted = (rendered(film, portrait_face, one) for one in (Contrast(kernel), Contrast()))
    assert unequal(film, made, wanted) < MOST_UNEQUAL
    assert made[-1].y[y, x] < 60


def test_sessions_that_share_a_batch_get_what_they_get_alone(
    portrait: Picture, portrait_face: Face, kernel: BatchedKernel
) -> None:
    films = [[Film(portrait, by) for by in (first, first + 3)] for first in (-2, 3)]
    alone = [rendered(film, portrait_face, Contrast(kernel)) for film in films]
    with ThreadPoolExecutor(2) as threads:
        tries = [threads.submit(rendered, film, portrait_face, Contrast(kernel)) for film in films]
        together = [one.result(LIMIT_S) for one in tries]
    for one, other in zip(alone, together, strict=True):
        for made, wanted in zip(one, other, strict=True):
            np.testing.assert_array_equal(made.rgb(), wanted.rgb())


def test_rows_of_a_batch_do_not_touch_each_other(portrait: Picture, pose: HeadPose, smile: Points) -> None:
    empty = empty_scene(128)
    part, cover = part_of(empty.frame.y, empty.frame.to_picture), np.zeros((CELLS, CELLS), np.float32)
    residual = np.zeros((EDGE.window, EDGE.window, 3), np.float32)
    points = apply_affine(pose.crop_matrix(), smile)
    one = tensors_of(empty, part, (1.0, 1.0, 1.0, 1.0, 1.0), cover, residual, EDGE.stem)
    bright = empty.reference._replace(points=points, crop=np.full((128, 128, 3), 200, np.uint8))
    other = empty._replace(source=points, wanted=opened(points, 8), reference=bright)
    two = tensors_of(other, part, (0.5, 1.0, 0.0, 0.7, 0.0), cover, residual, EDGE.stem)
    with torch.inference_mode():
        together = render_batch(*(torch.cat(both) for both in zip(one, two, strict=True)))
        for row, alone in enumerate((render_batch(*one), render_batch(*two))):
            for made, wanted in zip(together, alone, strict=True):
                assert torch.equal(made[row], wanted[0])


def test_a_network_that_went_wrong_is_told(portrait: Picture, portrait_face: Face, kernel: BatchedKernel) -> None:
    class Nan(Contrast):
        def refine(self, references: Points, non_lip: Points, landmarks: Points) -> Points:
            return np.full(non_lip.shape, np.nan, np.float32)

    with pytest.raises(FloatingPointError, match="not a number"):
        rendered([Film(portrait, 0), Film(portrait, 8)], portrait_face, Nan(kernel))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_frames_are_the_compiled_ones(portrait: Picture, portrait_face: Face) -> None:
    film = [Film(portrait, by) for by in (-3, 14, 0, 5, 9, -1.5, 2.5, 7, 11, 4)]
    made = rendered(film, portrait_face, Contrast(BatchedKernel(torch.device("cuda"), EDGE)))
    assert unequal(film, made, rendered(film, portrait_face, Contrast())) < MOST_UNEQUAL
