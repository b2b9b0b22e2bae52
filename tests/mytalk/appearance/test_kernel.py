"""Promises of the compiled renderer: one compilation, any thread, no silent NaN."""

from __future__ import annotations

import logging
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mytalk import Picture
from mytalk.appearance import compiled, warm_up
from mytalk.appearance.kernel import render
from mytalk.appearance.preset import EDGE, AppearancePreset
from mytalk.appearance.renderer import MouthRenderer
from mytalk.appearance.warped_reference import WarpedReference
from mytalk.face import HeadPose
from mytalk.face.landmarks import LOWER_LIPS_INNER, LOWER_LIPS_OUTER

Points = NDArray[np.float32]


class Nan:
    """A network that went wrong."""

    preset: AppearancePreset = EDGE

    def refine(self, references: Points, non_lip: Points, landmarks: Points) -> Points:
        return np.full(non_lip.shape, np.nan, np.float32)

    def new_painter(self) -> WarpedReference:
        return WarpedReference(self)


def opened(smile: Points, by: float) -> Points:
    moved = smile.copy()
    moved[list(LOWER_LIPS_INNER[1:10] + LOWER_LIPS_OUTER[1:10]), 1] += by
    return moved


def planes(picture: Picture) -> list[NDArray[np.uint8]]:
    return [picture.y, picture.u, picture.v]


def spoken(portrait: Picture, pose: HeadPose, smile: Points) -> list[NDArray[np.uint8]]:
    renderer = MouthRenderer(None)
    shown = [renderer.render(portrait, pose, smile, opened(smile, by)) for by in (0.0, 2.0, 4.0, 6.0)]
    return [plane for picture in shown for plane in planes(picture)]


def test_sessions_in_threads_get_the_pictures_that_one_alone_gets(
    portrait: Picture, pose: HeadPose, smile: Points
) -> None:
    alone = spoken(portrait, pose, smile)
    with ThreadPoolExecutor(3) as threads:
        for made in threads.map(lambda _: spoken(portrait, pose, smile), range(6)):
            for one, other in zip(alone, made, strict=True):
                np.testing.assert_array_equal(one, other)


def test_pictures_of_any_layout_need_no_second_compilation(portrait: Picture, pose: HeadPose, smile: Points) -> None:
    padded = [np.pad(plane, ((0, 0), (0, 16)))[:, : plane.shape[1]] for plane in planes(portrait)]
    for plane in padded:
        plane.flags.writeable = False
    strided = Picture(padded[0], padded[1], padded[2], portrait.matrix, portrait.full_range)
    plain, other = (MouthRenderer(None).render(one, pose, smile, opened(smile, 5)) for one in (portrait, strided))
    for one, two in zip(planes(plain), planes(other), strict=True):
        np.testing.assert_array_equal(one, two)
    assert len(render.signatures) == 1  # type: ignore[attr-defined]


def test_mouths_follow_a_camera_that_changes_its_yuv(portrait: Picture, pose: HeadPose, smile: Points) -> None:
    whole = (0, 0, portrait.width, portrait.height)
    blank = Picture(*(np.zeros_like(plane) for plane in planes(portrait)), "bt709", not portrait.full_range)
    later = blank.with_region(whole, portrait.region_rgb(whole), np.ones(portrait.y.shape, np.float32))
    same, changed = MouthRenderer(None, still=True), MouthRenderer(None, still=True)
    for renderer, picture in ((same, later), (changed, portrait)):
        renderer.observe(picture, pose, smile)
    one, other = (renderer.render(later, pose, smile, opened(smile, 5)) for renderer in (same, changed))
    apart = np.abs(one.y.astype(int) - other.y)
    assert (one.matrix, one.full_range) == (other.matrix, other.full_range) == (later.matrix, later.full_range)
    assert apart.max() <= 6
    assert apart[one.y != later.y].mean() < 1


def test_what_is_not_a_number_is_never_shown(portrait: Picture, pose: HeadPose, smile: Points) -> None:
    wanted = opened(smile, 5)
    with pytest.raises(FloatingPointError):
        MouthRenderer(Nan()).render(portrait, pose, smile, wanted)
    wanted[3] = np.nan
    with pytest.raises(FloatingPointError):
        MouthRenderer(None).render(portrait, pose, smile, wanted)


def test_machine_code_goes_to_the_users_cache_where_the_package_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package, real = Path(compiled.__file__).parent, tempfile.TemporaryFile
    closed = [package]

    def writing(*given: Any, dir: Path) -> Any:
        if any(folder in Path(dir).parents for folder in closed):
            raise PermissionError(13, "read-only")
        return real(*given, dir=dir)

    monkeypatch.setattr(tempfile, "TemporaryFile", writing)
    monkeypatch.setattr(compiled.numba.config, "CACHE_DIR", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = compiled._cache_folder()
    assert folder is not None
    assert folder.parent == tmp_path / "mytalk"
    closed.append(tmp_path)
    assert compiled._cache_folder() is None


def test_a_first_compilation_is_said_in_one_line(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    with caplog.at_level(logging.WARNING, "mytalk"):
        warm_up.load_renderer()  # from here on it is on the disk
        caplog.clear()
        warm_up.load_renderer()
        assert not caplog.records
        monkeypatch.setattr(warm_up, "is_cached", lambda _: False)
        warm_up.load_renderer()
    assert [record.message.split(",")[0] for record in caplog.records] == ["compiling the renderer for this processor"]
