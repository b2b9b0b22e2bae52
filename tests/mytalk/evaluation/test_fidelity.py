"""Picture measures on pictures of known difference."""

from __future__ import annotations

import sys
from fractions import Fraction

import numpy as np
import pytest

from mytalk.evaluation.crop import SIDE, face_crop, mouth_box
from mytalk.evaluation.extras import missing
from mytalk.evaluation.fidelity import Fidelity, change, detail, psnr, sharpness, ssim
from mytalk.evaluation.moment import Moment, Pair
from mytalk.evaluation.outside import Outside
from mytalk.face import Face, fit_pose
from mytalk.face.landmarks import LIPS_OUTER
from mytalk.media_time import FRAME_SAMPLES, MOTION_RATE
from mytalk.picture import Picture, VideoFrame


def noise(seed: int = 0) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.random.default_rng(seed).uniform(50, 200, (64, 64, 3)).astype(np.float32)


def moment(face: Face, true: Picture, generated: Picture, index: int = 0) -> Moment:
    filmed, generated = (
        VideoFrame(picture, index * FRAME_SAMPLES, index, Fraction(1, MOTION_RATE)) for picture in (true, generated)
    )
    return Moment(Pair(filmed, generated, face), face)


def with_luma(picture: Picture, rows: slice, columns: slice, add: int) -> Picture:
    y = picture.y.copy()
    y[rows, columns] = np.clip(y[rows, columns].astype(int) + add, 0, 255)
    return Picture(y, picture.u, picture.v, picture.matrix, picture.full_range)


def mouth_of(face: Face) -> tuple[slice, slice]:
    low, high = face.points[list(LIPS_OUTER), :2].min(axis=0), face.points[list(LIPS_OUTER), :2].max(axis=0)
    return slice(int(low[1]), int(high[1])), slice(int(low[0]), int(high[0]))


def test_psnr_of_a_known_error() -> None:
    one = noise()
    assert psnr(one, one) == float("inf")
    assert psnr(one, one + 10) == pytest.approx(20 * np.log10(255 / 10), abs=1e-3)


def test_ssim_is_one_for_the_same_and_falls_with_noise() -> None:
    one = noise()
    assert ssim(one, one) == pytest.approx(1)
    assert ssim(one, one + noise(1) - 125) < 0.9


def test_blur_is_less_sharp() -> None:
    one = noise()
    blurred = (one + np.roll(one, 1, 0) + np.roll(one, 1, 1)) / 3
    assert sharpness(blurred) < 0.7 * sharpness(one)


def test_grain_is_sharp_and_no_detail() -> None:
    one = noise()
    grained = np.full_like(one, 125) + noise(1) - 125
    assert detail(one, one) == pytest.approx(1)
    assert detail(one, 0.5 * one + 40) == pytest.approx(1, abs=1e-5)
    assert sharpness(grained) == pytest.approx(sharpness(one), rel=0.1)
    assert abs(detail(one, grained)) < 0.1
    assert np.isnan(detail(one, np.full_like(one, 100)))


def test_change_counts_the_box_alone() -> None:
    one, other = noise(), noise()
    other[:10] += 8
    assert change(other, one, (slice(0, 10), slice(0, 64))) == pytest.approx(8, rel=1e-5)
    assert change(other, one, (slice(20, 60), slice(0, 64))) == 0


def test_the_face_crop_holds_the_face_where_it_promises(portrait: Picture, portrait_face: Face) -> None:
    pose = fit_pose(portrait_face)
    crop = face_crop(portrait.rgb(), pose)
    assert crop.shape == (SIDE, SIDE, 3)
    rows, columns = mouth_box(portrait_face, pose)
    assert 128 < rows.start < rows.stop < SIDE
    assert columns.start < SIDE / 2 < columns.stop


