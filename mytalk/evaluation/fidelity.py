"""Compares the generated picture with the filmed one: PSNR, SSIM, sharpness, and flicker of the mouth."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from mytalk.evaluation.crop import Box, Crop
from mytalk.evaluation.extras import extra, missing
from mytalk.evaluation.moment import Measure, Moment

_SSIM_WINDOW = 7


def psnr(one: Crop, other: Crop) -> float:
    """Computes the peak signal-to-noise ratio in dB of two pictures in 0..255; infinite where they are the same."""
    error = float(np.square(one - other).mean())
    return float("inf") if error == 0 else float(10 * np.log10(255.0**2 / error))


def ssim(one: Crop, other: Crop) -> float:
    """Computes the structural similarity of two RGB pictures in 0..255, 7 x 7 windows. Wang et al. 2004, equation
    13."""
    measure = extra("skimage.metrics").structural_similarity
    return float(measure(one, other, channel_axis=2, data_range=255.0))


def sharpness(crop: Crop) -> float:
    """Computes the variance of the grey picture's Laplacian."""
    return float(cv2.Laplacian(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), cv2.CV_32F).var())


def detail(one: Crop, other: Crop) -> float:
    """Correlates two grey pictures' Laplacians: the share of fine detail that is the same, not only as strong.

    Grain on a soft picture has the sharpness of a sharp one, and no detail of it. NaN where a picture is flat.
    """
    edges = [cv2.Laplacian(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), cv2.CV_32F).ravel() for crop in (one, other)]
    if min(float(edge.std()) for edge in edges) < 1e-6:
        return float("nan")
    return float(np.corrcoef(*edges)[0, 1])


def change(now: Crop, before: Crop, box: Box) -> float:
    """Computes the mean absolute difference of two pictures within a box."""
    return float(np.abs(now[box] - before[box]).mean())


def _means(table: NDArray[np.float64]) -> list[float]:
    """Averages each column; NaN does not count."""
    columns = [column[~np.isnan(column)] for column in table.T]
    return [float(column.mean()) if len(column) else float("nan") for column in columns]


class Fidelity(Measure):
    """Compares pictures with pictures. Frames that are equal to the bit were left untouched, and are not counted.

    Where all frames are equal PSNR is infinite and SSIM 1. ``compare`` False (the film says something else): only
    sharpness and flicker, which are ratios over the clip.
    """

    def __init__(self, *, compare: bool) -> None:
        self._compare = compare
        self._ssim = missing("skimage.metrics") is None
        self._likeness: list[tuple[float, float, float, float]] = []  # PSNR, SSIM, and both of the mouth
        self._sharpness: list[float] = []
        self._changes = np.zeros(2)  # generated, filmed
        self._before: tuple[Crop, Crop] | None = None
        self._seen = 0
        self.mouth_psnr = float("nan")  # of the latest moment

    def push(self, moment: Moment) -> None:
        self.mouth_psnr = float("nan")
        crops, box = moment.crops, moment.mouth
        if crops is None or box is None or not moment.pair.scored:
            self._before = None
            return
        filmed, generated = crops
        self._seen += 1
        if self._compare and not np.array_equal(filmed, generated):
            self._likeness.append(
                (*self._similarity(filmed, generated), *self._similarity(filmed[box], generated[box]))
            )
            self.mouth_psnr = self._likeness[-1][2]
        self._sharpness.append(sharpness(generated[box]) / max(sharpness(filmed[box]), 1e-6))
        if self._before is not None:
            self._changes += change(generated, self._before[1], box), change(filmed, self._before[0], box)
        self._before = crops

    def scores(self) -> dict[str, float]:
        if not self._seen:
            return {}
        out = {"sharpness": float(np.median(self._sharpness))}
        if self._changes[1] > 0:
            out["mouth_flicker"] = float(self._changes[0] / self._changes[1])
        if self._compare:
            same = 1.0 if self._ssim else float("nan")
            table = np.array(self._likeness or [(float("inf"), same, float("inf"), same)])
            out |= dict(zip(("psnr", "ssim", "mouth_psnr", "mouth_ssim"), _means(table), strict=True))
        return out

    def _similarity(self, filmed: Crop, generated: Crop) -> tuple[float, float]:
        """Computes PSNR and SSIM; NaN for an SSIM that cannot be computed."""
        small = min(filmed.shape[:2]) < _SSIM_WINDOW
        return psnr(filmed, generated), float("nan") if small or not self._ssim else ssim(filmed, generated)
