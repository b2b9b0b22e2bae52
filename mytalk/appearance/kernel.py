"""Renders a frame's mouth by one call that gives the interpreter's lock away."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mytalk.appearance.colour_match import CELLS, ColourMatcher, matcher_of
from mytalk.appearance.compiled import compiled, inlined
from mytalk.appearance.compose import compose, layers_of
from mytalk.appearance.fill import Field
from mytalk.appearance.mask import mouth_mask, painted_mask
from mytalk.appearance.mesh import Points
from mytalk.appearance.occlusion import MAX_REFERENCE_SHARE, covered_shares, track_cover
from mytalk.appearance.paint import Prepared, Skin, WarpedMouth, prepare, refined, window_of
from mytalk.appearance.reference_mean import neighbour_means
from mytalk.appearance.sampling import Colours, reduced
from mytalk.appearance.scene import Frame, Neighbours, Planes, Reference, Scene
from mytalk.appearance.warp import GRID, Target, interior_of, target_of
from mytalk.face.pose import CROP_PIXELS


class Followed(NamedTuple):
    """Says how far what is made of a mouth is followed, 0..1 each."""

    refinement: float
    interior: float  # refinement between the lips
    may_be_covered: bool  # whether the person is known well enough to tell an object
    opacity: float


class Network(NamedTuple):
    """Says what a network adds, and what it is shown."""

    residual: Colours  # (W, W, 3): what it adds to its window of the mouth, already weighted
    cell: int  # pixels that its window is aligned to
    means: int  # pictures of other mouths' means that it is shown; without a network 1, or 0 where nothing is refined


PREPARE, FINISH = 1, 2  # stages of `render`


@compiled
def render(
    scene: Scene, followed: Followed, cover: Field, network: Network, one: Prepared, stages: int
) -> tuple[Planes, Prepared]:
    """Renders a frame: `prepare` and `finish`, or one of them for a network to be asked between."""
    if stages & PREPARE:
        one = prepare(scene, network.means)
    planes = Planes(scene.frame.y, scene.frame.u, scene.frame.v, True)
    if stages & FINISH:
        planes = finish(scene, one, followed, cover, network)
    return planes, one


class CompiledKernel:
    """Renders frames one by one, in the thread that calls, without the interpreter's lock."""

    def prepare(self, scene: Scene, followed: Followed, cover: Field, network: Network) -> Prepared:
        """Returns what a frame's mouth is before a network is asked."""
        return render(scene, followed, cover, network, NOTHING_PREPARED, PREPARE)[1]

    def finish(self, scene: Scene, followed: Followed, cover: Field, network: Network, one: Prepared | None) -> Planes:
        """Renders a frame, of which ``one`` may be prepared already. ``cover`` goes from frame to frame and is
        changed."""
        stages = PREPARE | FINISH if one is None else FINISH
        return render(scene, followed, cover, network, NOTHING_PREPARED if one is None else one, stages)[0]


@inlined
def finish(scene: Scene, one: Prepared, followed: Followed, cover: Field, network: Network) -> Planes:
    """Refines what was prepared, leaves out what is covered, and blends the rest into the frame.

    ``cover`` ``(32, 32)`` goes from frame to frame: `track_cover` changes it.
    """
    row, column = window_of(one.region, len(network.residual), network.cell)
    colours = refined(one, network.residual, row, column, followed.refinement, followed.interior)
    covered = False
    if followed.may_be_covered:
        expected = one.nearest.corrected
        if len(one.changes) > 0:
            expected = expected + one.changes[0]
        covered = track_cover(cover, expected, one.interior, one.matcher)
    nearest, mouth = one.nearest, scene.reference
    layers = layers_of(
        scene.frame, one.skin, one.painted, nearest.flow, mouth.to_pixels, nearest.kept, colours, cover, covered
    )
    return compose(scene.frame, layers, mouth, one.skin.moves, followed.opacity)


@compiled
def blend_painted(frame: Frame, skin: Skin, wanted: Points, colours: Colours, opacity: float) -> Planes:
    """Blends a mouth ``(128, 128, 3)`` that a network painted all of, and skin that moves, into a frame."""
    painted = painted_mask(mouth_mask(wanted), wanted, skin.flow, skin.moves)
    nothing, cover = np.zeros((CROP_PIXELS, CROP_PIXELS), np.float32), np.zeros((CELLS, CELLS), np.float32)
    layers = layers_of(frame, skin, painted, GRID, frame.to_picture, nothing, colours, cover, False)
    no_mouth = Reference(
        wanted, np.zeros((1, 1, 3), np.uint8), frame.y, frame.u, frame.v, frame.to_picture, np.zeros(3, np.float32)
    )
    return compose(frame, layers, no_mouth, skin.moves, opacity)


@compiled
def is_covered(crop: Colours, points: Points, neighbours: Neighbours) -> bool:
    """Says whether part of a mouth ``(128, 128, 3)`` with these landmarks is covered, as far as ``neighbours`` tell."""
    target, region = target_of(points), mouth_mask(points)
    matcher = matcher_of(crop, region)
    shares = covered_shares(neighbour_means(neighbours, target, 1)[0], interior_of(points), matcher)
    cells = reduced(region.reshape(CROP_PIXELS, CROP_PIXELS, 1), CELLS)
    hidden, total = np.float32(0), np.float32(0)
    for row in range(CELLS):
        for column in range(CELLS):
            hidden += cells[row, column, 0] * shares[row, column]
            total += cells[row, column, 0]
    return bool(hidden > np.float32(MAX_REFERENCE_SHARE) * total)


def _nothing_prepared() -> Prepared:
    """Returns what `render` is given where nothing was prepared: empty arrays of the right kinds."""
    field, colours = np.zeros((0, 0), np.float32), np.zeros((0, 0, 3), np.float32)
    points, flow = np.zeros((0, 2), np.float32), np.zeros((0, 0, 2), np.float32)
    target = Target(points, np.zeros((0, 0), np.int16), np.zeros((0, 3, 3), np.float32))
    matcher = ColourMatcher(colours, field, np.zeros((0, 0), np.bool_))
    nearest = WarpedMouth(flow, field, colours, colours, colours)
    changes = np.zeros((0, 0, 0, 3), np.float32)
    return Prepared(target, field, field, field, Skin(False, flow, field), colours, matcher, nearest, changes)


NOTHING_PREPARED = _nothing_prepared()
