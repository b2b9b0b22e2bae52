"""Pictures and clips of other mouths give a stream's lips their look, from files, and while it runs."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from mytalk import Picture, Pipeline, StreamOptions, VideoFrame
from mytalk.appearance.look import SeenMouth
from mytalk.errors import NoFaceError, OptionError
from mytalk.face import Face
from mytalk.media import open_face
from mytalk.media_time import FRAME_SAMPLES, MOTION_RATE
from mytalk.references import MAX_FILES, mouths_of, read_references
from tests.mytalk.support.pictures import write_png
from tests.support.films import write_film

FRAMES = 24


@pytest.fixture(scope="module")
def red(portrait: Picture, portrait_face: Face) -> SeenMouth:
    """The portrait, its lips and all below its nose in red light."""
    rgb = portrait.rgb()
    x0, _, x1, y1 = (int(edge) for edge in portrait_face.box)
    below_nose = int(portrait_face.points[164, 1])
    rgb[below_nose:y1, x0:x1, 1:] //= 2
    mouth = SeenMouth.of(Picture.from_rgb(rgb), portrait_face)
    assert mouth is not None
    return mouth


def played(
    pipeline: Pipeline,
    portrait: Picture,
    face: Face,
    speech: NDArray[np.float32],
    before: tuple[SeenMouth, ...],
    after: tuple[SeenMouth, ...],
) -> list[Picture]:
    """Pictures of a still portrait; the look changes at frame 10."""
    stream = pipeline.stream(StreamOptions(still=True, references=before))
    stream.controls = replace(stream.controls, references=after, since=10 * FRAME_SAMPLES)
    for n in range(FRAMES):
        stream.push_frame(VideoFrame(portrait, n * FRAME_SAMPLES, n, Fraction(1, MOTION_RATE)), face)
    stream.push_speech(speech[: FRAMES * FRAME_SAMPLES])
    stream.finish()
    pictures = [frame.picture for frame in stream.pull()]
    stream.close()
    return pictures


def test_a_change_of_look_goes_over_in_120_ms(
    pipeline: Pipeline, portrait: Picture, portrait_face: Face, babble: NDArray[np.float32], red: SeenMouth
) -> None:
    look = (red,)
    own, worn, changed = (
        played(pipeline, portrait, portrait_face, babble, *looks) for looks in (((), ()), (look, look), ((), look))
    )
    for n in range(11):
        np.testing.assert_array_equal(changed[n].v, own[n].v)
    for n in range(13, FRAMES):
        np.testing.assert_array_equal(changed[n].v, worn[n].v)
    lips = tuple(slice(int(low) // 2, int(high) // 2) for low, high in ((126, 144), (205, 245)))
    between = [float(one.v[lips].mean()) for one in (own[11], changed[11], worn[11])]
    assert between[0] < between[1] < between[2]


def test_a_look_is_read_from_images(tmp_path: Path, portrait: Picture) -> None:
    one, other = (write_png(tmp_path / name, portrait) for name in ("one.png", "other.png"))
    look = read_references([one, other])
    assert len(look) == 2
    np.testing.assert_allclose(look[0].in_crop(), look[1].in_crop())
    assert look[0].picture.width < portrait.width  # no more of a picture is kept than is needed


def test_of_a_clip_those_mouths_are_kept_that_differ(tmp_path: Path, portrait: Picture) -> None:
    frames = (portrait.to_av().to_ndarray() for _ in range(12))
    clip = write_film(tmp_path / "clip.mp4", frames, options={"qp": "0"})
    assert 1 <= len(read_references([clip])) <= 6  # landmarks settle within some pictures
    assert len(mouths_of(open_face(clip), most=1)) == 1


def test_files_that_are_no_references_are_refused(tmp_path: Path, portrait: Picture) -> None:
    blank = write_png(tmp_path / "blank.png", Picture.from_rgb(np.full((256, 256, 3), 128, np.uint8)))
    with pytest.raises(NoFaceError, match=r"blank\.png: no face found for a reference"):
        read_references([blank])
    with pytest.raises(OptionError, match="need 1 to 8 images or clips"):
        read_references([blank] * (MAX_FILES + 1))
