"""Loads the compiled renderer before a session waits for it."""

from __future__ import annotations

import logging

import numpy as np

from mytalk.appearance.bank import distances
from mytalk.appearance.colour_match import CELLS
from mytalk.appearance.compiled import CACHE, is_cached
from mytalk.appearance.kernel import FINISH, NOTHING_PREPARED, PREPARE, Followed, Network, is_covered, render
from mytalk.appearance.mesh import COARSE
from mytalk.appearance.preset import EDGE
from mytalk.appearance.scene import Frame, Neighbours, Reference, Scene
from mytalk.face.landmarks import LOWER_COUNT
from mytalk.face.pose import CROP_PIXELS

log = logging.getLogger(__name__)


def load_renderer() -> None:
    """Loads the renderer's machine code, or compiles it, which one line says: on a machine's first start."""
    if not is_cached(render):
        again = "" if CACHE is not None else ", at every start: no folder can be written that would keep it"
        log.warning("compiling the renderer for this processor, which takes about half a minute%s", again)
    scene = empty_scene()
    followed, cover = Followed(1.0, 1.0, True, 1.0), np.zeros((CELLS, CELLS), np.float32)
    network = Network(np.zeros((EDGE.window, EDGE.window, 3), np.float32), EDGE.stem, 1)
    render(scene, followed, cover, network, NOTHING_PREPARED, PREPARE | FINISH)
    crop = np.zeros((CROP_PIXELS, CROP_PIXELS, 3), np.float32)
    is_covered(crop, scene.wanted, scene.neighbours)
    distances(scene.neighbours.points, scene.wanted)


def empty_scene(side: int = 2) -> Scene:
    """Returns a black scene, of the kinds that a session's scenes have; its picture has ``side`` rows and columns."""
    points, identity = np.zeros((LOWER_COUNT, 2), np.float32), np.eye(2, 3, dtype=np.float32)
    luma, chroma = np.zeros((side, side), np.uint8), np.zeros((side // 2, side // 2), np.uint8)
    colours = np.zeros((3, 4), np.float32)
    frame = Frame(luma, chroma, chroma, identity, identity, colours, colours)
    crop = np.zeros((CROP_PIXELS, CROP_PIXELS, 3), np.uint8)
    reference = Reference(points, crop, luma, chroma, chroma, identity, np.zeros(3, np.float32))
    halves = np.zeros((2, COARSE, COARSE, 3), np.uint8)
    neighbours = Neighbours(np.zeros((2, LOWER_COUNT, 2), np.float32), halves, np.zeros(2, np.float32))
    return Scene(frame, points, points, reference, neighbours)
