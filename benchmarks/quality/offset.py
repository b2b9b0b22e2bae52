"""Measures how well the offset between lips and sound is estimated: clips whose sound is moved by known amounts.

    python -m benchmarks.quality.offset --clips FOLDER [--seconds S] [--json FILE]

The clips are prepared as ``mytalk train prepare`` does it, and taken to be in sync as they are: what is off already
counts as error. Their sound is moved by -400 to 400 ms, and silence moves in. A clip is one recording, or ``S`` seconds
of it, so that short ones can be judged. What is measured on clips that the embedded weights were trained on flatters.
"""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from mytalk.evaluation.offset import MARGIN, OffsetEstimator
from mytalk.media_time import FRAME_SAMPLES, MOTION_RATE, SAMPLE_RATE
from mytalk.training.data.prepare import PrepareOptions, prepare
from mytalk.training.data.store import ClipStore

SHIFTS = (-400, -250, -125, -50, 0, 50, 125, 250, 400)  # ms
CLOSE = 40.0  # ms; one motion frame, and less than a viewer notices (ITU-R BT.1359)


@dataclass(frozen=True, slots=True)
class Measured:
    """Holds one clip at one shift."""

    source: str
    start: float
    seconds: float
    shift: float  # ms that the sound was moved by
    ms: float
    confidence: float
    confident: bool

    @property
    def error(self) -> float:
        return abs(self.ms - self.shift)


def stretches(store: ClipStore, index: int, seconds: float | None) -> list[slice]:
    """Yields frames of a clip to judge on their own."""
    frames = store.entries[index].frames
    size = frames if seconds is None else round(seconds * MOTION_RATE)
    return [slice(start, start + size) for start in range(0, frames - size + 1, size)]


def measure(store: ClipStore, index: int, part: slice, estimator: OffsetEstimator) -> list[Measured]:
    entry, whole, sound = store.entries[index], store.landmarks(index), store.sound(index)
    faces = whole.canonical[part]
    widest = MARGIN + max(SHIFTS) * SAMPLE_RATE // 1000
    around = np.pad(sound, widest)[part.start * FRAME_SAMPLES :]
    out = []
    for shift in SHIFTS:
        first = widest - MARGIN - shift * SAMPLE_RATE // 1000
        heard = around[first : first + len(faces) * FRAME_SAMPLES + 2 * MARGIN]
        found = estimator.estimate([(faces, heard)])
        start = entry.start + part.start / MOTION_RATE
        out.append(Measured(entry.source, start, found.seconds, shift, found.ms, found.confidence, found.confident))
    return out


def row(name: str, results: list[Measured]) -> str:
    if not results:
        return f"{name:44} {0:5}"
    errors = np.array([one.error for one in results])
    median, tail = np.percentile(errors, [50, 90])
    sure = np.mean([one.confident for one in results])
    return f"{name:44} {len(results):5} {median:7.0f} {tail:7.0f} {np.mean(errors <= CLOSE):8.0%} {sure:9.0%}"


def report(results: list[Measured]) -> str:
    lines = [f"{'':44} {'n':>5} {'p50 ms':>7} {'p90 ms':>7} {'<= 40 ms':>8} {'confident':>9}"]
    lines += [row(f"moved by {shift:+} ms", [one for one in results if one.shift == shift]) for shift in SHIFTS]
    for source in sorted({one.source for one in results}):
        mine = [one for one in results if one.source == source]
        still = np.mean([one.ms for one in mine if one.shift == 0])
        lines.append(row(f"{source[:26]:26} as it is {still:+5.0f} ms", mine))
    lines.append(row("all", results))
    lines.append(row("confident only", [one for one in results if one.confident]))
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--seconds", type=float, help="cut clips to this length (default: as long as they are)")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    estimator = OffsetEstimator()
    with tempfile.TemporaryDirectory() as folder:
        prepare(arguments.clips, Path(folder), PrepareOptions(keep_offset=True))
        store = ClipStore(Path(folder))
        jobs = [(index, part) for index in range(len(store)) for part in stretches(store, index, arguments.seconds)]
        results = [one for job in tqdm(jobs, unit="clip") for one in measure(store, *job, estimator)]
    print(report(results))
    if arguments.json:
        made = {"machine": platform.processor() or platform.machine(), "clips": str(arguments.clips.name)}
        arguments.json.write_text(json.dumps({**made, "results": [asdict(one) for one in results]}, indent=1))


if __name__ == "__main__":
    main()
