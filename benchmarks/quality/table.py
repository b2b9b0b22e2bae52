"""Lists the figures that ``quality.py`` prints: each with its floor and its aim, and how they are laid out.

A figure is met by its mean over the clips. Per-clip values range widely, so the median and the worst stand beside it.
Rows marked * have bounds of this file's own; the others are the figures that the embedded weights are meant to reach.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

INF = float("inf")
Bounds = tuple[float, float]
Figures = Mapping[str, float]
Scores = Mapping[str, Mapping[str, Figures]]
"""System, clip, figure."""

OURS = "ours"


@dataclass(frozen=True, slots=True)
class Goal:
    """Describes one row. ``floor`` and ``aim`` None: shown beside others, and not judged."""

    key: str
    title: str
    floor: Bounds | None = None
    aim: Bounds | None = None
    digits: int = 2
    own_bounds: bool = False

    def verdict(self, value: float) -> str:
        """Returns ``aim``, ``floor`` or ``NO``, of the figure unrounded; nothing where there is nothing to judge."""
        if self.floor is None or self.aim is None or math.isnan(value):
            return ""
        if self.aim[0] <= value <= self.aim[1]:
            return "aim"
        return "floor" if self.floor[0] <= value <= self.floor[1] else "NO"

    def show(self, value: float) -> str:
        return "-" if math.isnan(value) else "inf" if math.isinf(value) else f"{value:.{self.digits}f}"

    def worst(self, values: Mapping[str, float]) -> str:
        """Returns the clip that lies farthest from the aim, by ratio where it has two sides; empty where none is
        judged."""
        known = {clip: value for clip, value in values.items() if not math.isnan(value)}
        if self.aim is None or not known:
            return ""
        low, high = self.aim

        def badness(clip: str) -> float:
            value = known[clip]
            if math.isinf(high):
                return -value
            return value if math.isinf(low) else abs(math.log(max(value, 1e-9)))

        return max(known, key=badness)


def _least(value: float) -> Bounds:
    return (value, INF)


def _most(value: float) -> Bounds:
    return (-INF, value)


_RATIO: tuple[Bounds, Bounds] = ((0.7, 1.3), (0.9, 1.1))


def _mouth(group: str, title: str, *, paired: bool) -> list[Goal]:
    """Lists rows of the motion, each on the landmarks that stage 1 gives and on those seen in the encoded film."""
    rows = []
    for stage, where in (("asked", "landmarks"), ("seen", "film")):
        key, name = f"{group}.{stage}", f"{title}, {where}"
        if paired:
            rows += [
                Goal(f"{key}.correlation", f"{name}: aperture correlation", _least(0.60), _least(0.70), 3),
                Goal(f"{key}.in_time", f"{name}: share of clips within 1 frame", _least(0.8), _least(1)),
                Goal(f"{key}.lag", f"{name}: best lag, frames", digits=0),
                Goal(f"{key}.lip_distance", f"{name}: lip distance / inter-ocular", _most(0.045), _most(0.030), 4),
                Goal(f"{key}.still_distance", f"{name}: ... of a mouth that never moves", digits=4),
                Goal(f"{key}.closed_when_true", f"{name}: closed when it is", _least(0.7), _least(0.9), 2, True),
                Goal(f"{key}.jitter", f"{name}: jitter at rest, ours / true", _most(1.3), _most(1.1), 2, True),
            ]
        else:
            rows += [
                Goal(f"{key}.correlation", f"{name}: correlation with its speaker", digits=3),
                Goal(f"{key}.follows_film", f"{name}: ... with the own film", _most(0.3), _most(0.15), 3, True),
                Goal(f"{key}.range", f"{name}: aperture deviation / inter-ocular", digits=3),
            ]
        if paired and stage == "asked":
            rows.append(Goal(f"{key}.deaf", f"{name}: correlation hearing noise", _most(0.3), _most(0.15), 3, True))
        rows += [
            Goal(f"{key}.range_ratio", f"{name}: aperture deviation, ours / true", *_RATIO),
            Goal(f"{key}.closed_in_silence", f"{name}: closed in silence", _least(0.95), _least(0.99)),
            Goal(f"{key}.closed_at_bilabials", f"{name}: closed at p, b, m", _least(0.9), _least(1), 2, True),
        ]
    rows.append(Goal(f"{group}.seen.sharpness", f"{title}, film: mouth sharpness, ours / true", *_RATIO))
    if paired:
        rows.append(Goal(f"{group}.seen.flicker", f"{title}, film: mouth flicker, ours / true", *_RATIO))
    return rows


GOALS = (
    *_mouth("own", "own speech", paired=True),
    *_mouth("other", "another's", paired=False),
    *_mouth("speech", "--speech", paired=False),
    Goal("pixels.psnr", "true landmarks: PSNR, 256 x 256 face", _least(38.5), _least(40), 1),
    Goal("pixels.ssim", "true landmarks: SSIM", _least(0.986), _least(0.99), 3),
    Goal("pixels.mouth_psnr", "true landmarks: PSNR, mouth box", _least(27), _least(30), 1),
    Goal("pixels.sharpness", "true landmarks: mouth sharpness, ours / true", *_RATIO),
    Goal("pixels.detail", "true landmarks: mouth detail that is the film's", _least(0.3), _least(0.5), 2, True),
    Goal("pixels.flicker", "true landmarks: mouth flicker, ours / true", *_RATIO),
    Goal("speed.cpu_ms", "CPU ms a 512 x 512 frame, all in, 2 cores", _most(40), _most(25), 1),
    Goal("speed.whole_ms", "... by the clock, two cores at work", digits=1),
)


def of(goal: Goal, clips: Mapping[str, Figures]) -> dict[str, float]:
    """Returns the figure of each clip that has it."""
    values = {clip: figures.get(goal.key, math.nan) for clip, figures in clips.items()}
    return {clip: value for clip, value in values.items() if not math.isnan(value)}


def mean(goal: Goal, clips: Mapping[str, Figures]) -> float:
    values = list(of(goal, clips).values())
    return float(np.mean(values)) if values else math.nan


def known(goals: Sequence[Goal], scores: Scores) -> list[Goal]:
    """Returns the goals that any clip of any system has."""
    return [goal for goal in goals if any(of(goal, clips) for clips in scores.values())]


def summary(scores: Scores) -> str:
    """Formats all rows: floor, aim, ours (mean, median, worst), and the means of all other systems beside it."""
    others = [name for name in scores if name != OURS]
    head = f"{'':55} {'floor':>11} {'aim':>11} {'ours: mean':>15} {'median':>8} {'worst':>8} {'of':16}"
    lines = [head + "".join(f"{name + ': mean':>18}" for name in others)]
    for goal in known(GOALS, scores):
        values = of(goal, scores.get(OURS, {}))
        clip = goal.worst(values)
        title = f"{goal.title}{' *' if goal.own_bounds else ''}"
        median = float(np.median(list(values.values()))) if values else math.nan
        ours = cell(goal, mean(goal, scores.get(OURS, {})))
        lines.append(
            f"{title:55.55} {bounds(goal.floor):>11} {bounds(goal.aim):>11} {ours}"
            f" {goal.show(median):>8} {goal.show(values.get(clip, math.nan)):>8} {clip:16.16}"
            + "".join(f"   {cell(goal, mean(goal, scores[name]))}" for name in others)
        )
    return "\n".join(line.rstrip() for line in lines)


def by_clip(clips: Mapping[str, Figures]) -> str:
    """Formats one system's figures, clip by clip."""
    lines = [f"{'':55}" + "".join(f" {clip:>14.14}" for clip in clips)]
    for goal in GOALS:
        if of(goal, clips):
            cells = (cell(goal, figures.get(goal.key, math.nan), 8) for figures in clips.values())
            lines.append(f"{goal.title:55.55}" + "".join(f" {one}" for one in cells))
    return "\n".join(line.rstrip() for line in lines)


def cell(goal: Goal, value: float, width: int = 9) -> str:
    """Formats a figure and its verdict."""
    return f"{goal.show(value):>{width}} {goal.verdict(value):5}"


def bounds(conditions: Bounds | None) -> str:
    if conditions is None:
        return ""
    low, high = conditions
    if math.isinf(low):
        return f"<= {high:g}"
    return f">= {low:g}" if math.isinf(high) else f"{low:g}-{high:g}"
