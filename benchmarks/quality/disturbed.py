"""Measures what a change of light, or a microphone before the chin, does to rendered mouths enrolled without them.

    python -m benchmarks.quality.disturbed --clips FOLDER [--json FILE]

As `appearance.py`: the first 3 s of each clip (1.5 s of one of no more than 4 s) fill the reference bank, as filmed;
then every frame is disturbed, and its mouth rendered anew from the bank at the frame's own landmarks, as they were
tracked before. Compared with the disturbed frame, in which a mouth that is lit as the face is, and a microphone that
stays before it, are found again. The microphone is drawn: a dark ball and its stem, its middle under the lower lip.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch

import mytalk
from benchmarks.quality.appearance import mean
from mytalk.appearance.interfaces import Appearance
from mytalk.appearance.placement import apply_affine
from mytalk.evaluation.engine import enrolment_of
from mytalk.evaluation.filmed import Filmed, track_film
from mytalk.evaluation.true_landmarks import PixelScore, score_pixels
from mytalk.face import Face, fit_pose
from mytalk.face.landmarks import LOWER_FACE, LOWER_LIPS_OUTER
from mytalk.picture import Picture, VideoFrame

Disturb = Callable[[Picture, Face], Picture]


def relit(picture: Picture, face: Face, by: tuple[float, float, float]) -> Picture:
    """Multiplies red, green and blue."""
    return Picture.from_rgb(np.clip(picture.rgb() * np.float32(by), 0, 255).astype(np.uint8))


def behind_a_microphone(picture: Picture, face: Face) -> Picture:
    rgb = picture.rgb()
    matrix = fit_pose(face).crop_matrix()
    lips = apply_affine(matrix, face.points[list(LOWER_FACE), :2])[list(LOWER_LIPS_OUTER)]
    to_picture = cv2.invertAffineTransform(matrix)
    below = np.array([lips[:, 0].mean(), lips[:, 1].max() + 4], np.float32)
    x, y = np.rint(apply_affine(to_picture, below)).astype(int).tolist()
    radius = round(14 * float(np.linalg.norm(to_picture[:, 0])))
    cv2.line(rgb, (x, y), (x, picture.height), (15, 15, 15), radius)
    cv2.circle(rgb, (x, y), radius, (25, 25, 30), -1, cv2.LINE_AA)
    return Picture.from_rgb(rgb)


DISTURBANCES: dict[str, Disturb] = {
    "as filmed": lambda picture, face: picture,
    "light x 0.65": partial(relit, by=(0.65, 0.65, 0.65)),
    "light x 0.8": partial(relit, by=(0.8, 0.8, 0.8)),
    "light x 1.2": partial(relit, by=(1.2, 1.2, 1.2)),
    "warmer light": partial(relit, by=(1.1, 1.0, 0.8)),
    "microphone": behind_a_microphone,
}


def main() -> None:
    """Prints a table of means over the clips."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=Path, required=True, help="folder of video files")
    parser.add_argument("--json", type=Path, help="write the figures of every clip here")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    model = mytalk.load("edge", device="cpu").appearance
    rows: dict[str, dict[str, PixelScore]] = {name: {} for name in DISTURBANCES}
    for path in sorted(one for one in arguments.clips.iterdir() if one.is_file()):
        for name, score in scores(path, model):
            rows[name][path.stem] = score
    print(f"{'':16}   PSNR   SSIM  mouth  sharp flicker")
    for name, row in rows.items():
        of = mean(list(row.values()))
        print(f"{name:16} {of.psnr:6.2f} {of.ssim:6.4f} {of.mouth_psnr:6.2f} {of.sharpness:6.2f} {of.flicker:7.2f}")
    if arguments.json:
        figures = {name: {clip: asdict(score) for clip, score in row.items()} for name, row in rows.items()}
        arguments.json.write_text(json.dumps(figures, indent=1))


def scores(path: Path, model: Appearance) -> Iterator[tuple[str, PixelScore]]:
    """Scores one clip, disturbed in each way; nothing where no face is found after its enrolment."""
    clip = track_film(path)
    enrolment = enrolment_of(clip.film, paired=True)
    for name, disturb in DISTURBANCES.items():
        score = score_pixels(_disturbed(clip, disturb, enrolment), model, enrolment)
        if score is not None:
            yield name, score


def _disturbed(clip: Filmed, disturb: Disturb, enrolment: int) -> Iterator[tuple[VideoFrame, Face | None]]:
    for frame, face in zip(clip.film.frames(), clip.faces_in_order(), strict=False):
        picture = frame.picture
        if face is not None and frame.at - clip.at[0] >= enrolment:
            picture = disturb(picture, face)
        yield VideoFrame(picture, frame.at, frame.pts, frame.time_base), face


if __name__ == "__main__":
    main()
