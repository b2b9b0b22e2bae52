"""A portrait's person is cut out once, without the colours behind them, and put before something else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from mytalk.appearance.backdrop import GREEN, composed, on_background, source_on_background
from mytalk.appearance.matte import _rough, cut_out, own_colours
from mytalk.errors import OptionError
from mytalk.face import Face
from mytalk.face.head_turn import Turn
from mytalk.face.portrait import PortraitState, PortraitWarp
from mytalk.media.face_source import StillSource, open_face
from mytalk.picture import Matte, Picture
from tests.support.films import numbered, write_film

Plane = NDArray[np.float32]


@pytest.fixture(scope="module")
def transparent(portrait: Picture) -> Picture:
    return on_background(portrait, "transparent")


def test_a_face_is_the_person_s_and_what_is_behind_is_not(portrait: Picture, portrait_face: Face) -> None:
    own, alpha = cut_out(portrait)
    x0, y0, x1, y1 = (round(float(one)) for one in portrait_face.box)
    face = slice(y0, y1 - 30), slice(x0 + 12, x1 - 12)
    assert alpha[face].min() == 255
    np.testing.assert_array_equal(own.y[face], portrait.y[face])
    assert alpha[:180, -100:].max() == 0  # the shuttle behind her
    assert alpha[:100, :60].max() == 0  # the flag
    assert alpha[400:, 100:250].min() == 255  # no holes in the suit


def strands() -> tuple[Plane, Plane, Plane]:
    """Dark hair before a green screen: the picture, how much of each pixel is hair, and the hair's own colour."""
    noise = np.random.default_rng(1).random((256, 256)).astype(np.float32)
    hair = np.stack([0.25 + 0.1 * noise, 0.15 + 0.05 * noise, 0.1 + 0.05 * noise], axis=2)
    disc = np.zeros((256, 256), np.float32)
    cv2.circle(disc, (128, 128), 70, 1.0, -1)
    for angle in np.linspace(0, 2 * np.pi, 40, endpoint=False):
        end = (int(128 + 95 * np.cos(angle)), int(128 + 95 * np.sin(angle)))
        cv2.line(disc, (128, 128), end, 1.0, 1)
    alpha = cv2.GaussianBlur(disc, (0, 0), 1.5)[..., None]
    return hair * alpha + np.array([0, 1, 0], np.float32) * (1 - alpha), alpha[..., 0], hair


def test_hair_keeps_nothing_of_a_green_screen() -> None:
    picture, alpha, hair = strands()
    found = own_colours(picture, alpha)
    edge = (alpha > 0.2) & (alpha < 0.9)
    spill = picture[edge][:, 1] - hair[edge][:, 1]
    left = found[edge][:, 1] - hair[edge][:, 1]
    assert spill.mean() > 0.3
    assert np.abs(left).mean() < 0.02  # of 0.45
    over_black = found * alpha[..., None]
    assert (over_black[..., 1] - over_black[..., 0]).max() < 0.05  # nowhere greener than red


def test_before_green_the_background_is_green_and_the_person_is_untouched(transparent: Picture) -> None:
    assert transparent.matte is not None
    alpha = transparent.matte.alpha
    seen = composed(transparent)
    np.testing.assert_array_equal(seen.y[alpha == 255], transparent.y[alpha == 255])
    np.testing.assert_allclose(seen.rgb()[:40, -100:], np.broadcast_to(GREEN, (40, 100, 3)), atol=2)
    assert seen.cutout is not None
    assert seen.cutout.matte is transparent.matte
    assert seen.matte is None


def test_of_what_was_behind_nothing_stays_below_the_alpha(transparent: Picture) -> None:
    alone = composed(transparent).cutout
    assert alone is not None
    assert np.ptp(alone.rgb()[:60, :60]) == 0  # the flag
    assert np.ptp(transparent.rgb()[:60, :60]) > 100


def test_only_what_can_be_transparent_keeps_the_person_alone(portrait: Picture) -> None:
    assert composed(on_background(portrait, "green")).cutout is None
    assert composed(portrait) is portrait
    assert on_background(portrait, "own") is portrait


def test_an_own_image_fills_the_background(portrait: Picture) -> None:
    image = np.zeros((100, 300, 3), np.uint8)
    image[:, 100:200] = (200, 40, 40)  # the middle, which is cut out of it
    rgb = composed(on_background(portrait, "image", image)).rgb().astype(int)
    np.testing.assert_allclose(rgb[10:60, 330:500], np.broadcast_to((200, 40, 40), (50, 170, 3)), atol=6)
    original = portrait.rgb().astype(int)
    assert np.abs(rgb[80:140, 200:250] - original[80:140, 200:250]).max() < 12  # her face


def test_the_matte_moves_with_the_head(portrait: Picture, portrait_face: Face) -> None:
    """A picture that looks like its own matte still does after it has moved."""
    _, alpha = cut_out(portrait)
    plane = np.full_like(portrait.u, 128)
    same = Picture(alpha, plane, plane, matte=Matte(alpha, replace(portrait)))
    warp = PortraitWarp(same, portrait_face)
    moved = [warp(same, PortraitState(Turn(yaw=yaw, roll=2))) for yaw in (-10, 0, 15)]
    for one in moved:
        assert one.matte is not None
        np.testing.assert_array_equal(one.matte.alpha, one.y)
    assert any((one.y != alpha).any() for one in moved)


def test_a_clip_keeps_its_background(tmp_path: Path) -> None:
    clip = open_face(write_film(tmp_path / "clip.mp4", map(numbered, range(5))))
    with pytest.raises(OptionError, match=r"clip\.mp4: a clip keeps its background"):
        source_on_background(clip, "green")


def test_a_source_says_whether_it_is_transparent(portrait: Picture) -> None:
    still = StillSource(portrait, "me.png")
    assert source_on_background(still, "own") is still
    assert source_on_background(still, "transparent").transparent
    assert not source_on_background(still, "green").transparent


def test_the_network_finds_what_mediapipe_finds(portrait: Picture) -> None:
    segmentation = pytest.importorskip(
        "mediapipe.python.solutions.selfie_segmentation", reason="needs the reference extra"
    )
    rgb = portrait.rgb()
    theirs = segmentation.SelfieSegmentation(model_selection=0).process(rgb).segmentation_mask
    sure = (theirs > 0.85) | (theirs < 0.15)
    ours = _rough(rgb.astype(np.float32) / 255)
    assert sure.mean() > 0.8
    assert ((ours > 0.5) == (theirs > 0.5))[sure].mean() > 0.995
