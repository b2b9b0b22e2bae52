"""Measures whether the mouth closes when it must: at p, b and m, and where the filmed mouth closes while it speaks.

Times stand beside a clip, in a file of its name: ``.tsv`` (start, end, label: seconds, and phones in ARPAbet or IPA) or
``.align`` (start, end, word: GRID's units of 1/25000 s). Words tell of a bilabial only where they begin with one.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mytalk.errors import DataError
from mytalk.evaluation.sync import CLOSED, Curve
from mytalk.media_time import MOTION_RATE

GRID_RATE = 25_000
_PHONES = frozenset({"p", "b", "m", "pʰ", "bː", "mː", "pː"})
_SILENT_FIRST = ("ph", "pn", "ps", "pt")  # phone, pneumatic, psalm, pterodactyl
_REACH = 3  # frames around a bilabial's onset in which lips meet: closure leads the burst
_NEAR = 1  # frames by which a closing may differ and still be the same


@dataclass(frozen=True, slots=True)
class Bilabial:
    """Holds the frames among which lips ought to touch."""

    first: int
    last: int


def bilabials_beside(film: Path) -> list[Bilabial] | None:
    """Reads the bilabials of a clip with a file of times beside it, else None. Raises DataError where that cannot be
    read."""
    for suffix, read in ((".tsv", _read_phones), (".align", _read_words)):
        path = film.with_suffix(suffix)
        if path.is_file():
            return read(path)
    return None


def closed_share(aperture: Curve, bilabials: list[Bilabial]) -> float:
    """Returns the share of p, b and m at which a mouth (aperture at 25 Hz, NaN unknown) closes; NaN where there are
    none."""
    lows = [aperture[max(0, one.first) : one.last + 1] for one in bilabials]
    known = [float(np.nanmin(low)) for low in lows if len(low) and not np.isnan(low).all()]
    return float(np.mean([low < CLOSED for low in known])) if known else float("nan")


def closed_when_true(ours: Curve, true: Curve, speaking: Curve) -> float:
    """Returns the share of the filmed mouth's closings in speech at which ours is closed too, within a frame.

    A closing is a run of frames under ``CLOSED``. ``speaking`` is true where somebody speaks. NaN where there are none.
    """
    frames = min(len(ours), len(true), len(speaking))
    shut = (true[:frames] < CLOSED) & (np.asarray(speaking[:frames]) > 0)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], shut.astype(np.int8), [0]])))
    met = []
    for first, stop in edges.reshape(-1, 2).tolist():
        near = ours[max(0, first - _NEAR) : min(frames, stop + _NEAR)]
        if not np.isnan(near).all():
            met.append(float(np.nanmin(near)) < CLOSED)
    return float(np.mean(met)) if met else float("nan")


def _read_phones(path: Path) -> list[Bilabial]:
    found = []
    for start, end, label in _rows(path):
        if label.strip("012ˈˌ").lower() in _PHONES:
            found.append(Bilabial(_frame(start) - 1, _frame(end)))
    return found


def _read_words(path: Path) -> list[Bilabial]:
    found = []
    for start, _, word in _rows(path):
        lower = word.lower()
        if lower[:1] in ("p", "b", "m") and not lower.startswith(_SILENT_FIRST):
            onset = _frame(start / GRID_RATE)
            found.append(Bilabial(onset - _REACH, onset + _REACH))
    return found


def _rows(path: Path) -> list[tuple[float, float, str]]:
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        cells = line.split()
        if not cells or cells[0].startswith("#"):
            continue
        try:
            rows.append((float(cells[0]), float(cells[1]), cells[2]))
        except (ValueError, IndexError) as error:
            raise DataError(f"{path}:{number}: {line.strip()[:40]!r} (need: start, end, label)") from error
    return rows


def _frame(seconds: float) -> int:
    return round(seconds * MOTION_RATE)
