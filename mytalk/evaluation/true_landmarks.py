"""Measures the second stage alone: how close a mouth painted at the filmed landmarks comes to the filmed mouth.

The first seconds of a clip fill the reference bank; then the bank is closed, and every frame's mouth region is rendered
anew from it, at the frame's own landmarks. Compared on the 256 x 256 face crop; skin outside the region is the frame's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from mytalk.appearance.bank import CAPACITY
from mytalk.appearance.interfaces import Appearance
from mytalk.appearance.renderer import MouthRenderer
from mytalk.evaluation.crop import Box, Crop, face_crop, mouth_box
from mytalk.evaluation.fidelity import change, detail, psnr, sharpness, ssim
from mytalk.face import Face, fit_pose
from mytalk.face.landmarks import LOWER_FACE
from mytalk.picture import Picture, VideoFrame

_LOWER = list(LOWER_FACE)

Finish = Callable[[Picture, Picture, Face], Picture]
"""Maps the filmed and the rendered picture and the filmed face to what is compared with the filmed one."""


@dataclass(frozen=True, slots=True)
class PixelScore:
    """Holds means over the frames of one clip."""

    frames: int
    psnr: float
    ssim: float
    mouth_psnr: float
    sharpness: float  # variance of the mouth box's Laplacian, rendered / filmed, median
    detail: float  # correlation of the mouth box's Laplacian with the filmed one's
    flicker: float  # frame-to-frame change of the mouth box, rendered / filmed
    milliseconds: float  # one thread's CPU time for one render


def score_pixels(
    frames: Iterable[tuple[VideoFrame, Face | None]],
    model: Appearance | None,
    enrolment: int,
    *,
    mouths: int = CAPACITY,
    refinement: bool = True,
    reuse_residual: bool = False,
    finish: Finish | None = None,
) -> PixelScore | None:
    """Scores the renderer on one clip; ``model`` None warps the nearest mouth. None: no face after the enrolment.

    ``enrolment``: samples from the first frame on that fill the bank, with the first ``mouths`` of them at most.
    ``refinement`` and ``reuse_residual``: as in `MouthRenderer`.
    """
    renderer = MouthRenderer(model)
    renderer.reuse_residual, renderer.refinement = reuse_residual, refinement
    rows: list[tuple[float, ...]] = []
    before: tuple[Crop, Crop] | None = None
    start: int | None = None
    for frame, face in frames:
        start = frame.at if start is None else start
        if face is None:
            before = None
            continue
        picture, pose, points = frame.picture, fit_pose(face), face.points[_LOWER, :2]
        if frame.at - start < enrolment:
            if renderer.bank_size < mouths:
                renderer.observe(picture, pose, points)
            continue
        begun = time.thread_time()
        rendered = renderer.render(picture, pose, points, points, face=face.points[:, :2])
        spent = time.thread_time() - begun
        if finish is not None:
            rendered = finish(picture, rendered, face)
        pair = (face_crop(picture.rgb(), pose), face_crop(rendered.rgb(), pose))
        rows.append((*_compare(*pair, mouth_box(face, pose), before), 1000 * spent))
        before = pair
    return _summary(np.array(rows)) if rows else None


def _summary(table: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> PixelScore:
    psnr, ssim, mouth_psnr = (float(value) for value in table[:, :3].mean(axis=0))
    flicker = float(table[:, 5].sum() / max(table[:, 6].sum(), 1e-9))
    sharp, milliseconds = float(np.median(table[:, 3])), float(table[:, 7].mean())
    return PixelScore(len(table), psnr, ssim, mouth_psnr, sharp, float(np.nanmean(table[:, 4])), flicker, milliseconds)


def _compare(filmed: Crop, rendered: Crop, box: Box, before: tuple[Crop, Crop] | None) -> tuple[float, ...]:
    changes: tuple[float, ...] = (0.0, 0.0)
    if before is not None:
        pairs = ((rendered, before[1]), (filmed, before[0]))
        changes = tuple(change(now, old, box) for now, old in pairs)
    return (
        psnr(filmed, rendered), ssim(filmed, rendered), psnr(filmed[box], rendered[box]),
        sharpness(rendered[box]) / max(sharpness(filmed[box]), 1e-6),
        detail(filmed[box], rendered[box]), *changes,
    )  # fmt: skip
