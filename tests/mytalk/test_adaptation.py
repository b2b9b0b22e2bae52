"""A film's own track adapts its dub; another person's track, a silent film and an image do not."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from mytalk import Pipeline, StreamOptions
from mytalk.adaptation import adapt_to_film
from mytalk.dub import dub
from mytalk.lipsync_stream import LipSyncStream
from mytalk.media import FilmWriter, SpeechReader, open_face
from mytalk.media.face_source import ClipSource
from mytalk.motion.own_speech import Correction
from tests.support.films import write_sound

ASSETS = Path(str(files("mytalk"))) / "assets"
RATE = 24_000
SECONDS = 4.5


def spoken() -> NDArray[np.float32]:
    """The demo's speech ``(1, n)``."""
    whole = np.concatenate(list(SpeechReader(ASSETS / "demo_speech.flac").blocks()), axis=1)
    return whole[:, : round(SECONDS * RATE)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("films")


@pytest.fixture(scope="module")
def film(pipeline: Pipeline, folder: Path) -> Path:
    """A face that says the demo's speech."""
    sound = write_sound(folder / "voice.wav", spoken(), RATE, layout="mono")
    dub(pipeline, open_face(ASSETS / "astronaut.png"), SpeechReader(sound), folder / "film.mp4", StreamOptions())
    return folder / "film.mp4"


@pytest.fixture(scope="module")
def with_another_track(film: Path, folder: Path) -> Path:
    """A film whose lips do not say its sound: the speech from its middle on, and then its beginning."""
    sound = write_sound(folder / "other.wav", np.roll(spoken(), spoken().shape[1] // 2, axis=1), RATE, layout="mono")
    return with_sound(film, sound, folder / "other.mp4")


def with_sound(film: Path, sound: Path, output: Path) -> Path:
    source = open_face(film)
    with FilmWriter(output, source.info, SpeechReader(sound)) as writer:
        for frame in source.frames(endless=False):
            writer.write(frame)
        writer.finish(sound="cut")
    return output


def clip(path: Path) -> ClipSource:
    source = open_face(path)
    assert isinstance(source, ClipSource)
    return source


def test_a_film_that_speaks_is_adapted_to(pipeline: Pipeline, film: Path) -> None:
    found = adapt_to_film(pipeline, clip(film), "offline")
    assert found.corrections.keys() == {0}
    assert "adapted to" in found.message
    assert found.faces is not None
    assert len(found.faces) == sum(1 for _ in clip(film).frames())


def test_another_persons_track_is_not(pipeline: Pipeline, with_another_track: Path) -> None:
    found = adapt_to_film(pipeline, clip(with_another_track), "offline")
    assert not found.corrections
    assert "do not belong together" in found.message


def test_a_silent_film_is_not(pipeline: Pipeline, film: Path, folder: Path) -> None:
    silent = write_sound(folder / "silent.wav", np.zeros_like(spoken()), RATE, layout="mono")
    found = adapt_to_film(pipeline, clip(with_sound(film, silent, folder / "silent.mp4")), "offline")
    assert found.message == "not adapted: nobody speaks there with the face in view"


def test_a_dub_says_what_it_was_adapted_to(
    pipeline: Pipeline, film: Path, with_another_track: Path, folder: Path
) -> None:
    speech = write_sound(folder / "short.wav", spoken()[:, : RATE // 2], RATE, layout="mono")

    def message(name: str, **options: bool | ClipSource) -> str | None:
        source = open_face(film if name != "other" else with_another_track)
        output = folder / f"{name}.dub.mp4"
        made = dub(pipeline, source, SpeechReader(speech), output, StreamOptions(), length="shortest", **options)  # type: ignore[arg-type]
        return made.own_speech

    assert "adapted to" in str(message("own"))
    assert "not adapted" in str(message("other"))
    assert message("off", own_speech=False) is None
    assert "adapted to" in str(message("style", own_speech=False, style=clip(film)))


def test_a_dub_hands_the_stream_what_it_learned(
    pipeline: Pipeline, film: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handed: list[tuple[Mapping[int, Correction], Correction | None]] = []
    adapt = LipSyncStream.adapt

    def record(stream: LipSyncStream, corrections: Mapping[int, Correction], anybody: Correction | None = None) -> None:
        handed.append((corrections, anybody))
        adapt(stream, corrections, anybody)

    monkeypatch.setattr(LipSyncStream, "adapt", record)
    speech = write_sound(folder / "handed.wav", spoken()[:, : RATE // 2], RATE, layout="mono")
    expected = adapt_to_film(pipeline, clip(film), StreamOptions().profile).corrections[0]

    dub(pipeline, clip(film), SpeechReader(speech), folder / "handed.mp4", StreamOptions(), length="shortest")
    ((own, anybody),) = handed
    assert own.keys() == {0}
    assert anybody is None
    np.testing.assert_allclose(own[0].weight, expected.weight, rtol=1e-3, atol=1e-5)
    assert np.abs(expected.weight).max() > 0


def test_an_image_has_no_speech_of_its_own(pipeline: Pipeline, folder: Path) -> None:
    speech = write_sound(folder / "still.wav", spoken()[:, : RATE // 2], RATE, layout="mono")
    made = dub(
        pipeline, open_face(ASSETS / "astronaut.png"), SpeechReader(speech), folder / "still.mp4", StreamOptions()
    )
    assert made.own_speech is None
