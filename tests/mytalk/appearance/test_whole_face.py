"""Promises of the paper's framing: the network sees and paints the whole face, and only the mouth is taken."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from mytalk import Picture, Pipeline, StreamOptions, VideoFrame
from mytalk.appearance.crop_frame import FACE, MOUTH
from mytalk.appearance.mask import mouth_mask, moving_mask
from mytalk.appearance.model import AppearanceModel
from mytalk.appearance.network_inputs import WHOLE_FACE, face_inputs, lip_picture, to_crop
from mytalk.appearance.placement import apply_affine, placement_of
from mytalk.appearance.preset import PAPER
from mytalk.appearance.raster import face_picture, landmark_picture
from mytalk.appearance.renderer import MouthRenderer
from mytalk.errors import PresetError
from mytalk.face import Face, HeadPose
from mytalk.face.landmarks import LOWER_FACE, LOWER_LIPS_INNER, LOWER_LIPS_OUTER
from tests.mytalk.support.crop_fields import resample_field

Points = NDArray[np.float32]
SMALL = replace(
    PAPER, hidden=8, multipliers=(1, 1), blocks=1, decoder_hidden=8, decoder_blocks=1, fusion_hidden=8,
    fusion_blocks=1, norm_groups=4, stem=4, decoder_middle=0,
)  # fmt: skip


class Oracle(AppearanceModel):
    """Paints the face that it is given, and counts how often lips were encoded."""

    def __init__(self, face: NDArray[np.uint8]) -> None:
        super().__init__(SMALL)
        self.encoded = 0
        self.answer = torch.from_numpy(WHOLE_FACE.normalise(face.astype(np.float32))).movedim(-1, 0)

    def lip_features(self, references: Tensor) -> Tensor:
        self.encoded += 1
        return super().lip_features(references)

    def paint(self, lips: Tensor, non_lip: Tensor, landmarks: Tensor) -> Tensor:
        return self.answer.unsqueeze(0)


@pytest.fixture(scope="module")
def crop(portrait: Picture, pose: HeadPose) -> NDArray[np.uint8]:
    """The astronaut's whole face, 256 pixels a side."""
    place = placement_of(portrait, pose.crop_matrix(), frame=FACE)
    assert place is not None
    return to_crop(portrait.region_rgb(place.box), place.to_pixels, 128, FACE)


def opened(smile: Points, by: float) -> Points:
    moved = smile.copy()
    moved[list(LOWER_LIPS_INNER[1:10] + LOWER_LIPS_OUTER[1:10]), 1] += by
    return moved


def test_the_mouth_crop_is_a_slice_of_the_face(portrait: Picture, pose: HeadPose, crop: NDArray[np.uint8]) -> None:
    place = placement_of(portrait, pose.crop_matrix())
    assert place is not None
    mouth = to_crop(portrait.region_rgb(place.box), place.to_pixels, 128, MOUTH)
    assert crop.shape == (256, 256, 3)
    assert FACE.mouth(128) == (slice(128, 256), slice(64, 192))
    assert np.abs(crop[FACE.mouth(128)].astype(int) - mouth).mean() < 0.1


@pytest.mark.parametrize("size", [64, 128])
def test_crop_pixels_are_found_in_the_face(size: int) -> None:
    rows, columns = FACE.mouth(size)
    corners = np.array([[0, 0], [127, 127]], np.float32)
    half = (128 / size - 1) / 2  # of the crop's first pixel, where the face has fewer
    inner = corners + np.array([[half, half], [-half, -half]], np.float32)
    found = apply_affine(FACE.to_pixels(size), inner)
    assert np.allclose(found, [[columns.start, rows.start], [columns.stop - 1, rows.stop - 1]])


def test_a_network_that_paints_what_was_filmed_gives_the_picture_back(
    portrait: Picture, portrait_face: Face, pose: HeadPose, smile: Points, crop: NDArray[np.uint8]
) -> None:
    rendered = MouthRenderer(Oracle(crop)).render(portrait, pose, smile, smile, face=portrait_face.points[:, :2])
    place = placement_of(portrait, pose.crop_matrix())
    assert place is not None
    changed = resample_field(mouth_mask(apply_affine(pose.crop_matrix(), smile)), place) > 0.5
    x0, y0, x1, y1 = place.box
    off = np.abs(rendered.y.astype(int) - portrait.y)[y0:y1, x0:x1][changed]
    assert off.mean() < 1.5
    assert not np.array_equal(rendered.y, portrait.y)  # it was painted anew, at the crop's resolution


