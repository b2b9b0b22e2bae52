"""Measures what of a rendered frame is no network, part by part: the compiled renderer on the CPU. For render.py."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from benchmarks.clips import ASSETS
from mytalk.appearance.colour_match import CELLS, correction, matcher_of
from mytalk.appearance.compose import compose, layers_of
from mytalk.appearance.kernel import CompiledKernel, Followed, Network
from mytalk.appearance.mask import mouth_mask, painted_mask
from mytalk.appearance.occlusion import track_cover
from mytalk.appearance.paint import Prepared, crop_of, follow
from mytalk.appearance.preset import AppearancePreset
from mytalk.appearance.reference_mean import neighbour_means
from mytalk.appearance.renderer import MouthRenderer
from mytalk.appearance.sampling import sample_colours
from mytalk.appearance.scene import Planes, Scene
from mytalk.appearance.warp import interior_of, target_of
from mytalk.appearance.warped_reference import WarpedReference
from mytalk.face import FaceTracker, fit_pose
from mytalk.face.landmarks import LOWER_FACE, LOWER_LIPS_INNER, LOWER_LIPS_OUTER
from mytalk.media import open_face

MOUTHS = 16  # that the bank is shown, from nearly closed to wide open
_LIPS = list(LOWER_LIPS_INNER[1:10] + LOWER_LIPS_OUTER[1:10])
_LEAST = 0.5  # seconds of CPU that a part is repeated for


class _Kept(CompiledKernel):
    """Keeps what the last frame was made of."""

    scene: Scene

    def finish(
        self,
        scene: Scene,
        followed: Followed,
        cover: NDArray[np.float32],
        network: Network,
        one: Prepared | None,
    ) -> Planes:
        self.scene = scene
        return super().finish(scene, followed, cover, network, one)


class _Alone:
    """Renders without a network."""

    def __init__(self, preset: AppearancePreset, kernel: CompiledKernel) -> None:
        self.preset, self._kernel = preset, kernel

    def new_painter(self) -> WarpedReference:
        return WarpedReference(None, self._kernel)


def spoken_scene(preset: AppearancePreset) -> Scene:
    """Returns what a frame of the embedded portrait is made of, once a session knows some mouths."""
    kernel = _Kept()
    renderer = MouthRenderer(_Alone(preset, kernel))
    picture = next(open_face(ASSETS / "astronaut.png").frames()).picture
    face = FaceTracker()(picture)
    assert face is not None
    pose, source = fit_pose(face), face.points[list(LOWER_FACE), :2]
    for by in np.linspace(-3, 9, MOUTHS):
        wanted = source.copy()
        wanted[_LIPS, 1] += np.float32(by)
        renderer.observe(renderer.render(picture, pose, source, wanted), pose, wanted)
    wanted = source.copy()
    wanted[_LIPS, 1] += np.float32(4.5)
    renderer.render(picture, pose, source, wanted)
    return kernel.scene


def part_times(preset: AppearancePreset) -> dict[str, float]:
    """Measures milliseconds of CPU of a frame and of its parts, in one thread. Parts that are compiled into others, as
    the refinement is, are in the frame alone."""
    scene = spoken_scene(preset)
    target, region = target_of(scene.wanted), mouth_mask(scene.wanted)
    skin, crop = follow(target, scene.source), crop_of(scene.frame)
    painted = painted_mask(region, scene.wanted, skin.flow, skin.moves)
    matcher, inside = matcher_of(crop, painted), interior_of(scene.wanted)
    cover = np.zeros((CELLS, CELLS), np.float32)
    layers = layers_of(scene.frame, skin, painted, skin.flow, scene.reference.to_pixels, region, crop, cover, False)
    network = Network(np.zeros((preset.window, preset.window, 3), np.float32), preset.stem, 1)
    followed, kernel = Followed(1.0, 1.0, True, 1.0), CompiledKernel()
    parts: dict[str, Callable[[], object]] = {
        "triangles of the wanted mouth": lambda: target_of(scene.wanted),
        "masks": lambda: painted_mask(mouth_mask(scene.wanted), scene.wanted, skin.flow, skin.moves),
        "frame's crop, its skin moved": lambda: sample_colours(crop_of(scene.frame), follow(target, scene.source).flow),
        "light": lambda: correction(matcher_of(crop, painted), crop),
        f"mean of {len(scene.neighbours.distance)} mouths": lambda: neighbour_means(scene.neighbours, target, 1),
        "what is in front": lambda: track_cover(cover, crop, inside, matcher),
        "blending into the picture": lambda: compose(scene.frame, layers, scene.reference, skin.moves, 1.0),
        "whole frame": lambda: kernel.finish(scene, followed, cover, network, None),
    }
    return {name: _milliseconds(run) for name, run in parts.items()}


def _milliseconds(run: Callable[[], object]) -> float:
    run()
    began, runs = time.thread_time(), 0
    while time.thread_time() - began < _LEAST:
        run()
        runs += 1
    return 1e3 * (time.thread_time() - began) / runs
