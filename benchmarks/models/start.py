"""Measures how long commands take to start: ``mytalk --help``, and ``mytalk dub`` up to its first pictures.

    python -m benchmarks.models.start [--clip VIDEO] [--rounds 3] [--json FILE]

Each round starts a process of its own; the shortest of the rounds counts. *CPU* is what the kernel says the process
used, all threads together; *wall* depends on what else the machine does, which is printed as its load. A first round,
which is not counted, lets compiled code be cached and files be read from the disk. *models* is when the models are
loaded and the first picture is worked on; *picture* when the first dubbed picture is given to the encoder, before which
three seconds of the film are looked through to learn the mouth.
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
from pathlib import Path

from benchmarks.clips import film_to_dub

_CHILD = """
import json, os, sys, time
began = float(sys.argv[1])
from streamer import cli
from mytalk import dub, film_threads
marks = {}
def mark(name):
    marks.setdefault(name, [time.monotonic() - began, time.process_time()])
run = film_threads.FilmThreads.run
def noted(self):
    mark("models")
    run(self)
def first(done, total):
    mark("picture")
    print(json.dumps(marks), flush=True)
    os._exit(0)
film_threads.FilmThreads.run = noted
started = dub.dub
dub.dub = lambda *given, **named: started(*given, **{**named, "progress": first})
sys.exit(cli.main(sys.argv[2:]))
"""


def help_times() -> dict[str, float]:
    """Runs ``mytalk --help``; returns its wall and CPU seconds."""
    began, before = time.monotonic(), os.times()
    subprocess.run([sys.executable, "-m", "streamer.cli", "--help"], check=True, stdout=subprocess.DEVNULL)
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return {"wall": time.monotonic() - began, "cpu": cpu}


def dub_times(clip: Path, speech: Path, folder: Path) -> dict[str, dict[str, float]]:
    """Runs ``mytalk dub`` up to its first picture; returns wall and CPU seconds since the process began."""
    words = ["dub", str(clip), str(speech), "-o", str(folder / "out.mp4"), "--force"]
    command = [sys.executable, "-c", _CHILD, str(time.monotonic()), *words]
    out = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    marks = json.loads(out.splitlines()[-1])
    return {name: {"wall": wall, "cpu": cpu} for name, (wall, cpu) in marks.items()}


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clip", type=Path, help="a film of your own (default: as benchmarks.models.throughput)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        film = film_to_dub(arguments.clip, Path(folder))
        rounds = []
        for _ in range(arguments.rounds + 1):
            times = {"help": help_times(), **dub_times(film.clip, film.speech, Path(folder))}
            rounds.append(times)
    best = {name: {kind: min(one[name][kind] for one in rounds[1:]) for kind in ("wall", "cpu")} for name in rounds[0]}
    load = os.getloadavg()[0]
    print(f"{platform.machine()}, {os.cpu_count()} cores, load {load:.1f}; {film.what}; best of {arguments.rounds}")
    print(f"{'seconds to':38} {'wall':>6} {'CPU':>6}")
    names = {
        "help": "the end of mytalk --help",
        "models": "the first picture's work, of mytalk dub",
        "picture": "its first dubbed picture",
    }
    for name, what in names.items():
        print(f"{what:38} {best[name]['wall']:6.2f} {best[name]['cpu']:6.2f}")
    if arguments.json is not None:
        arguments.json.write_text(json.dumps({"load": load, "rounds": rounds}, indent=2) + "\n")


if __name__ == "__main__":
    main()
