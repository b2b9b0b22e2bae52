"""Blends the painted mouth, and skin that follows it, into the box of the picture that changes.

On the CPU, or by the same arithmetic on a GPU, which gets that box alone and returns it in the picture's own YUV.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from mytalk.appearance.colour_match import repeat_rgb
from mytalk.appearance.compose import Painting, Placement, paint, resample_field, sample_warped
from mytalk.appearance.mask import Mask
from mytalk.appearance.network_inputs import Matrix
from mytalk.appearance.warp import Flow
from mytalk.face.pose import CROP_PIXELS
from mytalk.picture import Picture, yuv_of_rgb
from mytalk.runtime.cuda_graphs import to_device, to_host

_CROP = (CROP_PIXELS, CROP_PIXELS)
_MIN_ALPHA = 1e-6  # alpha of a pixel that has no weight in the mean of its 2 x 2 block's chroma


@dataclass(frozen=True, slots=True)
class Skin:
    """Holds the picture's own pixels that follow the landmarks."""

    pixels: NDArray[np.uint8]  # (h, w, 3)
    to_pixels: Matrix  # (2, 3): pixels of the 128 crop to these
    flow: Flow  # (128, 128, 2) within the crop
    mask: Mask  # (128, 128): how far they do


@dataclass(frozen=True, slots=True)
class Layers:
    """Lists what is blended into one box of a picture, lowest first: the picture, its skin where it moves, the
    mouth."""

    skin: Skin | None
    painting: Painting
    painted: Mask  # (128, 128): how much of the mouth
    placement: Placement
    opacity: float


class Blend(Protocol):
    """Blends layers into a picture, which stays equal to the bit where they are transparent."""

    def __call__(self, picture: Picture, layers: Layers) -> Picture: ...


def blend_on(device: torch.device) -> Blend:
    """Returns the blending function for a device."""
    return partial(blend_by_torch, device) if device.type == "cuda" else blend


def blend(picture: Picture, layers: Layers) -> Picture:
    """Blends layers into a picture on the CPU."""
    placement, skin = layers.placement, layers.skin
    mouth, alpha = paint(layers.painting, placement), resample_field(layers.painted, placement)
    if skin is not None:
        under = sample_warped(skin.pixels, skin.flow, skin.to_pixels, placement)
        mouth -= under
        mouth *= repeat_rgb(alpha)
        mouth += under
        alpha = np.maximum(alpha, resample_field(skin.mask, placement))
    return picture.with_region(placement.box, mouth, alpha * np.float32(layers.opacity))


@torch.inference_mode()
def blend_by_torch(device: torch.device, picture: Picture, layers: Layers) -> Picture:
    """Blends layers into a picture on any device; positions are not rounded to 1/32 pixel, as OpenCV does on the
    CPU."""
    placement, painting, skin = layers.placement, layers.painting, layers.skin
    coordinates = _crop_coordinates(placement, device)
    mouth = _resample_field(painting.colours, coordinates)
    if painting.mouth is not None:
        seen = painting.mouth
        warped = _sample_warped(seen.pixels, painting.flow, seen.to_pixels, coordinates)
        mouth += warped if painting.kept is None else warped * _resample_field(painting.kept, coordinates)
    alpha = _resample_field(layers.painted, coordinates)
    if skin is not None:
        under = _sample_warped(skin.pixels, skin.flow, skin.to_pixels, coordinates)
        mouth = torch.lerp(under, mouth, alpha)
        alpha = torch.maximum(alpha, _resample_field(skin.mask, coordinates))
    return _with_region(picture, placement, mouth, alpha * layers.opacity)


Coordinates = tuple[Tensor, Tensor]
"""Columns and rows of pixels, ``(h, w)`` each."""


def _crop_coordinates(placement: Placement, device: torch.device) -> Coordinates:
    """Returns where each pixel of a box lies in the 128 crop."""
    width, height = placement.size
    return _apply_affine(
        placement.to_crop, torch.arange(width, device=device), torch.arange(height, device=device)[:, None]
    )


