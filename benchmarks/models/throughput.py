"""Measures how long a film takes: ``mytalk dub`` of a 10 s, 512 x 512, 25 fps clip, everything included.

    python -m benchmarks.models.throughput [--clip VIDEO] [--json FILE]

Without ``--clip`` the clip is the embedded portrait, its mouth moved by the engine itself and the rest still, as with
``mytalk dub --still``: what is measured is the dub of that clip, and a video moves by itself. Decode, face tracking,
both models, compositing, and H264 and AAC encoding are included; loading the models (stated beside) is not. Stages of
different threads overlap, so they add up to more than the whole. CPU time is that of all threads together, so two busy
cores take two seconds of it a second. The embedded weights, all cores of this machine, which ought to be idle.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import tempfile
import time
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path

from streamer.cpu import leave_some_to_others, sleep_when_idle

sleep_when_idle()

import mytalk  # noqa: E402
from mytalk import StreamOptions  # noqa: E402
from mytalk.dub import DubReport, dub  # noqa: E402
from mytalk.media import SpeechReader, open_face  # noqa: E402

ASSETS = Path(str(files("mytalk") / "assets"))
FRAME_MS = 40.0
OPTIONS = StreamOptions(profile="offline")  # as mytalk dub has them for a video


def animated(folder: Path, pipeline: mytalk.Pipeline) -> Path:
    """Makes the embedded portrait speak the embedded speech: a real 512 x 512 clip at 25 fps."""
    path = folder / "clip.mp4"
    dub(pipeline, open_face(ASSETS / "astronaut.png"), SpeechReader(ASSETS / "demo_speech.flac"), path, OPTIONS)
    return path


def peak_megabytes() -> float:
    """Reads the most memory of this process, and of the largest that it had and that has ended."""
    return sum(resource.getrusage(usage).ru_maxrss for usage in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) / 1024


def table(report: DubReport, load_seconds: float, cpu_ms: float, peak: float) -> str:
    lines = [f"{stage:10} {ms:7.1f} ms a frame" for stage, ms in report.stage_ms.items()]
    whole = report.took / report.frames * 1e3
    lines += [
        f"{'whole':10} {whole:7.1f} ms a frame ({FRAME_MS - whole:+.1f} ms left of {FRAME_MS:.0f} at 25 fps)",
        f"{'CPU':10} {cpu_ms:7.1f} ms a frame, all threads together",
        f"real-time factor {report.real_time_factor:.2f} for {report.seconds:.1f} s; {report.frames} frames, "
        f"{report.passthrough} without a face; peak memory {peak:.0f} MB; models loaded in {load_seconds:.1f} s",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clip", type=Path, default=None, help="a clip of your own")
    parser.add_argument("--speech", type=Path, default=ASSETS / "demo_speech.flac")
    parser.add_argument("--preset", default="edge")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--json", type=Path, default=None)
    arguments = parser.parse_args()
    leave_some_to_others()
    start = time.perf_counter()
    pipeline = mytalk.load(arguments.preset, arguments.device)
    load_seconds = time.perf_counter() - start
    with tempfile.TemporaryDirectory() as folder:
        clip = arguments.clip or animated(Path(folder), pipeline)
        output = Path(folder) / "dubbed.mp4"
        worked = time.process_time()
        report = dub(pipeline, open_face(clip), SpeechReader(arguments.speech), output, OPTIONS)
        cpu_ms = (time.process_time() - worked) / report.frames * 1e3
    peak = peak_megabytes()
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, preset {report.preset}, {report.device}, {report.steps} steps"
    )
    print(table(report, load_seconds, cpu_ms, peak))
    if arguments.json is not None:
        written = {"machine": platform.platform(), "cores": os.cpu_count(), "peak_mb": peak, "load_s": load_seconds}
        whole = {**asdict(report), "path": str(clip), "real_time_factor": report.real_time_factor}
        whole |= {"cpu_ms": cpu_ms, "whole_ms": report.took / report.frames * 1e3}
        arguments.json.write_text(json.dumps({**written, **whole}, indent=2) + "\n")


if __name__ == "__main__":
    main()