def test_identical_films_are_perfect(portrait: Picture, portrait_face: Face) -> None:
    fidelity, outside = Fidelity(compare=True), Outside()
    for index in range(3):
        fidelity.push(moment(portrait_face, portrait, portrait, index))
        outside.push(moment(portrait_face, portrait, portrait, index))
    scores = fidelity.scores() | outside.scores()
    assert scores["psnr"] == scores["mouth_psnr"] == float("inf")
    assert scores["ssim"] == scores["sharpness"] == scores["untouched"] == 1
    assert scores["outside_flicker"] == scores["outside_difference"] == 0


def test_a_changed_mouth_is_not_outside(portrait: Picture, portrait_face: Face) -> None:
    outside, fidelity = Outside(), Fidelity(compare=True)
    for index in range(4):
        generated = with_luma(portrait, *mouth_of(portrait_face), 10 * (index % 2) + 20)
        outside.push(moment(portrait_face, portrait, generated, index))
        fidelity.push(moment(portrait_face, portrait, generated, index))
    assert outside.scores() == {"outside_flicker": 0, "outside_difference": 0, "untouched": 1}
    scores = fidelity.scores()
    assert scores["mouth_psnr"] < scores["psnr"] < 50


def test_a_steady_change_outside_is_a_difference_but_no_flicker(portrait: Picture, portrait_face: Face) -> None:
    outside = Outside()
    x0, y0, x1, _ = (int(side) for side in portrait_face.box)
    for index in range(3):
        generated = with_luma(portrait, slice(y0, y0 + 10), slice(x0, x1), 20)
        outside.push(moment(portrait_face, portrait, generated, index))
    scores = outside.scores()
    assert scores["outside_flicker"] == 0
    assert scores["outside_difference"] > 0.1
    assert scores["untouched"] == 0


def test_noise_outside_flickers(portrait: Picture, portrait_face: Face) -> None:
    rng, outside = np.random.default_rng(0), Outside()
    for index in range(4):
        y = np.clip(portrait.y + rng.normal(0, 4, portrait.y.shape), 0, 255).astype(np.uint8)
        outside.push(moment(portrait_face, portrait, Picture(y, portrait.u, portrait.v), index))
    assert outside.scores()["outside_flicker"] == pytest.approx(4 * np.sqrt(2) * np.sqrt(2 / np.pi), rel=0.15)


def test_films_of_different_size_have_no_outside(portrait: Picture, portrait_face: Face) -> None:
    outside = Outside()
    outside.push(moment(portrait_face, portrait, Picture.from_rgb(np.zeros((128, 128, 3), np.uint8))))
    assert outside.scores() == {}


def test_a_mouth_that_flickers_more_than_the_film_reads_above_one(portrait: Picture, portrait_face: Face) -> None:
    fidelity = Fidelity(compare=False)
    mouth = mouth_of(portrait_face)
    for index in range(6):
        true = with_luma(portrait, *mouth, 4 * (index % 2))
        fidelity.push(moment(portrait_face, true, with_luma(portrait, *mouth, 12 * (index % 2)), index))
    scores = fidelity.scores()
    assert scores["mouth_flicker"] == pytest.approx(3, rel=0.1)
    assert "psnr" not in scores


def test_without_its_package_only_ssim_is_missing(
    portrait: Picture, portrait_face: Face, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "skimage.metrics", None)
    fidelity = Fidelity(compare=True)
    fidelity.push(moment(portrait_face, portrait, with_luma(portrait, *mouth_of(portrait_face), 30)))
    scores = fidelity.scores()
    assert 10 < scores["mouth_psnr"] < 40
    assert np.isnan(scores["ssim"])
    assert "pip install" in (missing("skimage.metrics") or "")


def test_moments_that_showed_the_engine_the_speaker_are_not_compared(portrait: Picture, portrait_face: Face) -> None:
    shown = moment(portrait_face, portrait, with_luma(portrait, *mouth_of(portrait_face), 30))
    fidelity = Fidelity(compare=True)
    fidelity.push(Moment(Pair(shown.pair.true, shown.pair.generated, portrait_face, scored=False), portrait_face))
    assert fidelity.scores() == {}