def _apply_affine(matrix: Matrix, x: Tensor, y: Tensor) -> Coordinates:
    """Applies an affine ``(2, 3)`` to coordinates."""
    across, down = (row[0] * x + row[1] * y + row[2] for row in matrix.tolist())
    return across, down


def _resample_field(field: NDArray[np.float32], coordinates: Coordinates) -> Tensor:
    """Resamples a field of the crop ``(S, S)`` or ``(S, S, C)`` over a box, ``(1 or C, h, w)``; 0 outside the crop."""
    values = _to_device(field, coordinates[0].device)
    return _sample(values.reshape(*field.shape[:2], -1), *coordinates, _CROP, "bilinear", "zeros")


def _sample_warped(pixels: NDArray[np.uint8], flow: Flow, to_pixels: Matrix, coordinates: Coordinates) -> Tensor:
    """Samples pixels of another box, warped, as `mytalk.appearance.compose.sample_warped` does, ``(3, h, w)``."""
    device = coordinates[0].device
    colours, warped = _to_device(pixels, device).float(), _to_device(flow, device)
    positions = _apply_affine(to_pixels, *_sample(warped, *coordinates, _CROP, "bilinear", "border"))
    height, width, _ = pixels.shape
    return _sample(colours, *positions, (width, height), "bicubic", "border").clamp(0, 255)


def _sample(values: Tensor, x: Tensor, y: Tensor, size: tuple[int, int], mode: str, beyond: str) -> Tensor:
    """Samples values ``(H, W, C)`` at ``x`` and ``y`` ``(h, w)`` to ``(C, h, w)``.

    In the units of ``x`` and ``y``, values are ``size`` wide and high and pixel centres are integers.
    """
    grid = torch.stack([(2 * x + 1) / size[0] - 1, (2 * y + 1) / size[1] - 1], dim=-1)  # outer edges at -1 and 1
    return F.grid_sample(values.movedim(-1, 0)[None], grid[None], mode, beyond, align_corners=False)[0]


def _with_region(picture: Picture, placement: Placement, mouth: Tensor, alpha: Tensor) -> Picture:
    """Blends a box as `Picture.with_region` does: ``mouth`` ``(3, h, w)`` in RGB, ``alpha`` ``(1, h, w)``."""
    x0, y0, x1, y1 = placement.box
    whole, half = (slice(y0, y1), slice(x0, x1)), (slice(y0 // 2, y1 // 2), slice(x0 // 2, x1 // 2))
    parts = [picture.y[whole], picture.u[half], picture.v[half]]
    sizes = [part.size for part in parts]
    old = _to_device(np.concatenate([part.ravel() for part in parts]), alpha.device).float()
    matrix = _to_device(yuv_of_rgb(picture.matrix, picture.full_range).astype(np.float32), alpha.device)
    new = torch.einsum("ck,khw->chw", matrix[:, :3], mouth) + matrix[:, 3, None, None]
    some = alpha.clamp(min=_MIN_ALPHA)
    chroma = F.avg_pool2d(new[1:] * some, 2) / F.avg_pool2d(some, 2)
    luma_share, chroma_share = alpha.flatten(), F.avg_pool2d(alpha, 2).flatten()
    share = torch.cat([luma_share, chroma_share, chroma_share])
    wanted = torch.cat([new[0].flatten(), chroma.flatten()])
    mixed = torch.where(share > 0, torch.lerp(old, wanted, share).round().clamp(0, 255), old)
    blended = np.split(to_host(mixed.to(torch.uint8)).numpy(), np.cumsum(sizes[:2]))
    y, u, v = picture.y.copy(), picture.u.copy(), picture.v.copy()
    for plane, where, made in zip((y, u, v), (whole, half, half), blended, strict=True):
        plane[where] = made.reshape(plane[where].shape)
    return replace(picture, y=y, u=u, v=v)


def _to_device(values: NDArray[Any], device: torch.device) -> Tensor:
    return to_device(torch.from_numpy(np.ascontiguousarray(values)), device)
