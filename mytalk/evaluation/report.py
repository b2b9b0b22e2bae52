"""Writes a report to disk: ``report.json`` for programs, ``report.html`` for people."""

from __future__ import annotations

import json
import math
import platform
from pathlib import Path
from typing import Any

from mytalk.errors import OutputError
from mytalk.evaluation.clip import ClipResult
from mytalk.evaluation.metrics import METRICS
from mytalk.evaluation.page import page
from mytalk.evaluation.run import Report
from mytalk.evaluation.summary import summarise, weaknesses


def write_report(report: Report, folder: Path) -> Path:
    """Writes both files, and gives the page's path. Raises OutputError where the folder cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "report.json").write_text(json.dumps(as_json(report), indent=1, allow_nan=False) + "\n")
        (folder / "report.html").write_text(page(report, machine()), encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written ({error.strerror}); give another folder with -o") from error
    return folder / "report.html"


def as_json(report: Report) -> dict[str, Any]:
    """Converts to plain data: a figure that is not known is null, an infinite one the string "inf"."""
    return {
        "what": report.what,
        "machine": machine(),
        "metrics": {one.key: {"title": one.title, "better": one.better, "meaning": one.meaning} for one in METRICS},
        "summary": {
            row.metric.key: {
                "mean": _plain(row.mean), "median": _plain(row.median), "worst": _plain(row.worst),
                "worst_clip": row.worst_clip or None, "clips": len(row.values),
            }
            for row in summarise(report)
        },
        "clips": [_clip(clip) for clip in report.clips],
        "not_computed": report.missing,
        "weaknesses": weaknesses(report),
        "warnings": report.warnings,
    }  # fmt: skip


def machine() -> dict[str, str | int]:
    """Names the machine that the report was made on."""
    import torch

    return {"platform": platform.platform(), "threads": torch.get_num_threads(), "torch": torch.__version__}


def _clip(clip: ClipResult) -> dict[str, Any]:
    return {
        "clip": clip.clip,
        "speech": clip.speech,
        "frames": clip.frames,
        "failed": clip.failed,
        "scores": {metric.key: _plain(clip.scores.get(metric.key, math.nan)) for metric in METRICS},
        "aperture": {name: [_plain(round(float(v), 5)) for v in curve] for name, curve in clip.curves.items()},
    }


def _plain(value: float) -> float | str | None:
    if math.isnan(value):
        return None
    return "inf" if math.isinf(value) else value
