"""The last step of a picture: the painted mouth, and skin that follows it, blended into the box that changes.

On the CPU, or the same arithmetic on a GPU, which gets that box alone and gives it back in the picture's own YUV.
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

from mytalk.appearance.colour_match import alike
from mytalk.appearance.compose import Painting, Place, paint, sample_through, spread
from mytalk.appearance.mask import Mask
from mytalk.appearance.network_inputs import Matrix
from mytalk.appearance.warp import Flow
from mytalk.face.pose import CROP_PIXELS
from mytalk.picture import Picture, yuv_of_rgb
from mytalk.runtime.cuda_graphs import to_device, to_host

_CROP = (CROP_PIXELS, CROP_PIXELS)
_NEVER = 1e-6  # alpha of a pixel that says nothing of its chroma


@dataclass(frozen=True, slots=True)
class Skin:
    """The picture's own pixels that follow the landmarks."""

    pixels: NDArray[np.uint8]  # (h, w, 3)
    to_pixels: Matrix  # (2, 3): pixels of the 128 crop to these
    flow: Flow  # (128, 128, 2) within the crop
    reach: Mask  # (128, 128): how far they do


@dataclass(frozen=True, slots=True)
class Layers:
    """What comes into one box of a picture, lowest first: the picture, its skin where it moves, the mouth."""

    skin: Skin | None
    painting: Painting
    painted: Mask  # (128, 128): how much of the mouth
    place: Place
    opacity: float


class Blend(Protocol):
    """The picture with its layers; equal to the bit where there is nothing of them."""

    def __call__(self, picture: Picture, layers: Layers) -> Picture: ...


def blend_on(device: torch.device) -> Blend:
    """Where the models are, there pictures are blended."""
    return partial(blend_by_torch, device) if device.type == "cuda" else blend


def blend(picture: Picture, layers: Layers) -> Picture:
    """On the CPU."""
    place, skin = layers.place, layers.skin
    mouth, alpha = paint(layers.painting, place), spread(layers.painted, place)
    if skin is not None:
        under = sample_through(skin.pixels, skin.flow, skin.to_pixels, place)
        mouth -= under
        mouth *= alike(alpha)
        mouth += under
        alpha = np.maximum(alpha, spread(skin.reach, place))
    return picture.with_region(place.box, mouth, alpha * np.float32(layers.opacity))


@torch.inference_mode()
def blend_by_torch(device: torch.device, picture: Picture, layers: Layers) -> Picture:
    """On any device; what lies between pixels is not rounded to a 32nd of one, as it is on the CPU."""
    place, painting, skin = layers.place, layers.painting, layers.skin
    at = _places(place, device)
    mouth = _spread(painting.colours, at)
    if painting.mouth is not None:
        seen = painting.mouth
        bent = _sample_through(seen.pixels, painting.flow, seen.to_pixels, at)
        mouth += bent if painting.kept is None else bent * _spread(painting.kept, at)
    alpha = _spread(layers.painted, at)
    if skin is not None:
        under = _sample_through(skin.pixels, skin.flow, skin.to_pixels, at)
        mouth = torch.lerp(under, mouth, alpha)
        alpha = torch.maximum(alpha, _spread(skin.reach, at))
    return _with_region(picture, place, mouth, alpha * layers.opacity)


Places = tuple[Tensor, Tensor]
"""Columns and rows, ``(h, w)`` each."""


def _places(place: Place, device: torch.device) -> Places:
    """Where each pixel of a box lies in the 128 crop."""
    width, height = place.size
    return _moved(place.to_crop, torch.arange(width, device=device), torch.arange(height, device=device)[:, None])


def _moved(matrix: Matrix, x: Tensor, y: Tensor) -> Places:
    """Places by an affine ``(2, 3)``."""
    across, down = (row[0] * x + row[1] * y + row[2] for row in matrix.tolist())
    return across, down


def _spread(field: NDArray[np.float32], at: Places) -> Tensor:
    """A field of the crop ``(S, S)`` or ``(S, S, C)`` over a box, ``(1 or C, h, w)``; 0 outside the crop."""
    values = _there(field, at[0].device)
    return _sample(values.reshape(*field.shape[:2], -1), *at, _CROP, "bilinear", "zeros")


def _sample_through(pixels: NDArray[np.uint8], flow: Flow, to_pixels: Matrix, at: Places) -> Tensor:
    """As `mytalk.appearance.compose.sample_through`, ``(3, h, w)``."""
    device = at[0].device
    colours, bent = _there(pixels, device).float(), _there(flow, device)
    there = _moved(to_pixels, *_sample(bent, *at, _CROP, "bilinear", "border"))
    height, width, _ = pixels.shape
    return _sample(colours, *there, (width, height), "bicubic", "border").clamp(0, 255)


def _sample(values: Tensor, x: Tensor, y: Tensor, size: tuple[int, int], mode: str, beyond: str) -> Tensor:
    """Values ``(H, W, C)`` at ``x`` and ``y`` ``(h, w)``, in whose units they are ``size`` wide and high and centres of
    pixels are integers: ``(C, h, w)``."""
    grid = torch.stack([(2 * x + 1) / size[0] - 1, (2 * y + 1) / size[1] - 1], dim=-1)  # outer edges at -1 and 1
    return F.grid_sample(values.movedim(-1, 0)[None], grid[None], mode, beyond, align_corners=False)[0]


def _with_region(picture: Picture, place: Place, mouth: Tensor, alpha: Tensor) -> Picture:
    """`Picture.with_region` of a box: ``mouth`` ``(3, h, w)`` in RGB, ``alpha`` ``(1, h, w)``."""
    x0, y0, x1, y1 = place.box
    whole, half = (slice(y0, y1), slice(x0, x1)), (slice(y0 // 2, y1 // 2), slice(x0 // 2, x1 // 2))
    parts = [picture.y[whole], picture.u[half], picture.v[half]]
    sizes = [part.size for part in parts]
    old = _there(np.concatenate([part.ravel() for part in parts]), alpha.device).float()
    matrix = _there(yuv_of_rgb(picture.matrix, picture.full_range).astype(np.float32), alpha.device)
    new = torch.einsum("ck,khw->chw", matrix[:, :3], mouth) + matrix[:, 3, None, None]
    some = alpha.clamp(min=_NEVER)
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


def _there(values: NDArray[Any], device: torch.device) -> Tensor:
    return to_device(torch.from_numpy(np.ascontiguousarray(values)), device)
