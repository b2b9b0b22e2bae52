"""A data folder made here: a few people whose jaws drop with the loudness of their sound."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mytalk.face.landmarks import TEMPLATE
from mytalk.media_time import FRAME_SAMPLES
from mytalk.training.data.clip_members import Landmarks, write_landmarks, write_sound
from mytalk.training.data.shards import Entry, ShardWriter, write_manifest

FRAMES = 80


def make_store(folder: Path, people: int = 3, clips: int = 1, frames: int = FRAMES, opening: float = 0.3) -> Path:
    """``clips`` clips of each person, named ``person0-0``...; their pictures are missing.

    ``opening`` is how far jaws drop at most, canonical units.
    """
    writer = ShardWriter(folder, 2**30)
    entries = []
    for person in range(people):
        shape = TEMPLATE * (1 + np.random.default_rng([7, person]).normal(0, 0.05, 3)).astype(np.float32)
        for clip in range(clips):
            key = f"person{person}-{clip}"
            canonical, sound = _talking(shape, np.random.default_rng([8, person, clip]), frames, opening)
            landmarks = Landmarks(canonical, canonical[..., :2] * 80, np.zeros((frames, 13), np.float32))
            members = {"json": b"{}", "mp4": b"", "flac": write_sound(sound), "npz": write_landmarks(landmarks)}
            shard, places = writer.add(key, members)
            entries.append(Entry(key, f"person{person}", f"{key}.mp4", 0.0, frames, 0.0, shard, places))
    writer.close()
    write_manifest(folder, entries)
    return folder


def _talking(
    shape: np.ndarray[tuple[int, ...], np.dtype[np.float32]], rng: np.random.Generator, frames: int, most: float
) -> tuple[np.ndarray[tuple[int, ...], np.dtype[np.float32]], np.ndarray[tuple[int, ...], np.dtype[np.float32]]]:
    opening = np.convolve(rng.uniform(0, most, frames + 4), np.ones(5) / 5, "valid").astype(np.float32)
    below = np.clip((TEMPLATE[:, 1] - 1.15) * 4, 0, 1)  # lower lip and chin move, the upper lip does not
    points = np.repeat(shape[None], frames, axis=0)
    points[:, :, 1] += opening[:, None] * below
    sound = 0.3 * rng.normal(0, 1, frames * FRAME_SAMPLES) * np.repeat(opening, FRAME_SAMPLES)
    return points.astype(np.float32), sound.astype(np.float32)
