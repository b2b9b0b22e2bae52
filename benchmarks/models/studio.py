"""Measures what the dubbing studio takes: two speakers against one, and many films on all cores.

    python -m benchmarks.models.studio FILM VOICE [-o studio.json] [--films 60] [--seconds 3]

FILM shows two people side by side, for `--cast`; VOICE is dubbed into both. CPU seconds are those of the whole process,
without what a dub of 0.1 s takes, start and models; *busy* is the CPU of all film processes over the wall time on every
core, so nothing else may run meanwhile. Many films are cut from FILM's beginning.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import av

POINTS = ([0.3, 0.3], [0.7, 0.3])
"""Shares of FILM's width and height at which its two faces are."""


def cast_cpu(film: Path, voice: Path, folder: Path, speakers: int, seconds: float) -> float:
    """Returns the CPU seconds of a dub with so many speakers, who all speak throughout."""
    names = ("left", "right")[:speakers]
    cast = {
        "speakers": {name: {"voice": str(voice), "face": point} for name, point in zip(names, POINTS, strict=False)},
        "segments": [{"start": 0, "end": seconds, "speaker": name} for name in names],
    }
    path = folder / f"cast{speakers}.json"
    path.write_text(json.dumps(cast))
    return _cpu([str(film), "--cast", str(path), "-o", str(folder / f"out{speakers}.mp4"), "--force"])


def batch(film: Path, voice: Path, folder: Path, films: int) -> dict[str, float]:
    """Dubs many copies of a film; returns wall and CPU seconds, and how busy the cores were."""
    table = folder / "films.tsv"
    table.write_text("".join(f"{film}\t{voice}\tfilm{number:03}.mp4\n" for number in range(films)))
    began = time.monotonic()
    spent = _cpu([str(table), "-o", str(folder / "dubbed")])
    wall = time.monotonic() - began
    cores = len(os.sched_getaffinity(0))
    return {"films": films, "wall_s": wall, "cpu_s": spent, "cores": cores, "busy": spent / wall / cores}


def cut(film: Path, out: Path, seconds: float) -> Path:
    """Copies the first seconds of a film's picture."""
    with av.open(str(film)) as given, av.open(str(out), "w") as made:
        streams = {one.index: made.add_stream_from_template(one, opaque=True) for one in given.streams.video}
        for packet in given.demux(*given.streams.video):
            if packet.dts is None or packet.dts * packet.time_base >= seconds:
                continue
            packet.stream = streams[packet.stream.index]
            made.mux(packet)
    return out


def _cpu(words: list[str]) -> float:
    """Runs ``mytalk dub``; returns the CPU seconds of its processes, children included."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "streamer.cli", "dub", *words], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Prints the table, and writes it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("film", type=Path)
    parser.add_argument("voice", type=Path)
    parser.add_argument("--films", type=int, default=60)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("-o", "--output", type=Path, default=Path("studio.json"))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        short = cut(arguments.film, folder / "short.mp4", arguments.seconds)
        base = _cpu(
            [str(cut(arguments.film, folder / "frame.mp4", 0.1)), str(arguments.voice), "-o", str(folder / "f.mp4")]
        )
        one, two = (
            cast_cpu(arguments.film, arguments.voice, folder, speakers, arguments.seconds) - base for speakers in (1, 2)
        )
        report: dict[str, Any] = {
            "machine": platform.processor() or platform.machine(),
            "one_speaker_cpu_s": one,
            "two_speakers_cpu_s": two,
            "two_over_one": two / one,
        }
        if arguments.films:
            report["batch"] = batch(short, arguments.voice, folder, arguments.films)
    arguments.output.write_text(json.dumps(report, indent=1) + "\n")
    print(f"one speaker {one:.1f} s of CPU, two {two:.1f} s: {two / one:.2f} times (at most 1.6 wanted)")
    if arguments.films:
        many = report["batch"]
        print(f"{many['films']} films in {many['wall_s']:.0f} s: {many['busy']:.0%} of {many['cores']} cores busy")


if __name__ == "__main__":
    main()
