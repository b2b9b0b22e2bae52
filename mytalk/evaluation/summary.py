"""Summarises the figures of a report over all its clips, and finds what stands out among them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from mytalk.evaluation.metrics import METRICS, Metric, full_title
from mytalk.evaluation.run import Report


@dataclass(frozen=True, slots=True)
class Summary:
    """Holds one metric over the clips that have it."""

    metric: Metric
    mean: float
    median: float
    worst: float
    worst_clip: str
    values: list[tuple[str, float]]  # clip, figure
    weak_clips: list[tuple[str, float]]  # those that lie outside the good figures


def summarise(report: Report) -> list[Summary]:
    """Summarises metrics that at least one clip has, in order. A metric of all clips together has no median and no
    worst."""
    rows = []
    for metric in METRICS:
        known = [(clip.clip, clip.scores.get(metric.key, math.nan)) for clip in report.scored]
        values = [(name, value) for name, value in known if not math.isnan(value)]
        if metric.key in report.whole:
            rows.append(Summary(metric, report.whole[metric.key], math.nan, math.nan, "", [], []))
        elif values:
            figures = [value for _, value in values]
            worst = values[metric.worst(figures)]
            weak = [(clip.clip, clip.scores[metric.key]) for clip in report.scored if metric.weak_in(clip.scores)]
            mean, median = float(np.mean(figures)), float(np.median(figures))
            rows.append(Summary(metric, mean, median, worst[1], worst[0], values, weak))
    return rows


def weaknesses(report: Report) -> list[str]:
    """Lists what a reader must not overlook, one sentence each; first what most clips share."""
    found = [(2.0, text) for text in _unmoved(report)]
    for row in summarise(report):
        if row.weak_clips:
            found.append((len(row.weak_clips) / len(row.values), _sentence(row)))
        elif not row.values and row.metric.weak(row.mean):
            found.append((1.0, f"{row.metric.title} {show(row.metric, row.mean)}: {row.metric.above}"))
    return [text for _, text in sorted(found, key=lambda pair: -pair[0])]


def _sentence(row: Summary) -> str:
    metric = row.metric
    figures = [value for _, value in row.weak_clips]
    clip, value = row.weak_clips[metric.worst(figures)]
    says = metric.below if value < metric.good[0] else metric.above
    return (
        f"{full_title(metric)} {show(metric, value)} in {clip}{': ' if says else ''}{says} (good: {bounds_of(metric)}; "
        f"outside in {len(row.weak_clips)} of {len(row.values)} clips, {show(metric, row.mean)} on average)"
    )


def _unmoved(report: Report) -> list[str]:
    texts = []
    for clip in report.scored:
        moving, still = clip.scores.get("mouth_lmd", math.nan), clip.scores.get("still_mouth_lmd", math.nan)
        if moving >= still:
            text = f"lips are no nearer to the film ({moving:.4f}) than a mouth that never moves ({still:.4f})"
            texts.append(f"{clip.clip}: {text}")
    return texts


def show(metric: Metric, value: float) -> str:
    """Formats a figure as a reader sees it."""
    return "-" if math.isnan(value) else "∞" if math.isinf(value) else f"{value:.{metric.digits}f}"


def bounds_of(metric: Metric) -> str:
    """Describes the good figures in words."""
    low, high = metric.good
    if math.isinf(high):
        return f"{low:g} or more"
    return f"{high:g} or less" if low == 0 and metric.better in ("low", "zero") else f"{low:g} to {high:g}"
