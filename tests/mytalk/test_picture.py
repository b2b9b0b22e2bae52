"""Pictures: what is not touched stays equal to the bit, whatever the matrix, range and format."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
import pytest

from mytalk.media_time import to_samples
from mytalk.picture import Matrix, Picture


@pytest.mark.parametrize("matrix", ["bt601", "bt709", "bt2020"])
@pytest.mark.parametrize("full_range", [False, True])
def test_a_picture_survives_the_way_through_av(portrait: Picture, matrix: Matrix, full_range: bool) -> None:
    picture = replace(portrait, matrix=matrix, full_range=full_range)
    back = Picture.from_av(picture.to_av())
    for name in ("y", "u", "v"):
        np.testing.assert_array_equal(getattr(back, name), getattr(picture, name))
    assert (back.matrix, back.full_range) == (matrix, full_range)


@pytest.mark.parametrize("matrix", ["bt601", "bt709", "bt2020"])
@pytest.mark.parametrize("full_range", [False, True])
def test_a_region_goes_back_where_it_came_from(portrait: Picture, matrix: Matrix, full_range: bool) -> None:
    picture = replace(portrait, matrix=matrix, full_range=full_range)
    box = (160, 60, 280, 180)
    again = picture.with_region(box, picture.region_rgb(box), np.ones((120, 120), np.float32))
    inside = np.s_[62:178, 162:278]
    assert np.abs(again.y[inside].astype(int) - picture.y[inside]).mean() < 1.0


def test_samples_outside_the_mask_stay_equal_to_the_bit(portrait: Picture) -> None:
    alpha = np.zeros((100, 100), np.float32)
    alpha[30:70, 30:70] = 0.7
    changed = portrait.with_region((200, 100, 300, 200), np.zeros((100, 100, 3), np.uint8), alpha)
    touched = np.zeros((512, 512), bool)
    touched[130:170, 230:270] = True
    np.testing.assert_array_equal(changed.y[~touched], portrait.y[~touched])
    for plane in ("u", "v"):
        np.testing.assert_array_equal(
            getattr(changed, plane)[~touched[::2, ::2]], getattr(portrait, plane)[~touched[::2, ::2]]
        )
    assert changed.y[140:160, 240:260].mean() < portrait.y[140:160, 240:260].mean() - 10


def test_a_picture_is_never_written_to(portrait: Picture) -> None:
    before = portrait.y.copy()
    portrait.with_region((200, 100, 300, 200), np.zeros((100, 100, 3), np.uint8), np.ones((100, 100), np.float32))
    np.testing.assert_array_equal(portrait.y, before)


@pytest.mark.parametrize("format", ["yuv422p", "yuv444p", "nv12", "yuv420p10le", "rgb24", "gray", "yuvj420p"])
def test_every_pixel_format_is_taken(portrait: Picture, format: str) -> None:
    frame = av.VideoFrame.from_ndarray(portrait.rgb(), format="rgb24").reformat(format=format)
    picture = Picture.from_av(frame)
    assert (picture.width, picture.height) == (512, 512)
    wanted = portrait.rgb() if format != "gray" else np.repeat(frame.to_ndarray()[..., None], 3, axis=-1)
    assert np.abs(picture.rgb().astype(int) - wanted).mean() < 4


def test_an_odd_picture_grows_by_one_repeated_line() -> None:
    picture = Picture.from_rgb(np.random.default_rng(0).integers(0, 255, (51, 33, 3), np.uint8))
    assert (picture.width, picture.height) == (34, 52)
    odd = av.VideoFrame(33, 51, "yuv420p")
    assert Picture.from_av(odd).y.shape == (52, 34)


@pytest.mark.parametrize(("pts", "base", "samples"), [(1, (1, 25), 640), (1001, (1, 30000), 534), (-1, (1, 25), -640)])
def test_media_time_rounds_to_samples(pts: int, base: tuple[int, int], samples: int) -> None:
    assert to_samples(pts, Fraction(*base)) == samples
