from __future__ import annotations

import gc
import json
import pickle
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import webdataset
from numpy.typing import NDArray

from mytalk.errors import DataError
from mytalk.training.data.clip_members import Landmarks, PictureWriter, read_landmarks, write_landmarks, write_sound
from mytalk.training.data.shards import Entry, ShardWriter, read_manifest, write_manifest
from mytalk.training.data.store import ClipStore

FRAMES = 33


def _level(clip: int, frame: int) -> int:
    return 30 + 50 * clip + 3 * frame


def _members(clip: int) -> dict[str, bytes]:
    rng = np.random.default_rng(clip)
    writer = PictureWriter(64)
    for frame in range(FRAMES):
        writer.write(np.full((64, 64, 3), _level(clip, frame), np.uint8))
    landmarks = Landmarks(
        rng.normal(0, 1, (FRAMES, 478, 3)).astype(np.float32),
        rng.uniform(0, 256, (FRAMES, 478, 2)).astype(np.float32),
        rng.normal(0, 1, (FRAMES, 13)).astype(np.float32),
    )
    sound = rng.uniform(-1, 1, FRAMES * 640).astype(np.float32)
    about = json.dumps({"person": f"p{clip}"}).encode()
    return {"json": about, "mp4": writer.finish(), "flac": write_sound(sound), "npz": write_landmarks(landmarks)}


@pytest.fixture(scope="module")
def members() -> list[dict[str, bytes]]:
    return [_members(clip) for clip in range(3)]


@pytest.fixture
def data(tmp_path: Path, members: list[dict[str, bytes]]) -> Path:
    """Three clips of three people in two shards, written in another order than that of their keys."""
    writer = ShardWriter(tmp_path, len(members[2]["npz"]) * 2)
    entries = []
    for clip in (2, 0, 1):
        shard, places = writer.add(f"clip-{clip}", members[clip])
        writer.flush()
        entries.append(Entry(f"clip-{clip}", f"p{clip}", f"{clip}.mp4", 1.5, FRAMES, 0.0, shard, places))
    writer.close()
    write_manifest(tmp_path, entries)
    return tmp_path


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_webdataset_reads_what_was_written(data: Path, members: list[dict[str, bytes]]) -> None:
    shards = sorted(map(str, (data / "shards").glob("*.tar")))
    assert len(shards) == 2
    read = {one["__key__"]: one for one in webdataset.WebDataset(shards, shardshuffle=False, empty_check=False)}
    gc.collect()  # it leaves its files to the collector
    assert sorted(read) == ["clip-0", "clip-1", "clip-2"]
    for clip, expected in enumerate(members):
        assert {name: read[f"clip-{clip}"][name] for name in expected} == expected


def test_any_frames_come_in_the_order_asked_for(data: Path) -> None:
    store = ClipStore(data)
    assert [entry.key for entry in store.entries] == ["clip-0", "clip-1", "clip-2"]
    for index in range(3):
        for frames in ([7, 3, 31, 3, -1], slice(9, 30, 2), slice(None), [0], [], [FRAMES - 1]):
            faces = store.faces(index, frames)
            numbers = np.arange(FRAMES)[frames]
            assert faces.shape == (len(numbers), 64, 64, 3)
            np.testing.assert_allclose(faces[:, 20, 20, 1], [_level(index, int(n)) for n in numbers], atol=2)
    with pytest.raises(IndexError):
        store.faces(0, [FRAMES])


def test_landmarks_and_sound_come_back_as_fine_as_they_are_known(data: Path) -> None:
    store = ClipStore(data)
    rng = np.random.default_rng(1)
    landmarks = store.landmarks(1)
    np.testing.assert_allclose(landmarks.canonical, rng.normal(0, 1, (FRAMES, 478, 3)), atol=5e-5)
    np.testing.assert_allclose(landmarks.crop, rng.uniform(0, 256, (FRAMES, 478, 2)), atol=0.01)
    np.testing.assert_allclose(landmarks.poses, rng.normal(0, 1, (FRAMES, 13)), atol=1e-6)
    np.testing.assert_allclose(store.sound(1), rng.uniform(-1, 1, FRAMES * 640), atol=4e-5)
    assert store.about(1) == {"person": "p1"}


def test_people_and_clips_are_held_out(data: Path) -> None:
    names = ("p0", "clip-2")
    assert [entry.key for entry in ClipStore(data, hold_out=names).entries] == ["clip-1"]
    kept = ClipStore(data, hold_out=names, held_out=True)
    assert [entry.key for entry in kept.entries] == ["clip-0", "clip-2"]
    assert kept.people == ["p0", "p2"]
    assert float(kept.faces(1, [0])[0, 20, 20, 1]) == pytest.approx(_level(2, 0), abs=2)
    assert len(ClipStore([data, data])) == 6


def test_memory_is_bounded(data: Path, members: list[dict[str, bytes]]) -> None:
    one = read_landmarks(members[0]["npz"]).nbytes
    store = ClipStore(data, cache_bytes=2 * one + 10)
    for _ in range(3):
        for index in range(3):
            store.landmarks(index)
            assert len(store._cache) <= 2
    assert store._cached == 2 * one


def _first_face(store: ClipStore) -> NDArray[np.uint8]:
    return store.faces(2, [4])


def test_processes_share_a_store(data: Path) -> None:
    store = ClipStore(data)
    store.landmarks(0)
    assert pickle.loads(pickle.dumps(store))._cached == 0
    for method in ("fork", "spawn"):
        with get_context(method).Pool(1) as pool:
            np.testing.assert_array_equal(pool.apply(_first_face, (store,)), store.faces(2, [4]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hold_out": ("nobody",)}, r"held out nobody: neither a person nor a clip in it \(people: p0, p1, p2\)"),
        ({"hold_out": ("p0", "p1", "p2")}, "every clip is held out"),
        ({"held_out": True}, "no clip is held out"),
    ],
)
def test_a_store_without_clips_says_why(data: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        ClipStore(data, **options)


def test_a_folder_that_is_none_or_empty_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no manifest\.jsonl in it .*mytalk train prepare"):
        ClipStore(tmp_path)
    write_manifest(tmp_path, [])
    with pytest.raises(DataError, match="no usable clip in it"):
        ClipStore(tmp_path)


def test_damage_names_the_clip(data: Path) -> None:
    entry = read_manifest(data)[1]
    shard = data / "shards" / entry.shard
    whole = shard.read_bytes()
    for name in ("json", "mp4", "flac", "npz"):
        offset, size = entry.members[name]
        shard.write_bytes(whole[:offset] + b"?" * size + whole[offset + size :])
        store = ClipStore(data)
        faces = partial(store.faces, frames=[3])
        read = {"json": store.about, "flac": store.sound, "npz": store.landmarks, "mp4": faces}
        with pytest.raises(DataError, match=rf"clip-1\.{name} in {entry.shard} is damaged"):
            read[name](1)
        assert len(store.sound(0)) == FRAMES * 640
    shard.write_bytes(whole[: entry.members["npz"][0] + 5])
    with pytest.raises(DataError, match=r"ends inside clip-1\.npz"):
        ClipStore(data).landmarks(1)
    shard.unlink()
    with pytest.raises(DataError, match=r"cannot be read \(No such file"):
        ClipStore(data).sound(1)


def test_a_damaged_manifest_names_the_line(data: Path) -> None:
    path = data / "manifest.jsonl"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], lines[1][:40], lines[2]]))
    with pytest.raises(DataError, match="line 2 is damaged"):
        ClipStore(data)
