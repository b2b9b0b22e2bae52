"""A prepared data folder with clips of the astronaut moving her lips, louder the wider."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mytalk import Picture
from mytalk.appearance.crop_frame import FACE
from mytalk.appearance.network_inputs import to_crop
from mytalk.appearance.placement import apply_affine, placement_of
from mytalk.appearance.renderer import MouthRenderer
from mytalk.face import Face, fit_pose
from mytalk.face.landmarks import LOWER_FACE, LOWER_LIPS_INNER
from mytalk.media_time import FRAME_SAMPLES
from mytalk.training.data.clip_members import Landmarks, PictureWriter, write_landmarks, write_sound
from mytalk.training.data.shards import Entry, ShardWriter, write_manifest

_LOWER = list(LOWER_FACE)


def write_faces(folder: Path, portrait: Picture, face: Face, people: tuple[str, ...], frames: int = 50) -> Path:
    """One clip a person, all alike but for how fast the lips move."""
    writer = ShardWriter(folder, 2**20)
    entries = []
    for number, person in enumerate(people):
        members = {"json": b"{}", **_clip(portrait, face, frames, 3.0 - number / 2)}
        shard, places = writer.add(person, members)
        entries.append(Entry(person, person, f"{person}.mp4", 0.0, frames, 0.0, shard, places))
    writer.close()
    write_manifest(folder, entries)
    return folder


def _clip(portrait: Picture, face: Face, frames: int, pace: float) -> dict[str, bytes]:
    pose, smile = fit_pose(face), face.points[_LOWER, :2]
    matrix = pose.crop_matrix()
    place = placement_of(portrait, matrix, frame=FACE)
    assert place is not None
    pictures = PictureWriter(256)
    crops, shapes, sounds = [], [], []
    hiss = np.random.default_rng(9).normal(0, 0.1, FRAME_SAMPLES)
    for frame in range(frames):
        moved = face.points.copy()
        moved[np.array(_LOWER)[list(LOWER_LIPS_INNER[1:10])], 1] += 3 * np.sin(frame / pace)
        points = moved[:, :2]
        shapes.append(pose.to_canonical(moved))
        sounds.append(hiss * (1 + np.sin(frame / pace)))
        picture = MouthRenderer(None).render(portrait, pose, smile, points[_LOWER])
        pictures.write(to_crop(picture.region_rgb(place.box), place.to_pixels, 128, FACE))
        crops.append(apply_affine(matrix, points) - np.array([FACE.left, FACE.top], np.float32))
    known = np.stack(shapes), np.stack(crops), np.zeros((frames, 13), np.float32)
    sound = write_sound(np.concatenate(sounds).astype(np.float32))
    return {"mp4": pictures.finish(), "flac": sound, "npz": write_landmarks(Landmarks(*known))}
