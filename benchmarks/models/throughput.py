"""Measures what ``mytalk dub`` of a film takes: its time from the process's start, its memory, and its CPU by stage.

    python -m benchmarks.models.throughput [--clip VIDEO] [--speech SOUND] [--json FILE]

Without ``--clip`` the film is the one of clips.toml that is timed (8 s, 512 x 512, a real woman), where it lies in
``../shared/real``; else a film of the embedded portrait that is made, moves and has noise (`benchmarks.clips`).

The film is dubbed by a process of its own. *CPU* is what the kernel counted: of the whole process by ``wait4``, of a
stage by the clock of the thread that it runs in. A film with own speech is tracked as the mouth adapts to that, once.
What is left is the codecs' own threads, start and all between the
stages. Wall time is the process's, from its start to its end; it holds for an idle machine, whose load is printed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

STAGES = {"detect": "track", "hear": "hear", "motion": "motion", "render": "render"}
"""Stages of a stream by the names that the table has them by."""


def account() -> dict[str, float]:
    """Counts CPU seconds of each stage and thread of a dub in this process, from now on."""
    from mytalk import adaptation
    from mytalk.film_threads import FilmThreads
    from mytalk.lipsync_stream import LipSyncStream

    spent: dict[str, float] = defaultdict(float)

    @contextmanager
    def timed(self: LipSyncStream, stage: str) -> Iterator[None]:
        start = time.thread_time()
        try:
            yield
        finally:
            spent[STAGES[stage]] += time.thread_time() - start

    def counted(work: Callable[..., Any], thread: str) -> Callable[..., Any]:
        def run(*given: Any, **named: Any) -> Any:
            start = time.thread_time()
            try:
                return work(*given, **named)
            finally:
                spent[thread] += time.thread_time() - start

        return run

    LipSyncStream._timed = timed  # type: ignore[method-assign, assignment]
    for thread in ("_read", "_render", "_write"):
        setattr(FilmThreads, thread, counted(getattr(FilmThreads, thread), thread))
    adaptation.adapt_to_film = counted(adaptation.adapt_to_film, "adapt")
    return spent


def child(report: Path, words: list[str]) -> int:
    """Runs ``mytalk`` with ``words`` in this process, and writes what its stages took."""
    from streamer import cli

    cli.sleep_when_idle()
    spent = account()
    code = cli.main(words)
    report.write_text(json.dumps(spent))
    return code


def measure(clip: Path, speech: Path, folder: Path, options: list[str]) -> dict[str, Any]:
    """Dubs a film in a process of its own; returns seconds of wall and CPU, megabytes, and frames."""
    import av

    report, output = folder / "report.json", folder / "dubbed.mp4"
    words = ["dub", str(clip), str(speech), "-o", str(output), *options]
    command = [sys.executable, "-m", "benchmarks.models.throughput", "--child", str(report), *words]
    start = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - start
    if status:
        raise SystemExit(f"mytalk dub ended with {os.waitstatus_to_exitcode(status)}")
    with av.open(str(output)) as film:
        frames, seconds = film.streams.video[0].frames, float(film.duration or 0) / av.time_base
    cpu = usage.ru_utime + usage.ru_stime
    spent = json.loads(report.read_text())
    return {
        "wall_s": wall,
        "cpu_s": cpu,
        "peak_mb": usage.ru_maxrss / 1024,
        "frames": frames,
        "seconds": seconds,
        "stages_ms": by_stage(spent, cpu, frames),
    }


def by_stage(spent: dict[str, float], cpu: float, frames: int) -> dict[str, float]:
    """Returns CPU milliseconds a frame of each stage, of what each thread does besides, and of all the rest."""
    spent = defaultdict(float, spent)
    stages = {name: spent[name] for name in STAGES.values()}
    stages["adapt: track, hear and read"] = spent["adapt"]
    stages["decode and read"] = spent["_read"] - spent["track"] - spent["hear"]
    stages["between motion and picture"] = spent["_render"] - spent["motion"] - spent["render"]
    stages["encode and write"] = spent["_write"]
    stages["codecs' threads, and start"] = cpu - sum(stages.values())
    return {name: 1e3 * seconds / frames for name, seconds in stages.items()}


def main() -> None:
    """Prints a table."""
    if sys.argv[1:2] == ["--child"]:
        sys.exit(child(Path(sys.argv[2]), sys.argv[3:]))
    from benchmarks.clips import SPEECH, film_to_dub

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clip", type=Path, help="a film of your own")
    parser.add_argument("--speech", type=Path, default=SPEECH)
    parser.add_argument("--preset", default="edge")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        film = film_to_dub(arguments.clip, Path(name))
        options = ["--preset", arguments.preset, "--device", arguments.device]
        figures = measure(film.clip, arguments.speech, Path(name), options)
    load = os.getloadavg()[0]
    print(f"{platform.machine()}, {os.cpu_count()} cores, load {load:.1f}; {film.what}")
    for stage, ms in figures["stages_ms"].items():
        print(f"{stage:28} {ms:7.1f} ms of CPU a frame")
    print(f"{'all':28} {1e3 * figures['cpu_s'] / figures['frames']:7.1f} ms of CPU a frame, start included")
    print(
        f"{figures['wall_s'] / figures['seconds']:.2f} times the film's {figures['seconds']:.1f} s, start included;"
        f" {figures['cpu_s'] / figures['seconds']:.2f} in CPU; peak memory {figures['peak_mb']:.0f} MB"
    )
    if arguments.json is not None:
        about = {"machine": platform.platform(), "cores": os.cpu_count(), "load": load, "film": film.what}
        arguments.json.write_text(json.dumps({**about, **figures}, indent=2) + "\n")


if __name__ == "__main__":
    main()
