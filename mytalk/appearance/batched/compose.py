"""Composes the mouths of several sessions into their pictures, as `mytalk.appearance.compose` does it for one."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from mytalk.appearance.batched.fields import cubic, grid, linear
from mytalk.appearance.batched.mouth import Prepared
from mytalk.appearance.batched.scenes import Scenes, mapped
from mytalk.face.pose import CROP_PIXELS


def layers_of(scenes: Scenes, one: Prepared, colours: Tensor, hidden: Tensor) -> Tensor:
    """Assembles the layers, ``(B, 128, 128, 10)`` as `mytalk.appearance.compose.Layers`; ``hidden`` ``(B, 128, 128)``:
    how far something is in front."""
    share, places = 1 - hidden, grid(colours.device)
    skin = scenes.to_pixels_of_picture(places + share[..., None] * (one.skin.flow - places))
    mouth = mapped(scenes.to_mouth, one.nearest.flow)
    yuv = scenes.yuv_of_rgb[:, None, None]
    added = (yuv[..., :3] * colours[..., None, :]).sum(-1) + (1 - one.nearest.kept)[..., None] * yuv[..., 3]
    painted, moved, kept = (field[..., None] for field in (one.painted * share, one.skin.mask, one.nearest.kept))
    return torch.cat([painted, moved, skin, mouth, kept, added], dim=-1)


def compose(scenes: Scenes, layers: Tensor, moves: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Blends layers into the pictures' parts; returns their planes, and whether all that was made was a number.

    What is transparent stays equal to the bit. A chroma sample takes the mean opacity of its four pixels.
    """
    old = scenes.frame_y.float()
    at = _sampled(layers, scenes, grid(old.device, old.shape[1]))
    painted, moved, added = at[..., 0], at[..., 1], at[..., 7]
    moves = moves[:, None, None]
    alpha = scenes.opacity[:, None, None] * torch.maximum(painted, moved)
    under = torch.where(moves & (moved > 0), cubic(scenes.frame_y, at[..., 2:4], scenes.frame_size), old)
    seen = at[..., 6] * cubic(scenes.mouth_y, at[..., 4:6], scenes.mouth_size) + added
    wanted = torch.where(moves, under + painted * (seen - under), seen)
    wanted = torch.where(painted > 0, wanted, under)
    mixed = torch.where(alpha > 0, old + alpha * (wanted - old), old)
    total = functional.avg_pool2d(alpha[:, None], 2)[:, 0]
    at = _sampled(layers, scenes, 2 * grid(old.device, old.shape[1] // 2) + 0.5)
    u, v = (_chroma(scenes, k, at, moves, total) for k in (1, 2))
    return _rounded(mixed), u, v, torch.isfinite(mixed).flatten(1).all(1)


def _chroma(scenes: Scenes, k: int, at: Tensor, moves: Tensor, alpha: Tensor) -> Tensor:
    """Blends one chroma plane."""
    plane, mouth = ((scenes.frame_u, scenes.mouth_u), (scenes.frame_v, scenes.mouth_v))[k - 1]
    old, painted = plane.float(), at[..., 0]
    moved = linear(plane[..., None], 0.5 * at[..., 2:4] - 0.25, scenes.frame_size // 2)[..., 0]
    under = torch.where(moves & (at[..., 1] > 0), moved, old)
    seen = linear(mouth[..., None], 0.5 * at[..., 4:6] - 0.25, scenes.mouth_size // 2)[..., 0]
    wanted = at[..., 6] * seen + at[..., 7 + k]
    wanted = torch.where(moves, under + painted * (wanted - under), wanted)
    return _rounded(torch.where(alpha > 0, old + alpha * (wanted - old), old))


def _sampled(layers: Tensor, scenes: Scenes, places: Tensor) -> Tensor:
    """Samples the layers at pixels of the pictures, ``(B, S, S, 10)``; outside of the crop, at its border, which is
    transparent."""
    size = torch.full((len(layers), 2), float(CROP_PIXELS), device=layers.device)
    return linear(layers, mapped(scenes.to_crop, places), size)


def _rounded(values: Tensor) -> Tensor:
    return (values.nan_to_num().clamp(0, 255) + 0.5).to(torch.uint8)
