"""Lists the figures that ``quality.py`` prints: each with its floor and its aim, and how they are laid out.

A figure is met by its mean over people, one a clip, or where its row says so by their worst decile. People differ
widely, so the bootstrap interval of the mean, the median, the worst decile and the worst stand beside it.
Rows marked * have bounds of this file's own; the others are the figures that the embedded weights are meant to reach.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mytalk.evaluation.intervals import WORST_SHARE, over_people

INF = float("inf")
Bounds = tuple[float, float]
Figures = Mapping[str, float]
Scores = Mapping[str, Mapping[str, Figures]]
"""System, clip, figure."""

OURS = "ours"


@dataclass(frozen=True, slots=True)
class Goal:
    """Describes one row. ``floor`` and ``aim`` None: shown beside others, and not judged. ``by_decile``: the worst
    decile is judged in place of the mean."""

    key: str
    title: str
    floor: Bounds | None = None
    aim: Bounds | None = None
    digits: int = 2
    own_bounds: bool = False
    by_decile: bool = False

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
        return "" if self.aim is None or not known else max(known, key=lambda clip: self._badness(known[clip]))

    def worst_decile(self, values: Mapping[str, float]) -> float:
        """Returns the value that a tenth of the clips lie beyond, on the side away from the aim; NaN where none is
        judged."""
        known = [value for value in values.values() if not math.isnan(value)]
        if self.aim is None or not known:
            return math.nan
        badness = [self._badness(value) for value in known]
        if math.isinf(self.aim[0]) or math.isinf(self.aim[1]):
            worst = float(np.quantile(badness, 1 - WORST_SHARE))
            return -worst if math.isinf(self.aim[1]) else worst
        return known[int(np.argsort(badness)[round((1 - WORST_SHARE) * (len(known) - 1))])]

    def _badness(self, value: float) -> float:
        assert self.aim is not None
        low, high = self.aim
        if math.isinf(high):
            return -value
        return value if math.isinf(low) else abs(math.log(max(value, 1e-9)))


def _least(value: float) -> Bounds:
    return (value, INF)


def _most(value: float) -> Bounds:
    return (-INF, value)


_RATIO: tuple[Bounds, Bounds] = ((0.75, 1.3), (0.9, 1.1))
_SHARP: tuple[Bounds, Bounds] = ((0.85, 1.15), (0.9, 1.1))


def _mouth(group: str, title: str, *, paired: bool) -> list[Goal]:
    """Lists rows of the motion, each on the landmarks that stage 1 gives and on those seen in the encoded film."""
    rows = []
    for stage, where in (("asked", "landmarks"), ("seen", "film")):
        key, name = f"{group}.{stage}", f"{title}, {where}"
        rows += _own(key, name) if paired else _unpaired(key, name)
        if paired and stage == "asked":
            rows.append(Goal(f"{key}.deaf", f"{name}: correlation hearing noise", _most(0.3), _most(0.15), 3, True))
        rows += [
            Goal(f"{key}.range_ratio", f"{name}: aperture deviation, ours / true", *_RATIO),
            Goal(f"{key}.closed_in_silence", f"{name}: closed in silence", _least(0.99), _least(1)),
            Goal(f"{key}.closed_at_bilabials", f"{name}: closed at p, b, m", _least(0.9), _least(0.95)),
        ]
        if stage == "asked":
            rows.append(Goal(f"{key}.cpu_ms", f"{name}: CPU ms a frame", _most(3), _most(2)))
    if paired:
        rows += [
            Goal(f"{group}.seen.psnr", f"{title}, film: PSNR, 256 x 256 face", _least(34.5), _least(36), 1),
            Goal(f"{group}.seen.ssim", f"{title}, film: SSIM", _least(0.960), _least(0.97), 3),
            Goal(f"{group}.seen.mouth_psnr", f"{title}, film: PSNR, mouth box", _least(25), _least(27), 1),
        ]
    rows.append(Goal(f"{group}.seen.sharpness", f"{title}, film: mouth sharpness, ours / true", *_SHARP))
    if paired:
        rows.append(Goal(f"{group}.seen.flicker", f"{title}, film: mouth flicker, ours / true", *_RATIO, 2, True))
    return rows


def _own(key: str, name: str) -> list[Goal]:
    """Lists rows of a mouth that says what the filmed one says."""
    r = f"{key}.correlation"
    return [
        Goal(r, f"{name}: aperture correlation", _least(0.66), _least(0.72), 3),
        Goal(r, f"{name}: ... worst decile", _least(0.40), _least(0.50), 3, by_decile=True),
        Goal(f"{key}.half.correlation", f"{name}: ... second half", _least(0.70), _least(0.76), 3),
        Goal(f"{key}.in_time", f"{name}: share of people within 1 frame", _least(0.95), _least(1)),
        Goal(f"{key}.lag", f"{name}: best lag, frames", digits=0),
        Goal(f"{key}.range_kept", f"{name}: share with deviation 0.75-1.3", _least(0.95), _least(1)),
        Goal(f"{key}.lip_distance", f"{name}: lip distance / inter-ocular", _most(0.026), _most(0.022), 4),
        Goal(f"{key}.still_distance", f"{name}: ... of a mouth that never moves", digits=4),
        Goal(f"{key}.closed_when_true", f"{name}: closed when it is", _least(0.7), _least(0.9), 2, True),
        Goal(f"{key}.jitter", f"{name}: jitter at rest, ours / true", _most(1.3), _most(1.1), 2, True),
    ]


def _unpaired(key: str, name: str) -> list[Goal]:
    """Lists rows of a mouth that says something else than the filmed one."""
    return [
        Goal(f"{key}.correlation", f"{name}: correlation with its speaker", digits=3),
        Goal(f"{key}.follows_film", f"{name}: ... with the own film", _most(0.3), _most(0.15), 3, True),
        Goal(f"{key}.range", f"{name}: aperture deviation / inter-ocular", digits=3),
    ]


GOALS = (
    Goal("own.late_ms", "sound late before it was moved, ms", digits=0),
    *_mouth("own", "own speech", paired=True),
    *_mouth("other", "another's", paired=False),
    *_mouth("speech", "--speech", paired=False),
    Goal("pixels.psnr", "true landmarks: PSNR, 256 x 256 face", _least(38.5), _least(40), 1),
    Goal("pixels.ssim", "true landmarks: SSIM", _least(0.986), _least(0.99), 3),
    Goal("pixels.mouth_psnr", "true landmarks: PSNR, mouth box", _least(27), _least(30), 1),
    Goal("pixels.sharpness", "true landmarks: mouth sharpness, ours / true", *_SHARP),
    Goal("pixels.detail", "true landmarks: mouth detail that is the film's", _least(0.3), _least(0.5), 2, True),
    Goal("pixels.flicker", "true landmarks: mouth flicker, ours / true", *_RATIO, 2, True),
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
    """Formats all rows: floor, aim, ours over people, and the means of all other systems beside it."""
    others = [name for name in scores if name != OURS]
    ours = f"{'mean':>9}       {'95 % interval':>15} {'median':>8} {'decile':>8} {'worst':>8} {'of':16} people"
    lines = [f"{'':55} {'floor':>10} {'aim':>10} {ours}" + "".join(f"{name + ': mean':>18}" for name in others)]
    for goal in known(GOALS, scores):
        values = of(goal, scores.get(OURS, {}))
        lines.append(
            f"{_title(goal):55.55} {bounds(goal.floor):>10} {bounds(goal.aim):>10} {_over_people(goal, values)}"
            + "".join(f"   {cell(goal, mean(goal, scores[name]))}" for name in others)
        )
    return "\n".join(line.rstrip() for line in lines)


def _title(goal: Goal) -> str:
    return f"{goal.title}{' *' if goal.own_bounds else ''}"


def _over_people(goal: Goal, values: Mapping[str, float]) -> str:
    """Formats mean, interval, median, worst decile and worst; the judged one of mean and decile has the verdict."""
    finite = [value for value in values.values() if math.isfinite(value)]
    if not finite:
        return f"{'-':>9}"
    over, decile, clip = over_people(finite), goal.worst_decile(values), goal.worst(values)
    judged = cell(goal, decile if goal.by_decile else over.mean)
    interval = f"{goal.show(over.low)} to {goal.show(over.high)}"
    rest = f"{goal.show(over.median):>8} {goal.show(decile):>8} {goal.show(values.get(clip, math.nan)):>8}"
    return f"{judged} {interval:>15} {rest} {clip:16.16} {len(finite):6d}"


def by_clip(clips: Mapping[str, Figures]) -> str:
    """Formats one system's figures, clip by clip."""
    lines = [f"{'':55}" + "".join(f" {clip:>14.14}" for clip in clips)]
    for goal in GOALS:
        if of(goal, clips) and not goal.by_decile:
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
