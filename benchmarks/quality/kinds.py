"""Groups the figures of ``quality.py`` by what a clip shows: the kinds that ``clips.toml`` names."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

CLIPS = Path(__file__).resolve().parents[1] / "clips.toml"
ALL = "all"

COLUMNS = (
    ("own.seen.correlation", "film r", 3),
    ("own.seen.in_time", "in time", 2),
    ("own.seen.range_ratio", "range", 2),
    ("own.seen.lip_distance", "lips", 4),
    ("own.seen.closed_in_silence", "closed", 2),
    ("own.seen.psnr", "PSNR", 1),
    ("own.seen.ssim", "SSIM", 3),
    ("own.seen.mouth_psnr", "mouth", 1),
    ("own.seen.sharpness", "sharp", 2),
    ("own.seen.flicker", "flicker", 2),
)
"""Figure, title and decimals of each column."""

Figures = Mapping[str, float]


def kinds_of(names: Iterable[str]) -> dict[str, list[str]]:
    """Returns the clips of each kind, of those named (file names without suffix); ``all`` of them to begin with."""
    names = list(names)
    kinds: dict[str, list[str]] = {ALL: names}
    for clip in tomllib.loads(CLIPS.read_text(encoding="utf-8"))["clip"]:
        if (name := Path(clip["file"]).stem) in names:
            for kind in clip.get("kinds", ()):
                kinds.setdefault(kind, []).append(name)
    return kinds


def by_kind(clips: Mapping[str, Figures], kinds: Mapping[str, list[str]]) -> str:
    """Formats the mean of each column over the people of each kind; figures that are not known do not count."""
    lines = [f"{'kind':16} people" + "".join(f" {title:>8}" for _, title, _ in COLUMNS)]
    for kind, names in kinds.items():
        cells = "".join(
            f" {_cell([clips[name].get(key, math.nan) for name in names], digits)}" for key, _, digits in COLUMNS
        )
        lines.append(f"{kind:16.16} {len(names):6d}{cells}")
    return "\n".join(lines)


def _cell(values: list[float], digits: int) -> str:
    known = [value for value in values if math.isfinite(value)]
    return f"{np.mean(known):8.{digits}f}" if known else f"{'-':>8}"
