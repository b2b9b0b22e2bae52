"""Measures whether each trainer can overfit a handful of clips: curves, sample pictures, and by how much the loss
falls.

    python -m benchmarks.models.overfit --data DATA -o REPORT [--clips 4] [--config tiny] [--json FILE]

DATA is a folder of ``mytalk train prepare``. Trains identity, motion and appearance of the config on its ``--clips``
shortest clips, and writes ``REPORT/overfit.html``: a curve of each on a logarithmic scale, and the last sample picture
(for appearance: references, non-lip region, landmarks, truth, painted, four times the difference). What is compared:
ArcFace loss, x0 loss, L1; its mean over the first five steps against that over the last tenth. All of it is on clips
trained on: it shows that the trainers learn, and says nothing of new people. Runs go on where they were stopped.
"""

from __future__ import annotations

import argparse
import base64
import json
import platform
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from mytalk.training.data.shards import SHARDS, read_manifest, write_manifest
from mytalk.training.motion.task import MotionSources
from mytalk.training.run.config import read_config
from mytalk.training.run.logbook import read_curve
from mytalk.training.trainers import train_appearance, train_identity, train_motion

WATCHED = {"identity": "loss", "motion": "x0", "appearance": "l1"}
FIRST = 5
"""Steps that the first figure is a mean over."""

WIDTH, HEIGHT, MARGIN = 800, 220, 50


@dataclass(frozen=True, slots=True)
class Fall:
    """Holds how far one trainer's loss fell. ``first``: mean of the first five steps; ``last``: of the last tenth."""

    trainer: str
    loss: str
    first: float
    last: float
    steps: int

    @property
    def times(self) -> float:
        return self.first / max(self.last, 1e-12)


def train(data: Path, clips: int, config_name: str, out: Path) -> list[Fall]:
    """Trains each network of the config. Raises what the trainers raise."""
    few = out / "data"
    few.mkdir(parents=True, exist_ok=True)
    if not (few / SHARDS).exists():
        (few / SHARDS).symlink_to((data / SHARDS).resolve())
    write_manifest(few, sorted(read_manifest(data), key=lambda entry: entry.frames)[:clips])
    config = read_config(config_name)
    common = {"device": "cpu", "log_every": FIRST}
    train_identity(config, [few], out / "identity", held_out_frames=0.0, **common)
    train_motion(config, MotionSources([few], out / "identity"), out / "motion", **common)
    train_appearance(config, [few], out / "appearance", **common)
    return [_fall(trainer, read_curve(out / trainer)) for trainer in WATCHED]


def _fall(trainer: str, curve: list[dict[str, float]]) -> Fall:
    loss = WATCHED[trainer]
    values = [line[loss] for line in curve if loss in line]
    return Fall(trainer, loss, values[0], float(np.mean(values[-len(values) // 10 :])), int(curve[-1]["step"]))


def last_picture(run: Path) -> NDArray[np.uint8] | None:
    """Reads the newest sample picture of a run's TensorBoard, BGR."""
    from tensorboard.backend.event_processing.event_accumulator import IMAGES, EventAccumulator

    board = EventAccumulator(str(run / "tensorboard"), size_guidance={IMAGES: 1})
    board.Reload()
    tags = board.Tags()[IMAGES]
    if not tags:
        return None
    encoded = np.frombuffer(board.Images(tags[0])[-1].encoded_image_string, np.uint8)
    return np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR), np.uint8)


def chart(curve: list[dict[str, float]], loss: str) -> str:
    """Draws the curve as SVG, logarithmic upward."""
    points = [(line["step"], np.log10(max(line[loss], 1e-9))) for line in curve if loss in line]
    steps, values = np.array(points).T
    low, high = np.floor(values.min()), np.ceil(values.max())
    x = MARGIN + steps / steps.max() * (WIDTH - 2 * MARGIN)
    y = 10 + (high - values) / max(high - low, 1) * (HEIGHT - 40)
    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{loss} by step">']
    for power in range(int(low), int(high) + 1):
        at = 10 + (high - power) / max(high - low, 1) * (HEIGHT - 40)
        parts.append(f'<path d="M{MARGIN} {at:.0f}H{WIDTH - MARGIN}" stroke="#8884"/>')
        parts.append(f'<text x="4" y="{at + 4:.0f}" font-size="11" fill="currentColor">1e{power}</text>')
    path = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
    parts.append(f'<polyline points="{path}" fill="none" stroke="#c2410c" stroke-width="1.5"/>')
    parts.append(
        f'<text x="{WIDTH - MARGIN}" y="{HEIGHT - 6}" font-size="11" text-anchor="end" fill="currentColor">'
        f"step {int(steps.max())}</text></svg>"
    )
    return "".join(parts)


def page(falls: list[Fall], out: Path) -> str:
    parts = [
        "<!doctype html><meta charset=utf-8><title>Overfit</title><meta name=color-scheme content='light dark'>",
        "<style>body{font:15px system-ui;max-width:860px;margin:2em auto}img,svg{max-width:100%}</style>",
        "<h1>Each trainer on a handful of clips</h1><p>Everything here is of clips trained on.</p>",
    ]
    for fall in falls:
        parts.append(f"<h2>{fall.trainer}: {fall.loss} {fall.first:.4g} to {fall.last:.4g}, {fall.times:.1f} x</h2>")
        parts.append(chart(read_curve(out / fall.trainer), fall.loss))
        picture = last_picture(out / fall.trainer)
        if picture is not None:
            data = base64.b64encode(cv2.imencode(".png", picture)[1].tobytes()).decode()
            parts.append(f'<p><img alt="sample of {fall.trainer}" src="data:image/png;base64,{data}">')
    return "\n".join(parts) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of mytalk train prepare")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--clips", type=int, default=4)
    parser.add_argument("--config", default="tiny")
    parser.add_argument("--json", type=Path, default=None)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    falls = train(arguments.data, arguments.clips, arguments.config, arguments.output)
    print(f"{platform.machine()}, config {arguments.config}, {arguments.clips} clips")
    print(f"{'':12}{'loss':>6}{'first':>12}{'last':>12}{'falls by':>10}{'steps':>8}")
    for fall in falls:
        numbers = f"{fall.first:12.5g}{fall.last:12.5g}{fall.times:9.1f}x{fall.steps:8}"
        print(f"{fall.trainer:12}{fall.loss:>6}{numbers}")
    (arguments.output / "overfit.html").write_text(page(falls, arguments.output), encoding="utf-8")
    print(arguments.output / "overfit.html")
    if arguments.json is not None:
        arguments.json.write_text(json.dumps([asdict(fall) for fall in falls], indent=2) + "\n")


if __name__ == "__main__":
    main()
