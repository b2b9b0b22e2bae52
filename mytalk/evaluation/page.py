"""Writes the report as one HTML file that needs nothing else: pictures are inside it, plots are drawn in it, no
script."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files

from mytalk.evaluation.clip import ClipResult
from mytalk.evaluation.metrics import BY_KEY, METRICS, full_title
from mytalk.evaluation.plots import Line, line_chart, spread
from mytalk.evaluation.run import Report
from mytalk.evaluation.strips import Cell
from mytalk.evaluation.summary import bounds_of, show, summarise, weaknesses
from mytalk.evaluation.sync import CLOSED
from mytalk.media_time import MOTION_RATE

_PER_CLIP = (
    "psnr", "ssim", "mouth_psnr", "lpips", "mouth_lmd", "still_mouth_lmd", "correlation", "lag", "range_ratio",
    "closed_in_silence", "closed_when_true", "closed_at_bilabials", "seam", "asked_seam", "mouth_flicker",
    "outside_flicker", "sharpness", "lse_d", "lse_c", "id_similarity", "passthrough",
)  # fmt: skip

_NOTES = """
Motion is measured on landmarks tracked in the pictures, in distances between the eyes, over the whole clip. Pictures
are compared on a 256 x 256 crop that stands still with the filmed head. Our own engine is measured before any encoder;
the first 3 s of a clip (1.5 s of one of 4 s or less) show it the speaker and are not compared, and after them it keeps
no more mouths of a clip that speaks its own words, since the filmed mouth would be the answer. What the engine sees of
each frame is the whole frame: skin around the mouth is the film's own, so PSNR of the face is high by construction, and
the mouth's figures say more. An unpaired clip has no true mouth: its opening is held against that of the speech's own
speaker. Bounds of good figures are ours, to draw the eye, and no standard's.
"""


def page(report: Report, machine: Mapping[str, str | int]) -> str:
    """Writes a report as HTML; ``machine`` names what it was made on."""
    style = (files("mytalk.evaluation") / "report.css").read_text(encoding="utf-8")
    what = ", ".join(f"{name} {value}" for name, value in report.what.items() if name != "system")
    ran = ", ".join(f"{name} {value}" for name, value in machine.items())
    frames = sum(clip.frames for clip in report.scored)
    title = escape(f"{report.what.get('system', '')}: lip-sync report")
    return "".join(
        [
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">',
            f"<title>{title}</title><style>{style}</style></head><body><main><h1>{title}</h1>",
            f"<p>{escape(what)}. {len(report.scored)} of {len(report.clips)} clips scored, {frames} frames.</p>",
            _list("What stands out", weaknesses(report), "weak", "No figure lies outside the good ones."),
            _list("Clips that failed", [f"{c.clip}: {c.failed}" for c in report.clips if c.failed], "weak"),
            _summary(report),
            _clips(report),
            _list("Not computed", _missing(report.missing), "plain"),
            _list("Warnings", report.warnings, "plain"),
            "".join(_clip(clip) for clip in report.scored),
            f"<h2>How it was measured</h2><p>{escape(_NOTES)}</p><p>{escape(ran)}</p></main></body></html>\n",
        ]
    )


def _list(heading: str, items: Sequence[str], kind: str, empty: str = "") -> str:
    if not items:
        return f"<h2>{heading}</h2><p>{empty}</p>" if empty else ""
    return f'<h2>{heading}</h2><ul class="{kind}">' + "".join(f"<li>{escape(item)}</li>" for item in items) + "</ul>"


def _summary(report: Report) -> str:
    head = ["", "mean", "median", "worst", "in", "good", "each clip", "what it is"]
    rows = []
    for row in summarise(report):
        metric = row.metric
        cells = [
            f"<th>{escape(metric.title)}</th>",
            *(
                _figure(show(metric, value), metric.weak(value) and bool(row.weak_clips or not row.values))
                for value in (row.mean, row.median, row.worst)
            ),
            f"<td class='clip'>{escape(row.worst_clip if metric.better != 'none' else '')}</td>",
            f"<td class='good'>{'' if metric.better == 'none' else escape(bounds_of(metric))}</td>",
            f"<td>{spread(row)}</td><td class='note'>{escape(metric.meaning)}</td>",
        ]
        rows.append(f"<tr>{''.join(cells)}</tr>")
    return _table("All clips", head, rows)


def _clips(report: Report) -> str:
    shown = [m for m in METRICS if m.key in _PER_CLIP and m.key not in report.missing and m.key not in report.whole]
    rows = []
    for clip in report.scored:
        name = clip.clip if clip.speech == clip.clip else f"{clip.clip} saying {clip.speech}"
        figures = [(metric, clip.scores.get(metric.key, math.nan)) for metric in shown]
        cells = "".join(_figure(show(metric, value), metric.weak_in(clip.scores)) for metric, value in figures)
        rows.append(f"<tr><th>{escape(name)}</th>{cells}</tr>")
    return _table("Clip by clip", ["", *(escape(metric.title) for metric in shown)], rows)


def _table(heading: str, head: Sequence[str], rows: Sequence[str]) -> str:
    top = "".join(f"<th>{cell}</th>" for cell in head)
    body = "".join(rows)
    return (
        f'<h2>{heading}</h2><div class="wide"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def _figure(text: str, weak: bool) -> str:
    return f'<td class="figure{" weak" if weak else ""}">{text}</td>'


def _clip(clip: ClipResult) -> str:
    says = "" if clip.speech == clip.clip else f", saying {clip.speech}"
    lines = [
        Line(name, [(index / MOTION_RATE, float(value)) for index, value in enumerate(clip.curves[key])], key)
        for key, name in (
            ("filmed", "filmed"), ("speaker", "the speech's speaker"), ("asked", "stage 1 asks"),
            ("generated", "generated"),
        )
        if key in clip.curves
    ]  # fmt: skip
    truth = clip.curves.get("speaker", clip.curves.get("filmed"))
    shut = [] if truth is None else _runs([float(value) < CLOSED for value in truth])
    parts = [
        f"<h2>{escape(clip.clip)}{escape(says)}</h2>",
        line_chart("Lip aperture, in distances between the eyes; shaded: the speaker's mouth is closed", lines, shut),
    ]
    for key, name in (("mouth_psnr", "Mouth PSNR, dB"), ("mouth_lmd", "Mouth landmark distance")):
        if key in clip.by_frame and (key != "mouth_psnr" or len(clip.by_frame[key]) > 1):
            parts.append(line_chart(name, [Line("each frame", clip.by_frame[key], "generated")]))
    rows = "filmed, generated" + (", difference x 4" if clip.worst else "")
    parts.append(_strip(f"Evenly spread ({rows})", clip.even))
    parts.append(_strip("Worst mouths, by landmark distance", clip.worst))
    return "".join(parts)


def _strip(heading: str, cells: Sequence[Cell]) -> str:
    if not cells:
        return ""
    pictures = "".join(
        f'<figure><img alt="frame at {cell.seconds:.2f} s" src="data:image/jpeg;base64,'
        f'{base64.b64encode(cell.jpeg).decode()}"><figcaption>{cell.seconds:.2f} s</figcaption></figure>'
        for cell in cells
    )
    return f'<h3>{escape(heading)}</h3><div class="strip">{pictures}</div>'


def _runs(flags: Sequence[bool]) -> list[tuple[float, float]]:
    """Finds spans of seconds in which the flags are set."""
    spans: list[tuple[float, float]] = []
    start: int | None = None
    for index, flag in enumerate([*flags, False]):
        if flag and start is None:
            start = index
        elif not flag and start is not None:
            spans.append((start / MOTION_RATE, index / MOTION_RATE))
            start = None
    return spans


def _missing(reasons: Mapping[str, str]) -> list[str]:
    """Groups metrics that are missing for the same reason."""
    same_reason: dict[str, list[str]] = {}
    for key, why in reasons.items():
        same_reason.setdefault(why, []).append(full_title(BY_KEY[key]))
    return [f"{'; '.join(titles)}: {why}" for why, titles in same_reason.items()]