def test_nothing_outside_the_mask_changes(
    portrait: Picture, portrait_face: Face, pose: HeadPose, smile: Points, crop: NDArray[np.uint8]
) -> None:
    wanted, matrix = opened(smile, 6), pose.crop_matrix()
    model = Oracle(np.zeros_like(crop))
    rendered = MouthRenderer(model).render(portrait, pose, smile, wanted, face=portrait_face.points[:, :2])
    place = placement_of(portrait, matrix)
    assert place is not None
    seen, goal = apply_affine(matrix, smile), apply_affine(matrix, wanted)
    changeable = np.zeros((portrait.height, portrait.width), bool)
    x0, y0, x1, y1 = place.box
    changeable[y0:y1, x0:x1] = resample_field(np.maximum(mouth_mask(goal), moving_mask(seen, goal)), place) > 0
    assert np.array_equal(rendered.y[~changeable], portrait.y[~changeable])
    assert rendered.y[changeable].mean() < 0.8 * portrait.y[changeable].mean()


def test_constant_references_are_encoded_when_the_bank_has_doubled_and_not_each_frame(
    portrait: Picture, portrait_face: Face, pose: HeadPose, smile: Points, crop: NDArray[np.uint8]
) -> None:
    model = Oracle(crop)
    renderer = MouthRenderer(model)
    counts = []
    for frame in range(12):
        renderer.observe(portrait, pose, opened(smile, 2.0 * (frame // 2)))  # six mouths in all
        renderer.render(portrait, pose, smile, smile, face=portrait_face.points[:, :2])
        counts.append((renderer.bank_size, model.encoded))
    assert counts[-1][0] == 6
    assert [encoded for size, encoded in counts if size == 1] == [1, 1]
    assert [encoded for size, encoded in counts if size == 3] == [2, 2]
    assert model.encoded == 3  # at 1, 2 and 4 mouths


def test_masks_part_the_lips_from_the_rest(
    portrait_face: Face, pose: HeadPose, smile: Points, crop: NDArray[np.uint8]
) -> None:
    matrix = pose.crop_matrix()
    points, region = apply_affine(matrix, smile), mouth_mask(apply_affine(matrix, smile))
    lips, full = lip_picture(crop, points, masked=True), lip_picture(crop, points, masked=False)
    seen = face_inputs(lips[None], crop.astype(np.float32), region, apply_affine(matrix, portrait_face.points[:, :2]))
    assert np.allclose(lips + seen.non_lip, full, atol=1e-5)
    assert not lips[:128].any()
    assert not seen.non_lip[FACE.mouth(128)][region == 1].any()


def test_the_face_drawn_shows_the_same_lips_as_the_mouth_drawn(portrait_face: Face, pose: HeadPose) -> None:
    points = apply_affine(pose.crop_matrix(), portrait_face.points[:, :2])
    face, mouth = face_picture(points), landmark_picture(points[list(LOWER_FACE)])
    assert np.array_equal(face[FACE.mouth(128)][..., :2], mouth[..., :2])
    assert face[:128, :, 2].any()  # eyes and brows


def test_a_model_that_sees_the_whole_face_wants_all_landmarks(
    portrait: Picture, pose: HeadPose, smile: Points, crop: NDArray[np.uint8]
) -> None:
    with pytest.raises(ValueError, match="478"):
        MouthRenderer(Oracle(crop)).render(portrait, pose, smile, smile)


@pytest.mark.parametrize("references", [1, 3])
def test_each_reference_design_renders(
    portrait: Picture, portrait_face: Face, pose: HeadPose, smile: Points, references: int
) -> None:
    torch.manual_seed(0)
    model = AppearanceModel(replace(SMALL, references=references, masked=references == 3))
    face = portrait_face.points[:, :2]
    rendered = MouthRenderer(model, still=True).render(portrait, pose, smile, opened(smile, 4), face=face)
    assert not np.array_equal(rendered.y, portrait.y)


@pytest.mark.parametrize(
    "sizes", [{"residual": True}, {"window": 128}, {"framing": "mouth", "size": 256, "masked": False}]
)
def test_sizes_that_contradict_the_framing_are_refused(sizes: dict[str, Any]) -> None:
    with pytest.raises(PresetError, match="framing"):
        replace(PAPER, **sizes)


def test_a_session_paints_with_a_whole_face_model(
    pipeline: Pipeline, portrait: Picture, babble: NDArray[np.float32]
) -> None:
    torch.manual_seed(0)
    painter = Pipeline(pipeline.preset, pipeline.motion, AppearanceModel(SMALL), pipeline.device)
    frames = [VideoFrame(portrait, 640 * n, n, Fraction(1, 25)) for n in range(8)]
    shown = list(painter.dub(frames, babble[: 640 * 8], StreamOptions(still=True)))
    assert [frame.at for frame in shown] == [frame.at for frame in frames]
    assert all(not np.array_equal(frame.picture.y, portrait.y) for frame in shown)
    assert np.array_equal(shown[-1].picture.y[:100], portrait.y[:100])
