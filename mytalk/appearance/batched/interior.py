"""Draws the insides of several sessions' mouths, as `warp` and `mouth_interior` do it for one."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from mytalk.appearance.batched.fields import blur, coverage, grid
from mytalk.appearance.batched.geometry import mesh_on
from mytalk.appearance.mouth_interior import (
    CAVITY_COLOUR,
    CORNER_LIGHT,
    GAP_BLUR,
    GAP_LINE,
    GAP_SHADE,
    LUMA,
    SHADOW,
    SHADOW_BLUR,
    SHADOW_REACH,
    TEETH_BLUR,
    TEETH_HEIGHT,
    TEETH_LIGHTNESS,
    TEETH_SHARE,
    TEETH_TINT,
    TONGUE_BEYOND,
    TONGUE_BLUR,
    TONGUE_COLOUR,
    TONGUE_TOP,
    TOOTH_GAPS,
)
from mytalk.appearance.warp import (
    CAVITY_BLUR,
    CAVITY_DEPTH,
    CLEAR_GAP,
    DARK_GAP,
    INTERIOR_BLUR,
    LIP_OVERLAP,
    MIN_CAVITY,
    MIN_SHADE,
    RIM,
    SHADE_BLUR,
)

_LEAST = 1e-3  # crop pixels that a length is taken for at least, where it divides


@cache
def _colours_on(device: torch.device) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Returns the shares of a skin's lightness, colours of cavity and tongue, and the places of gaps, on a device."""
    arrays = (LUMA, CAVITY_COLOUR, TONGUE_COLOUR, TOOTH_GAPS)
    luma, cavity, tongue, gaps = (torch.from_numpy(one).to(device) for one in arrays)
    return luma, cavity, tongue, gaps


def interiors_of(points: Tensor) -> Tensor:
    """Returns the insides of mouths as masks ``(B, 128, 128)`` in 0..1."""
    return blur(coverage(points[:, None, mesh_on(points.device).loop]), INTERIOR_BLUR)


def cavities_of(target: Tensor, visible: Tensor) -> Tensor:
    """Draws the inside of mouths that their sources do not show, ``(B, 128, 128)`` in 0..1."""
    upper, lower = _lips(target)
    edge = upper + visible[..., None] * (lower - upper)
    depth = torch.hypot(*(lower - edge).unbind(-1))
    drawn = depth.amax(1) >= MIN_CAVITY
    return _strips(edge, _lowered(lower, LIP_OVERLAP), (depth / CAVITY_DEPTH).clamp(max=1), drawn, CAVITY_BLUR)


def shades_of(target: Tensor, covered: Tensor) -> Tensor:
    """Darkens narrow slits of mouths that their sources show wide open, ``(B, 128, 128)`` in 0..1."""
    upper, lower = _lips(target)
    gap = torch.hypot(*(lower - upper).unbind(-1))
    shares = covered * ((CLEAR_GAP - gap) / (CLEAR_GAP - DARK_GAP)).clamp(0, 1)
    return _strips(upper, lower, shares, shares.amax(1) >= MIN_SHADE, SHADE_BLUR)


def interior_colours(points: Tensor, skin: Tensor) -> Tensor:
    """Returns the colours of the insides of mouths, ``(B, 128, 128, 3)``, of people whose skin is ``skin``
    ``(B, 3)``."""
    luma, cavity, tongue_colour, _ = _colours_on(points.device)
    upper, lower = _lips(points)
    tongue = _filled(upper + TONGUE_TOP * (lower - upper), _lowered(lower, TONGUE_BEYOND), TONGUE_BLUR)
    light = (luma * skin).sum(-1, keepdim=True)
    ivory = TEETH_LIGHTNESS * (light + TEETH_TINT * (skin - light))
    dark, flesh, ivory = (one[:, None, None] for one in (skin * cavity, skin * tongue_colour, ivory))
    behind = dark + tongue[..., None] * (flesh - dark)
    return behind + _teeth(upper, lower)[..., None] * (ivory - behind)


def _teeth(upper: Tensor, lower: Tensor) -> Tensor:
    """Returns how much of a tooth each pixel shows, ``(B, 128, 128)`` in 0..1."""
    count = upper.shape[1]
    across = upper[:, -1] - upper[:, 0]
    width = torch.hypot(*across.unbind(-1)).clamp(min=_LEAST)
    across = across / width[:, None]
    share = 2 * torch.arange(count, dtype=torch.float32, device=upper.device) / (count - 1) - 1
    gap = lower - upper
    length = torch.hypot(*gap.unbind(-1))
    shown = (TEETH_SHARE * length).clamp(max=TEETH_HEIGHT) * (1 - share.pow(3).abs())
    edge = upper + (shown / length.clamp(min=_LEAST))[..., None] * gap
    normal = torch.stack([-across[:, 1], across[:, 0]], dim=-1)[:, None]
    dim = upper + SHADOW_REACH * shown[..., None] * normal
    band, shadow = _filled(upper - 1, edge, TEETH_BLUR), _filled(upper - 1, dim, SHADOW_BLUR)
    middle = upper[:, count // 2]
    x = grid(upper.device)[..., 0]
    off = (x - middle[:, 0, None, None]) / (width / 2).clamp(min=1)[:, None, None]
    corner = (CORNER_LIGHT - off * off).clamp(0, 1)
    return band * corner * (1 - GAP_SHADE * _tooth_gaps(middle, across)) * (1 - SHADOW * shadow)


def _tooth_gaps(middle: Tensor, across: Tensor) -> Tensor:
    """Draws the lines between teeth, from the upper lips' middles and along their direction, ``(B, 128, 128)``."""
    gaps = _colours_on(middle.device)[3][:, None]
    aside = torch.cat([gaps - 0.5, gaps + 0.5, gaps + 0.5, gaps - 0.5], dim=1)[..., None]  # (7, 4, 1)
    along = middle.new_zeros(4, 1)
    along[:2], along[2:] = GAP_LINE[0], GAP_LINE[1]
    normal = torch.stack([-across[:, 1], across[:, 0]], dim=-1)
    quads = middle[:, None, None] + aside * across[:, None, None] + along * normal[:, None, None]
    return blur(coverage(quads), GAP_BLUR)


def _lips(points: Tensor) -> tuple[Tensor, Tensor]:
    mesh = mesh_on(points.device)
    return points[:, mesh.upper], points[:, mesh.lower]


def _lowered(points: Tensor, by: float) -> Tensor:
    return torch.stack([points[..., 0], points[..., 1] + by], dim=-1)


def _strips(above: Tensor, below: Tensor, shares: Tensor, drawn: Tensor, sigma: float) -> Tensor:
    """Fills the areas between two lines ``(B, N, 2)`` with shares ``(B, N)``, where ``drawn`` ``(B,)``."""
    top, bottom = _lowered(above, -RIM), _lowered(below, RIM)
    quads = torch.stack([top[:, :-1], top[:, 1:], bottom[:, 1:], bottom[:, :-1]], dim=2)
    filled = coverage(quads, (shares[:, :-1] + shares[:, 1:]) / 2).clamp(max=1)
    return torch.where(drawn[:, None, None], blur(filled, sigma), 0)


def _filled(above: Tensor, below: Tensor, sigma: float) -> Tensor:
    """Fills the areas between two lines ``(B, N, 2)``, their outlines blurred, ``(B, 128, 128)``."""
    return blur(coverage(torch.cat([above, below.flip(1)], dim=1)[:, None]), sigma)
