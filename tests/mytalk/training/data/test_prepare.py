from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import webdataset
from numpy.typing import NDArray

import mytalk
from mytalk.errors import DataError, OptionError, OutputError, OutputFullError, TrainingError
from mytalk.picture import Picture
from mytalk.training.data import part_worker, shots
from mytalk.training.data import prepare as preparation
from mytalk.training.data.journal import Journal
from mytalk.training.data.prepare import PrepareOptions, prepare
from mytalk.training.data.screening import Limits
from mytalk.training.data.shards import read_manifest
from mytalk.training.data.store import ClipStore
from tests.support.films import numbered, write_film
from tests.support.limits import LIMIT_S
from tests.support.talking_films import Planes, planes_of, swaying, write_talking

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")

FRAMES = 52
Sound = NDArray[np.float32]


@pytest.fixture(scope="module")
def face(portrait: Picture) -> NDArray[np.uint8]:
    return portrait.rgb()[:320, 100:420]


@pytest.fixture(scope="module")
def pictures(face: NDArray[np.uint8]) -> list[Planes]:
    return swaying(face, FRAMES)


@pytest.fixture
def videos(tmp_path: Path, pictures: list[Planes], babble: Sound) -> Path:
    """Two films of one person, and one of another."""
    folder = tmp_path / "videos"
    (folder / "ann").mkdir(parents=True)
    for name in ("ann/1.mkv", "ann/2.mkv", "bob.mkv"):
        write_talking(folder / name, pictures, babble[: FRAMES * 640])
    return folder


def _held(data: Path) -> list[str]:
    """Keys of the clips that a reader of the shards meets."""
    shards = sorted(map(str, (data / "shards").glob("*.tar")))
    return sorted(one["__key__"] for one in webdataset.WebDataset(shards, shardshuffle=False, empty_check=False))


def _journal(data: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (data / "journal.jsonl").read_text().splitlines()[1:]]


def test_videos_become_clips(videos: Path, tmp_path: Path, babble: Sound) -> None:
    reported: list[tuple[int, int | None]] = []
    data = tmp_path / "data"
    options = PrepareOptions(licence="ours")
    summary = prepare(videos, data, options, progress=lambda done, total: reported.append((done, total)))
    assert (summary.clips, summary.people, summary.rejected) == (3, 2, {})
    assert summary.seconds == pytest.approx(3 * FRAMES / 25, abs=0.1)
    assert reported == [(1, 3), (2, 3), (3, 3)]
    store = ClipStore(data)
    assert sorted(entry.person for entry in store.entries) == ["ann", "ann", "bob"]
    assert _held(data) == [entry.key for entry in store.entries]
    assert store.faces(0, [0, 30]).shape == (2, 256, 256, 3)
    assert store.landmarks(0).canonical.shape == (FRAMES, 478, 3)
    np.testing.assert_allclose(store.sound(0), babble[: FRAMES * 640], atol=1e-3)
    about = store.about(2)
    assert (about["person"], about["source"], about["licence"]) == ("bob", "bob.mkv", "ours")
    assert (about["source_fps"], about["offset_ms"], about["offset_confident"]) == (25.0, 0.0, False)
    again = prepare(videos, data, options)
    assert (again.clips, again.done_seconds) == (3, 0)


