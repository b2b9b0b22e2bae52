"""Draws, blurs, resizes and samples fields of several sessions at once, as `fill` and `sampling` do it for one."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from mytalk.appearance.fill import LINES
from mytalk.appearance.sampling import SHARPNESS
from mytalk.face.pose import CROP_PIXELS

_BEYOND = 1e-3  # pixels inside the right edge that an edge beyond it is taken to cross at


def grid(device: torch.device, side: int = CROP_PIXELS) -> Tensor:
    """Returns the pixels' own positions ``(side, side, 2)``, x and y."""
    along = torch.arange(side, dtype=torch.float32, device=device)
    return torch.stack([along[None].expand(side, -1), along[:, None].expand(-1, side)], dim=-1)


def coverage(polygons: Tensor, shares: Tensor | None = None) -> Tensor:
    """Draws how much of each pixel polygons ``(B, P, N, 2)`` cover, times ``shares`` ``(B, P)``, summed over ``P``:
    ``(B, 128, 128)``."""
    batch, count = polygons.shape[:2]
    places = torch.arange(CROP_PIXELS * LINES, dtype=torch.float32, device=polygons.device)
    lines = places.div(LINES, rounding_mode="floor") + (places.remainder(LINES) + 0.5) / LINES - 0.5
    (x0, y0), (x1, y1) = polygons[..., None, :].unbind(-1), polygons.roll(-1, dims=2)[..., None, :].unbind(-1)
    crosses = (y0 <= lines) != (y1 <= lines)  # (B, P, N, lines)
    crossing = x0 + (lines - y0) / torch.where(y1 == y0, 1, y1 - y0) * (x1 - x0) + 0.5
    crossing = crossing.clamp(0, CROP_PIXELS - _BEYOND)
    pixel = crossing.floor()
    sign = torch.where(y0 <= lines, 1 / LINES, -1 / LINES) * crosses
    # Each edge adds what lies to its right: a part of its own pixel, and all of the next ones.
    row = torch.arange(CROP_PIXELS, device=polygons.device).repeat_interleave(LINES) * (CROP_PIXELS + 1)
    index = (row + pixel.long()).reshape(batch * count, -1)
    steps = polygons.new_zeros(batch * count, CROP_PIXELS * (CROP_PIXELS + 1))
    for after, step in ((0, sign * (pixel + 1 - crossing)), (1, sign * (crossing - pixel))):
        steps.scatter_add_(1, index + after, step.reshape(batch * count, -1))
    steps = steps.view(batch, count, CROP_PIXELS, CROP_PIXELS + 1)[..., :CROP_PIXELS]
    covered = steps.cumsum(-1).abs()
    return (covered if shares is None else covered * shares[..., None, None]).sum(1)


def blur(field: Tensor, sigma: float) -> Tensor:
    """Blurs the last two axes of ``(B, ..., H, W)`` by a Gaussian, mirrored at the edges."""
    weights = _gaussian(sigma)
    reach, (height, width) = len(weights) // 2, field.shape[-2:]
    flat = field.reshape(field.shape[0], -1, height, width)
    padded = functional.pad(flat, (reach, reach, reach, reach), mode="reflect")
    across = sum(weight * padded[..., k : k + width] for k, weight in enumerate(weights))
    assert isinstance(across, Tensor)
    out = sum(weight * across[..., k : k + height, :] for k, weight in enumerate(weights))
    assert isinstance(out, Tensor)
    return out.reshape(field.shape)


def _gaussian(sigma: float) -> list[float]:
    """Returns the weights of a Gaussian up to 3 sigma, their sum 1."""
    reach = math.ceil(3 * sigma)
    weights = [math.exp(-0.5 * (k / sigma) ** 2) for k in range(-reach, reach + 1)]
    return [one / sum(weights) for one in weights]


def reduced(field: Tensor, side: int) -> Tensor:
    """Averages ``(B, S, S, ...)`` to ``(B, side, side, ...)``; ``side`` divides ``S``."""
    batch, size, _, *channels = field.shape
    step = size // side
    return field.reshape(batch, side, step, side, step, *channels).mean(dim=(2, 4))


def enlarged(field: Tensor, size: int) -> Tensor:
    """Enlarges ``(B, s, s, C)`` to ``(B, size, size, C)`` by linear interpolation."""
    larger = functional.interpolate(field.movedim(-1, 1), size=(size, size), mode="bilinear", align_corners=False)
    return larger.movedim(1, -1)


def linear(pixels: Tensor, places: Tensor, size: Tensor) -> Tensor:
    """Samples ``pixels`` ``(B, H, W, C)`` at ``places`` ``(B, ..., 2)`` by linear interpolation, ``(B, ..., C)``.

    ``size`` ``(B, 2)``: height and width of each that are its picture; its edge is repeated beyond them.
    """
    (x, y), (height, width) = places.unbind(-1), _aligned(size, places)
    x, y = torch.minimum(x.clamp(min=0), width - 1), torch.minimum(y.clamp(min=0), height - 1)
    column, row = x.floor(), y.floor()
    across, down = (x - column).unsqueeze(-1), (y - row).unsqueeze(-1)
    right, below = torch.minimum(column + 1, width - 1), torch.minimum(row + 1, height - 1)
    above = _at(pixels, row, column) * (1 - across) + _at(pixels, row, right) * across
    under = _at(pixels, below, column) * (1 - across) + _at(pixels, below, right) * across
    return above * (1 - down) + under * down


def cubic(plane: Tensor, places: Tensor, size: Tensor) -> Tensor:
    """Samples ``plane`` ``(B, H, W)`` at ``places`` ``(B, ..., 2)`` by cubic interpolation, within 0..255."""
    (x, y), (height, width) = places.unbind(-1), _aligned(size, places)
    column, row = x.floor(), y.floor()
    across, down = _cubic_weights(x - column), _cubic_weights(y - row)
    columns = [torch.minimum((column + k).clamp(min=0), width - 1) for k in (-1, 0, 1, 2)]
    value, pixels = torch.zeros_like(x), plane.unsqueeze(-1)
    for k, weight in zip((-1, 0, 1, 2), down, strict=True):
        line = torch.minimum((row + k).clamp(min=0), height - 1)
        taps = zip(across, columns, strict=True)
        value = value + weight * sum(share * _at(pixels, line, one).squeeze(-1) for share, one in taps)
    return value.clamp(0, 255)


def _cubic_weights(share: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Returns the weights of the pixels -1, 0, 1 and 2 for places ``share`` after pixel 0. Keys 1981."""
    a, one, other = SHARPNESS.item(), share + 1, 1 - share
    before = ((a * one - 5 * a) * one + 8 * a) * one - 4 * a
    first = ((a + 2) * share - (a + 3)) * share * share + 1
    second = ((a + 2) * other - (a + 3)) * other * other + 1
    return before, first, second, 1 - before - first - second


def _aligned(size: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
    """Returns heights and widths ``(B, 1, ...)`` that go with ``places``."""
    shape = (len(size), *[1] * (places.dim() - 2))
    return size[:, 0].reshape(shape), size[:, 1].reshape(shape)


def _at(pixels: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Gathers pixels ``(B, ..., C)`` as float32. A place that is no number gives the first one."""
    batch, _, width, channels = pixels.shape
    index = (rows * width + columns).nan_to_num().long().reshape(batch, -1, 1).expand(-1, -1, channels)
    return pixels.reshape(batch, -1, channels).gather(1, index).float().reshape(*rows.shape, channels)
