"""The whole way, on a portrait that was made to speak: finished films, our engine, and clips that cannot be scored."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from mytalk import Picture, Pipeline, StreamOptions, VideoFrame
from mytalk.dub import dub
from mytalk.evaluation.clip import Judges
from mytalk.evaluation.jobs import Job
from mytalk.evaluation.run import Report, evaluate
from mytalk.media import FilmWriter, SpeechReader, VideoReader, open_face
from streamer import cli
from tests.support.films import numbered, write_film, write_sound

FRAMES = 70
ASSETS = Path(str(files("mytalk"))) / "assets"
PORTRAIT = ASSETS / "astronaut.png"
Change = Callable[[int, list[Picture]], Picture]


@pytest.fixture(scope="module")
def filmed(pipeline: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The true film: the portrait, speaking, in windows too long to leave seams where those of the engine would be.

    It says words: a mouth that hears syllables in an even beat is as much early as it is late.
    """
    folder = tmp_path_factory.mktemp("filmed")
    speech = np.concatenate(list(SpeechReader(ASSETS / "demo_speech.flac").samples()))
    voice = write_sound(folder / "voice.wav", speech[None, : FRAMES * 640], 16_000, layout="mono")
    dub(pipeline, open_face(PORTRAIT), SpeechReader(voice), folder / "film.mp4", StreamOptions(profile="offline"))
    return folder / "film.mp4"


def remade(filmed: Path, path: Path, change: Change) -> Path:
    """The film once more, each picture as ``change`` has it."""
    reader = VideoReader(filmed)
    frames = list(reader.frames())
    pictures = [frame.picture for frame in frames]
    with FilmWriter(path, reader.info, SpeechReader(filmed)) as writer:
        for index, frame in enumerate(frames):
            writer.write(VideoFrame(change(index, pictures), frame.at, frame.pts, frame.time_base))
        writer.finish(sound="fill")
    return path


def score(generated: Path, true: Path) -> dict[str, float]:
    (clip,) = evaluate([Job(true, true, generated)], Judges(), window=5).clips
    assert clip.failed is None
    return clip.scores


def test_a_film_scored_against_itself_is_perfect(filmed: Path) -> None:
    scores = score(filmed, filmed)
    assert scores["psnr"] == scores["mouth_psnr"] == float("inf")
    assert scores["ssim"] == scores["untouched"] == scores["sharpness"] == scores["mouth_flicker"] == 1
    assert scores["mouth_lmd"] == scores["lag"] == scores["outside_flicker"] == 0
    assert scores["correlation"] == pytest.approx(1)
    assert scores["range_ratio"] == pytest.approx(1)
    assert scores["seam"] < scores["seam_chance"]


def test_a_late_film_with_noise_around_the_mouth(filmed: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)

    def late_and_noisy(index: int, pictures: list[Picture]) -> Picture:
        picture = pictures[max(0, index - 3)]
        y = picture.y.copy()
        y[:128] = np.clip(y[:128] + rng.normal(0, 6, y[:128].shape), 0, 255)
        return Picture(y, picture.u, picture.v, picture.matrix, picture.full_range)

    scores = score(remade(filmed, tmp_path / "late.mp4", late_and_noisy), filmed)
    assert scores["lag"] == 3
    assert scores["outside_flicker"] > 1
    assert scores["untouched"] == 0
    assert 15 < scores["psnr"] < 45
    assert scores["mouth_lmd"] > 0.005


def test_our_engine_leaves_the_rest_untouched_and_other_clips_go_on(
    filmed: Path, pipeline: Pipeline, tmp_path: Path
) -> None:
    silent = write_film(tmp_path / "silent.mp4", map(numbered, range(5)))
    jobs = [Job(silent, silent), Job(filmed, filmed), Job(tmp_path / "none.mp4", filmed)]
    done: list[int] = []
    report = evaluate(jobs, Judges(), pipeline=pipeline, progress=lambda count, total: done.append(count))
    silence, clip, gone = report.clips
    assert "no audio" in (silence.failed or "") or "no sound" in (silence.failed or "")
    assert "no such file" in (gone.failed or "")
    assert clip.failed is None
    assert clip.scores["outside_flicker"] == clip.scores["passthrough"] == 0
    assert clip.scores["asked_range_ratio"] > 0
    assert done == list(range(1, FRAMES + 1))
    assert report.missing["lse_d"] == "give --syncnet"
    assert "psnr" not in report.missing
    assert clip.by_frame["mouth_psnr"][0][0] >= 1.5  # what showed the engine the speaker is not compared


def test_an_unpaired_clip_has_no_picture_to_be_compared_with(filmed: Path, tmp_path: Path) -> None:
    (filmed.parent / "other.align").write_text("20000 30000 bin\n")
    voice = write_sound(filmed.parent / "other.wav", np.ones((1, 32_000), np.float32) * 0.1, 16_000, layout="mono")
    report: Report = evaluate([Job(filmed, voice, filmed)], Judges())
    (clip,) = report.clips
    assert clip.speech == "other"
    assert "psnr" not in clip.scores
    assert "unpaired" in report.missing["psnr"]
    assert "closed_at_bilabials" in clip.scores
    assert "--window" in report.missing["seam"]


def test_the_command_writes_a_report_and_replaces_none(
    filmed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "pairs.tsv").write_text(f"{filmed}\t{filmed}\n{tmp_path / 'gone.mp4'}\t{filmed}\n")
    words = ["evaluate", "--pairs", str(tmp_path / "pairs.tsv"), "-o", str(tmp_path / "out")]
    assert cli.main(words) == 0
    captured = capsys.readouterr()
    assert "1 of 2 clips scored" in captured.out
    assert "gone: not scored" in captured.err
    read = json.loads((tmp_path / "out" / "report.json").read_text())
    assert read["clips"][0]["scores"]["ssim"] == 1
    assert (tmp_path / "out" / "report.html").stat().st_size > 10_000
    assert cli.main(words) == 3
    assert "--force" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "give clips, or --pairs"),
        (["a.mp4", "--pairs", "b.tsv"], "one of the three"),
        (["--generated", "a"], "go together"),
        (["a.mp4", "--unpaired"], "two at least"),
        (["--pairs", "b.tsv", "--unpaired"], "third column"),
        (["a.mp4", "--syncnet", "none.model"], "none.model: no such file"),
        (["a.mp4", "--profile", "slow"], "profile 'slow' is unknown"),
        (["a.mp4", "--window", "0"], "need 1 frame"),
    ],
)
def test_a_command_that_makes_no_sense_is_one_line(
    words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["evaluate", *words, "-o", str(tmp_path / "out")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
    assert not (tmp_path / "out").exists()


def test_clips_that_all_fail_end_the_command_with_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    walls = write_film(tmp_path / "walls.mp4", map(numbered, range(5)))
    (tmp_path / "pairs.tsv").write_text(f"{walls}\t{walls}\t{walls}\n")
    assert cli.main(["evaluate", "--pairs", str(tmp_path / "pairs.tsv"), "-o", str(tmp_path / "out")]) == 2
    assert "none of 1 clips could be scored" in capsys.readouterr().err
    assert (tmp_path / "out" / "report.html").exists()
