"""A watermark cannot be seen, touches no more than it says, and is found again after what films go through."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from mytalk.face import Face, fit_pose
from mytalk.marking import Payload, Watermark, read_watermark
from mytalk.marking.pattern import equalise, plane_of
from mytalk.media_time import FRAME_SAMPLES
from mytalk.picture import Picture, VideoFrame

PAYLOAD = Payload.of("film", "a test")
SECONDS = 2
CLOSER = 1.6
RATE = 25


def film(pictures: Sequence[Picture]) -> list[VideoFrame]:
    return [VideoFrame(one, FRAME_SAMPLES * n, n, Fraction(1, RATE)) for n, one in enumerate(pictures)]


def noisy(picture: Picture, seed: int) -> Picture:
    """A camera's noise, without which every frame would be the same."""
    noise = np.random.default_rng(seed).normal(0, 1.5, picture.y.shape)
    return replace(picture, y=np.clip(np.rint(picture.y + noise), 0, 255).astype(np.uint8))


@pytest.fixture(scope="module")
def filmed(portrait: Picture) -> list[Picture]:
    return [noisy(portrait, seed) for seed in range(SECONDS * RATE)]


@pytest.fixture(scope="module")
def marked(filmed: list[Picture], portrait_face: Face) -> list[Picture]:
    watermark, pose = Watermark(PAYLOAD), fit_pose(portrait_face)
    return [watermark.mark(one, pose, FRAME_SAMPLES * n) for n, one in enumerate(filmed)]


@pytest.fixture(scope="module")
def close(portrait: Picture, portrait_face: Face) -> list[Picture]:
    """A marked close-up of a head that sways by a few pixels: the face is 150 pixels wide."""
    watermark, pose, pictures = Watermark(PAYLOAD), fit_pose(portrait_face), []
    for number in range(SECONDS * RATE):
        x, y = 90 + 3 * np.sin(number / 4), 2 * np.cos(number / 6)
        move = np.array([[CLOSER, 0, -CLOSER * x], [0, CLOSER, -CLOSER * y]])
        y_plane = cv2.warpAffine(portrait.y, move, (400, 400))
        colour = [cv2.warpAffine(plane, move * [1, 1, 0.5], (200, 200)) for plane in (portrait.u, portrait.v)]
        moved = noisy(replace(portrait, y=y_plane, u=colour[0], v=colour[1]), number)
        shift = np.append(move[:, 2], 0).astype(np.float32)
        turned = replace(pose, scale=pose.scale * CLOSER, translation=pose.translation * CLOSER + shift)
        pictures.append(watermark.mark(moved, turned, FRAME_SAMPLES * number))
    return pictures


def encoded(
    pictures: Sequence[Picture], codec: str, options: dict[str, str], bitrate: int | None = None
) -> list[Picture]:
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as container:
        stream = container.add_stream(codec, rate=RATE, options=options)
        stream.width, stream.height, stream.pix_fmt = pictures[0].width, pictures[0].height, "yuv420p"
        if bitrate is not None:
            stream.bit_rate = bitrate
        for number, picture in enumerate(pictures):
            frame = picture.to_av()
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    file.seek(0)
    with av.open(file) as container:
        return [Picture.from_av(frame) for frame in container.decode(video=0)]


def half_and_back(picture: Picture) -> Picture:
    small = cv2.resize(picture.y, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    return replace(picture, y=cv2.resize(small, (picture.width, picture.height), interpolation=cv2.INTER_CUBIC))


def test_a_marked_face_differs_by_less_than_45_db(
    filmed: list[Picture], marked: list[Picture], portrait_face: Face
) -> None:
    corners = cv2.invertAffineTransform(plane_of(fit_pose(portrait_face))) @ np.array([[0, 127], [0, 127], [1, 1]])
    (x0, x1), (y0, y1) = corners.astype(int)
    region = slice(y0, y1), slice(x0, x1)
    errors = [np.square(a.y[region].astype(float) - b.y[region]).mean() for a, b in zip(filmed, marked, strict=True)]
    assert 10 * np.log10(255**2 / np.mean(errors)) >= 45


def test_nothing_outside_the_face_and_no_colour_changes(
    filmed: list[Picture], marked: list[Picture], portrait_face: Face
) -> None:
    inside = cv2.warpAffine(
        np.ones((128, 128), np.uint8),
        cv2.invertAffineTransform(plane_of(fit_pose(portrait_face))),
        (filmed[0].width, filmed[0].height),
    )
    for before, after in zip(filmed, marked, strict=True):
        np.testing.assert_array_equal(before.y[inside == 0], after.y[inside == 0])
        assert after.u is before.u
        assert after.v is before.v


def test_no_strength_leaves_the_very_picture(portrait: Picture, portrait_face: Face) -> None:
    assert Watermark(PAYLOAD).mark(portrait, fit_pose(portrait_face), 0, 0.0) is portrait


def test_two_seconds_of_a_marked_film_name_it(marked: list[Picture]) -> None:
    [reading] = read_watermark(film(marked))
    assert reading.payload == PAYLOAD
    assert reading.frames == SECONDS * RATE


def test_a_film_that_was_never_marked_names_nothing(filmed: list[Picture]) -> None:
    [reading] = read_watermark(film(filmed))
    assert reading.payload is None


def test_a_still_picture_names_nothing(portrait: Picture) -> None:
    [reading] = read_watermark(film([portrait] * (SECONDS * RATE)))
    assert reading.payload is None


def test_h264_of_crf_28_keeps_the_mark(close: list[Picture]) -> None:
    [reading] = read_watermark(film(encoded(close, "libx264", {"crf": "28"})))
    assert reading.payload == PAYLOAD


def test_a_live_vp8_of_500_kbit_s_keeps_the_mark(marked: list[Picture]) -> None:
    live = {"deadline": "realtime", "cpu-used": "6", "lag-in-frames": "0"}
    [reading] = read_watermark(film(encoded(marked, "libvpx", live, bitrate=500_000)))
    assert reading.payload == PAYLOAD


def test_half_the_size_and_back_keeps_the_mark(marked: list[Picture]) -> None:
    [reading] = read_watermark(film([half_and_back(one) for one in marked]))
    assert reading.payload == PAYLOAD


def test_a_cut_out_face_keeps_the_mark(marked: list[Picture], portrait_face: Face) -> None:
    x0, y0, x1, y1 = (int(side) & ~1 for side in portrait_face.box)
    x0, y0, x1, y1 = max(0, x0 - 60), max(0, y0 - 60), x1 + 60, y1 + 60
    part, half = (slice(y0, y1), slice(x0, x1)), (slice(y0 // 2, y1 // 2), slice(x0 // 2, x1 // 2))
    cut = [replace(one, y=one.y[part], u=one.u[half], v=one.v[half]) for one in marked]
    [reading] = read_watermark(film(cut))
    assert reading.payload == PAYLOAD


def test_a_film_without_a_face_has_no_reading(portrait: Picture) -> None:
    grey = replace(portrait, y=np.full_like(portrait.y, 128))
    assert list(read_watermark(film([grey] * (SECONDS * RATE)))) == []


def test_a_flat_plane_beside_a_noisy_one_has_a_contrast() -> None:
    """Running sums of floats end a little below zero there, of which a square root is no number."""
    planes = np.full((50, 128, 128), 16, np.float32)
    planes[:, :64] = np.random.default_rng(0).integers(0, 255, (50, 64, 128))
    for plane in planes:
        result, contrast = equalise(plane)
        assert np.isfinite(result).all()
        assert (contrast > 0).all()
