"""Paints the wanted mouths of several sessions in their crops, as `paint`, `reference_mean` and `refinement` do it for
one."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mytalk.appearance.batched.fields import blur, enlarged, grid, linear, reduced
from mytalk.appearance.batched.geometry import (
    Target,
    displacement,
    fit_lips,
    flow_from,
    half_flows,
    target_of,
)
from mytalk.appearance.batched.interior import cavities_of, interior_colours, interiors_of, shades_of
from mytalk.appearance.batched.light import Matcher, correction, matcher_of
from mytalk.appearance.batched.masks import mouth_masks, moving_masks, painted_masks
from mytalk.appearance.batched.scenes import Scenes
from mytalk.appearance.mesh import COARSE
from mytalk.appearance.paint import MIN_MOVE, SLIT_SHADE
from mytalk.appearance.reference_mean import SIGMAS
from mytalk.appearance.refinement import GAIN_OFFSET, INTERIOR_BLUR, MAX_INTERIOR_GAIN, REFINEMENT_BLUR
from mytalk.face.pose import CROP_PIXELS


@dataclass(frozen=True, slots=True)
class Skin:
    """Says how the frames' own skin follows the landmarks, as `mytalk.appearance.paint.Skin`."""

    moves: Tensor  # (B,)
    flow: Tensor  # (B, 128, 128, 2)
    mask: Tensor  # (B, 128, 128)


@dataclass(frozen=True, slots=True)
class WarpedMouths:
    """Holds one mouth a session warped to the target: ``kept * its pixels + drawn + correction``."""

    flow: Tensor  # (B, 128, 128, 2)
    kept: Tensor  # (B, 128, 128)
    drawn: Tensor  # (B, 128, 128, 3)
    correction: Tensor
    corrected: Tensor  # all of that


@dataclass(frozen=True, slots=True)
class Prepared:
    """Holds what the mouths are before what others know better is added, as `mytalk.appearance.paint.Prepared`."""

    interior: Tensor  # (B, 128, 128)
    region: Tensor
    painted: Tensor
    skin: Skin
    current: Tensor  # (B, 128, 128, 3)
    matcher: Matcher
    nearest: WarpedMouths
    changes: Tensor  # (B, M, 128, 128, 3)


def prepare(scenes: Scenes, means: int) -> Prepared:
    """Warps the nearest mouths to the wanted landmarks, and averages their neighbours to ``means`` means."""
    target, region = target_of(scenes.wanted), mouth_masks(scenes.wanted)
    skin = _follow(target, scenes.source)
    current = _sampled(_crops_of(scenes), skin.flow)
    painted = painted_masks(region, scenes.wanted, skin.flow)
    matcher = matcher_of(current, painted)
    nearest = _warp_mouths(scenes, target, matcher)
    changes = _mean_changes(nearest, scenes, target, matcher, means)
    return Prepared(interiors_of(scenes.wanted), region, painted, skin, current, matcher, nearest, changes)


def _follow(target: Target, source: Tensor) -> Skin:
    places = grid(source.device)
    moves = displacement(target.points, source) >= MIN_MOVE
    mask = torch.where(moves[:, None, None], moving_masks(source, target.points), 0)
    flow = flow_from(target, source, fit_lips(source, target.points).anchored)
    return Skin(moves, places + mask[..., None] * (flow - places), mask)


def _crops_of(scenes: Scenes) -> Tensor:
    """Samples the mouth crops of the pictures, ``(B, 128, 128, 3)`` RGB."""
    places, count = grid(scenes.to_picture.device), scenes.offsets.shape[1]
    middle = scenes.to_pixels_of_picture(places)
    light = torch.zeros_like(middle[..., 0])
    for down in range(count):
        for across in range(count):
            apart = torch.stack([scenes.offsets[:, across], scenes.offsets[:, down]], dim=-1)[:, None, None]
            moved = scenes.to_pixels_of_picture(places + apart)
            light = light + linear(scenes.frame_y[..., None], moved, scenes.frame_size)[..., 0] / (count * count)
    half = scenes.frame_size // 2
    u, v = (linear(one[..., None], 0.5 * middle - 0.25, half)[..., 0] for one in (scenes.frame_u, scenes.frame_v))
    yuv = torch.stack([light, u, v, torch.ones_like(u)], dim=-1)[..., None, :]  # (B, 128, 128, 1, 4)
    return (yuv * scenes.rgb_of_yuv[:, None, None]).sum(-1).clamp(0, 255)


def _sampled(crops: Tensor, flow: Tensor) -> Tensor:
    size = torch.full((len(crops), 2), float(crops.shape[1]), device=crops.device)
    return linear(crops, flow, size)