def test_whatever_cannot_be_used_is_reported_with_its_reason(
    tmp_path: Path, face: NDArray[np.uint8], pictures: list[Planes], babble: Sound
) -> None:
    folder, data = tmp_path / "videos", tmp_path / "data"
    folder.mkdir()
    sound = babble[: FRAMES * 640]
    grey = planes_of(np.full_like(face, 90))
    pair = [planes_of(np.hstack([face, face]))] * FRAMES
    write_talking(folder / "good.mkv", pictures, sound)
    write_talking(folder / "nobody.mkv", [grey] * FRAMES, sound)
    write_talking(folder / "pair.mkv", pair, sound)
    write_talking(folder / "mute.mkv", pictures, 0 * sound)
    write_talking(folder / "hiss.mkv", pictures, np.random.default_rng(0).normal(0, 0.1, len(sound)).astype(np.float32))
    write_talking(folder / "part.mkv", [*pictures[:30], *[grey] * 26], sound)
    write_film(folder / "silent.mp4", [numbered(0)] * 5)
    (folder / "broken.mp4").write_bytes(b"no film")
    whole = (folder / "good.mkv").read_bytes()
    (folder / "torn.mkv").write_bytes(whole[: len(whole) // 2])
    (folder / "notes.txt").write_text("left alone")
    summary = prepare(folder, data, PrepareOptions())
    assert (summary.clips, summary.not_video) == (1, 1)
    rows = [line.split("\t") for line in (data / "rejected.tsv").read_text().splitlines()[1:]]
    assert {(row[0], row[3]) for row in rows} == {
        ("broken.mp4", "unreadable"),
        ("silent.mp4", "no sound"),
        ("nobody.mkv", "no face"),
        ("pair.mkv", "two faces"),
        ("mute.mkv", "no speech"),
        ("hiss.mkv", "no speech"),
        ("part.mkv", "too short"),
        ("torn.mkv", "too short"),
        ("part.mkv", "no face"),
    }
    assert {reason.value: count for reason, (count, _) in summary.rejected.items()}["no speech"] == 2
    assert "no face" in summary.table()
    (short,) = [row for row in rows if (row[0], row[3]) == ("part.mkv", "too short")]
    assert (float(short[1]), float(short[2])) == (0, pytest.approx(30 / 25))


def test_a_long_film_is_prepared_in_parts_whatever_the_processes(
    tmp_path: Path, pictures: list[Planes], babble: Sound, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shots, "PART_SECONDS", FRAMES / 25)
    folder = tmp_path / "videos"
    folder.mkdir()
    write_talking(folder / "long.mkv", pictures * 2, babble[: 2 * FRAMES * 640])
    summary = prepare(folder, tmp_path / "data", PrepareOptions())
    entries = read_manifest(tmp_path / "data")
    assert [(entry.start, entry.frames) for entry in entries] == [(0.0, 52), (2.08, 52)]
    assert summary.rejected == {}
    sounds = np.concatenate([ClipStore(tmp_path / "data").sound(index) for index in range(2)])
    np.testing.assert_allclose(sounds, babble[: 2 * FRAMES * 640], atol=1e-3)


def _start(videos: Path, data: Path) -> subprocess.Popen[bytes]:
    """Two processes, in a session of their own."""
    code = (
        "import sys; from pathlib import Path; from mytalk.training.data.prepare import *\n"
        "if __name__ == '__main__': prepare(Path(sys.argv[1]), Path(sys.argv[2]), PrepareOptions(), processes=2)"
    )
    script = data.parent / "run.py"
    script.write_text(code)
    env = {**os.environ, "PYTHONPATH": str(Path(mytalk.__file__).parents[1])}
    return subprocess.Popen([sys.executable, script, videos, data], env=env, start_new_session=True)


def _until(true: Callable[[], bool]) -> bool:
    end = time.monotonic() + LIMIT_S
    while time.monotonic() < end:
        if true():
            return True
        time.sleep(0.02)
    return False


def _gone(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "killpg"), reason="needs process groups")
def test_killed_in_the_middle_nothing_is_lost_or_done_twice(videos: Path, tmp_path: Path) -> None:
    for number in range(3):
        (videos / f"more{number}.mkv").write_bytes((videos / "bob.mkv").read_bytes())
    data = tmp_path / "data"
    process = _start(videos, data)
    journal = data / "journal.jsonl"
    assert _until(lambda: journal.exists() and journal.read_bytes().count(b"\n") >= 3)
    process.kill()
    process.wait()
    assert _until(lambda: _gone(process.pid)), "worker processes outlive the one that was killed"
    before = _journal(data)
    assert 2 <= len(before) < 6
    with (data / "shards" / "000000.tar").open("ab") as shard:
        shard.write(b"half a clip")
    with journal.open("ab") as file:
        file.write(b'{"source": "bob.mkv", "part": 0, "cl')
    summary = prepare(videos, data, PrepareOptions())
    assert summary.clips == 6
    assert summary.done_seconds == pytest.approx((6 - len(before)) * FRAMES / 25, abs=0.2)
    after = _journal(data)
    assert after[: len(before)] == before
    assert sorted(one["source"] for one in after) == sorted({one["source"] for one in after})
    keys = [entry.key for entry in read_manifest(data)]
    assert len(set(keys)) == 6
    assert _held(data) == keys
    store = ClipStore(data)
    assert all(len(store.faces(index, [FRAMES - 1])) == 1 for index in range(6))


def test_a_full_disk_is_said_and_the_next_run_goes_on(
    videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data"
    real, calls = os.fsync, []

    def full(file: int) -> None:
        calls.append(file)
        if len(calls) > 4:  # the journal's first line, then a shard and a journal line for each part
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(file)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputFullError, match=r"no space left for it .*goes on where it stopped"):
        prepare(videos, data, PrepareOptions())
    monkeypatch.undo()
    assert len(read_manifest(data)) == 1
    assert prepare(videos, data, PrepareOptions()).clips == 3
    assert _held(data) == [entry.key for entry in read_manifest(data)]


def _die(_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_killed_worker_is_said(videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preparation, "make", _die)
    with pytest.raises(TrainingError, match="was killed; often memory ran out: use fewer processes"):
        prepare(videos, tmp_path / "data", PrepareOptions(), processes=2)


def test_a_folder_with_nothing_in_it_says_what_is_missing(tmp_path: Path, videos: Path) -> None:
    empty, data = tmp_path / "empty", tmp_path / "data"
    empty.mkdir()
    with pytest.raises(DataError, match=r"no video in it \(need files that end in .*\.mp4"):
        prepare(empty, data, PrepareOptions())
    with pytest.raises(DataError, match="no such folder"):
        prepare(tmp_path / "nowhere", data, PrepareOptions())
    with pytest.raises(DataError, match=r"nothing usable in 3 videos \(turned away 3\): .*rejected.tsv"):
        prepare(videos, data, PrepareOptions(limits=Limits(yaw=0.01)))


def test_a_run_that_goes_on_must_have_the_same_options(videos: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    people = tmp_path / "people.tsv"
    people.write_text("ann/1.mkv\tann\nann/2.mkv\tann\nbob.mkv\trobert\n")
    summary = prepare(videos, data, PrepareOptions(people=str(people), size=128))
    assert summary.people == 2
    assert ClipStore(data).people == ["ann", "robert"]
    assert ClipStore(data).faces(0, [0]).shape == (1, 128, 128, 3)
    with pytest.raises(OptionError, match="was begun with size 128, not 256"):
        prepare(videos, data, PrepareOptions(people=str(people)))


def test_two_runs_do_not_write_to_one_folder(videos: Path, tmp_path: Path) -> None:
    with Journal(tmp_path / "data", {}), pytest.raises(OutputError, match="another mytalk train prepare"):
        prepare(videos, tmp_path / "data", PrepareOptions())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (PrepareOptions(size=100), "size 100: need a multiple of 16"),
        (PrepareOptions(shard_mb=0), "shard size 0 MB"),
        (PrepareOptions(limits=Limits(face_pixels=10)), "smallest face 10"),
        (PrepareOptions(limits=Limits(yaw=-3)), "largest yaw -3"),
        (PrepareOptions(people="nobody.tsv"), "people nobody.tsv: need by-folder, by-file or a TSV"),
    ],
)
def test_options_out_of_range_are_refused(videos: Path, tmp_path: Path, options: PrepareOptions, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        prepare(videos, tmp_path / "data", options)
    assert not (tmp_path / "data").exists()


def test_keys_are_unique_and_hold_no_dot() -> None:
    sources = ["a.b/c d.mp4", "a_b/c d.mp4", "a/b/c d.mp4", "a.b/c d.mkv"]
    keys = [part_worker._key(source, at) for source in sources for at in (0, 16_000)]
    assert len(set(keys)) == 8
    assert not any("." in key or "/" in key for key in keys)