def _warp_mouths(scenes: Scenes, target: Target, matcher: Matcher) -> WarpedMouths:
    fit = fit_lips(scenes.mouth, target.points)
    flow = flow_from(target, scenes.mouth, fit.anchored)
    cavity = cavities_of(target.points, fit.visible)
    kept = (1 - SLIT_SHADE * shades_of(target.points, fit.covered)) * (1 - cavity)
    drawn = cavity[..., None] * interior_colours(target.points, scenes.skin)
    seen = kept[..., None] * _sampled(scenes.crop, flow) + drawn
    light = correction(matcher, seen)
    return WarpedMouths(flow, kept, drawn, light, seen + light)


def _mean_changes(nearest: WarpedMouths, scenes: Scenes, target: Target, matcher: Matcher, count: int) -> Tensor:
    """Returns what ``count`` means of the wanted mouths, wide to narrow, have that the nearest have not, in the current
    frames' light, ``(B, count, 128, 128, 3)``; nothing where there is one neighbour alone."""
    flows = half_flows(target, scenes.neighbours).flatten(0, 1)
    warped = _sampled(scenes.half_crops.flatten(0, 1), flows).unflatten(0, scenes.distance.shape)
    coarse = reduced(nearest.corrected, COARSE)
    several = torch.isfinite(scenes.distance).sum(1)[:, None, None, None] > 1
    changes = []
    for k in range(count):
        sigma = SIGMAS[0] * (SIGMAS[1] / SIGMAS[0]) ** (k / max(count - 1, 1))
        share = torch.exp((scenes.distance[:, :1].square() - scenes.distance.square()) / (2 * sigma**2))
        share = share / share.sum(1, keepdim=True)
        mean = (share[:, :, None, None, None] * warped).sum(1)
        change = enlarged(mean + correction(matcher, mean) - coarse, CROP_PIXELS)
        changes.append(torch.where(several, nearest.kept[..., None] * change, 0))
    return torch.stack(changes, dim=1)


def refined(one: Prepared, scenes: Scenes, changes: Tensor) -> Tensor:
    """Returns what is added to the nearest mouths' kept pixels, ``(B, 128, 128, 3)``; ``changes`` ``(B, 128, 128, 3)``
    are those of the mean that is mixed in."""
    colours = one.nearest.correction + one.nearest.drawn
    window = _windows(one.region, scenes)
    interior, kept, base, mean, region = (
        _cut(field, window) for field in (one.interior, one.nearest.kept, one.nearest.corrected, changes, one.region)
    )
    change = _without_detail(scenes.residual + mean * region[..., None], base, interior)
    followed = (1 - (1 - scenes.interior_share[:, None, None]) * interior) * scenes.refinement[:, None, None] * kept
    added = torch.zeros_like(colours).flatten(1, 2)
    added.scatter_(1, window[..., None].expand(-1, -1, 3), (followed[..., None] * change).flatten(1, 2))
    return colours + added.view_as(colours)


def _windows(region: Tensor, scenes: Scenes) -> Tensor:
    """Returns the pixels, as numbers of the flattened crop, of a window in the middle of each mouth region, aligned to
    whole cells, ``(B, W * W)``."""
    side, cell, size = scenes.residual.shape[1], scenes.cell, region.shape[1]
    along = torch.arange(side, device=region.device)
    starts = []
    for axis in (2, 1):
        touched = (region > 0).any(axis)  # (B, 128): rows, then columns
        first, last = touched.int().argmax(1), size - 1 - touched.flip(1).int().argmax(1)
        start = ((first + (last + 1 - first - side) / 2) / cell).round() * cell
        starts.append(start.clamp(0, size - side).long()[:, None] + along)
    rows, columns = starts
    return (rows[:, :, None] * size + columns[:, None]).flatten(1)


def _cut(field: Tensor, window: Tensor) -> Tensor:
    """Cuts windows out of fields ``(B, 128, 128, ...)``."""
    side = round(window.shape[1] ** 0.5)
    flat = field.flatten(1, 2)
    index = window.reshape(*window.shape, *[1] * (flat.dim() - 2)).expand(-1, -1, *flat.shape[2:])
    return flat.gather(1, index).reshape(len(flat), side, side, *flat.shape[2:])


def _without_detail(change: Tensor, base: Tensor, interior: Tensor) -> Tensor:
    """Removes from ``change`` the detail that the mouths ``base`` have, as `mytalk.appearance.refinement` does."""
    skin = blur(change.movedim(-1, 1), REFINEMENT_BLUR).movedim(1, -1)
    lighter, light = blur(change.mean(-1), INTERIOR_BLUR), blur(base.mean(-1), INTERIOR_BLUR)
    gain = (lighter / (light.clamp(min=0) + GAIN_OFFSET)).clamp(-MAX_INTERIOR_GAIN, MAX_INTERIOR_GAIN)
    return skin + interior[..., None] * (gain[..., None] * base - skin)
