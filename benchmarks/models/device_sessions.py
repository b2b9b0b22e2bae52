"""Measures how many sessions the models' side of the engine carries on one device: no sockets, codecs or tracking.

    python -m benchmarks.models.device_sessions [--preset edge|paper|FOLDER] [--device cpu|cuda] [--dtype bfloat16]
        [--counts 1 2 4 8] [--threads 1] [--rounds 40] [--clip FILM] [--faces FILE] [--json FILE]

Live sessions of profile ``balanced`` on the film of `benchmarks.clips`, 25 fps, hop by hop as an engine thread does
it: every session hears 80 ms of speech, the windows that are ready are sampled in batches, and each session's two
pictures are rendered. With ``--threads N`` the sessions are dealt out to so many threads, each of which does that for
its own, batches included; a round begins when all have ended the last one. The engine deals anew at every job, so that
no thread waits at a round's end as it does here. A number of sessions is held where 95 % of such rounds end within
their 80 ms. Stages are the mean of the threads' own times, in which they also wait for one another; on a GPU, for its
work for all of them. Busy is how much of the time the device says it worked. Faces are tracked once beforehand; with
``--faces`` they are kept in a file, for a machine that has no MediaPipe. ``paper`` has random weights.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import mytalk
from benchmarks.clips import SPEECH, film_to_dub
from benchmarks.models.motion import wav2vec_base
from benchmarks.models.timing import machine
from mytalk import LipSyncStream, Pipeline, StreamOptions, VideoFrame
from mytalk.face import Face, SpeakerTracker
from mytalk.media import SpeechReader, open_face
from mytalk.media_time import FRAME_SAMPLES
from mytalk.presets import PRESETS, PROFILES
from mytalk.random_pipeline import random_pipeline
from streamer.cpu import leave_some_to_others
from streamer.engine.batch_scheduler import BatchScheduler

HOP = PROFILES["balanced"].hop
ROUND_MS = 40.0 * HOP
WARM_UP = 8  # rounds
PICTURES = 100  # of the film; it repeats
STAGES = ("hear", "move", "render")


def loaded(options: argparse.Namespace) -> Pipeline:
    """Loads a pipeline; random weights for ``paper``, for which there are no others."""
    if options.preset == "paper":
        front = wav2vec_base(PRESETS["paper"])
        return random_pipeline("paper", options.device, options.dtype, front)
    return mytalk.load(options.preset, options.device, dtype=options.dtype)


def film(options: argparse.Namespace) -> list[tuple[VideoFrame, Face]]:
    """Reads pictures and the faces in them."""
    with tempfile.TemporaryDirectory() as folder:
        clip = film_to_dub(options.clip, Path(folder)).clip
        pictures = list(islice(open_face(clip).frames(endless=True), PICTURES))
    if options.faces and options.faces.exists():
        points = np.load(options.faces)
    else:
        tracker = SpeakerTracker()
        found = [tracker(frame.picture) for frame in pictures]
        points = np.stack([face.points for face in found if face is not None])
        if len(points) < len(pictures):
            raise SystemExit(f"a face in {len(points)} of {len(pictures)} pictures only: need one in each")
        if options.faces:
            np.save(options.faces, points)
    return [(frame, Face(one)) for frame, one in zip(pictures, points, strict=True)]


class Timer:
    """Measures seconds a stage, a round at a time."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self.rounds: list[dict[str, float]] = []

    def begin(self) -> None:
        self.rounds.append({})
        self._at = time.perf_counter()

    def done(self, stage: str) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        now = time.perf_counter()
        self.rounds[-1][stage] = now - self._at
        self._at = now


def play_round(
    pipeline: Pipeline,
    speech: NDArray[np.float32],
    pictures: list[Any],
    sessions: list[LipSyncStream],
    timer: Timer,
) -> int:
    """Plays one hop of every session of one thread; returns the number of pictures that came out."""
    timer.begin()
    for session in sessions:
        session.push_speech(speech)
        for frame, face in pictures:
            session.push_frame(frame, face)
    timer.done("hear")
    batching = BatchScheduler()
    wishes = [(session, request) for session in sessions if (request := session.request()) is not None]
    while wishes:
        batch = batching.schedule([request.steps for _, request in wishes])
        chosen = [wishes[index] for index in batch.places]
        for (session, request), motion in zip(chosen, pipeline.sample([one for _, one in chosen]), strict=True):
            session.accept(request, motion)
        wishes = [wish for index, wish in enumerate(wishes) if index not in batch.places]
    timer.done("move")
    pictures_out = sum(sum(1 for _ in session.pull()) for session in sessions)
    timer.done("render")
    return pictures_out


def hold(
    pipeline: Pipeline, count: int, reel: list[Any], speech: NDArray[np.float32], options: argparse.Namespace
) -> dict[str, Any]:
    sessions = [pipeline.stream(StreamOptions(live=True, seed=number)) for number in range(count)]
    shares = [sessions[first :: options.threads] for first in range(min(options.threads, count))]
    timers, late, busy, pictures_out = [Timer(torch.device(pipeline.device)) for _ in shares], [], [], 0
    with ThreadPoolExecutor(len(shares)) as threads:
        for number in range(WARM_UP + options.rounds):
            positions = range(number * HOP, (number + 1) * HOP)
            pictures = []
            for index in positions:
                frame, face = reel[index % len(reel)]
                pictures.append((VideoFrame(frame.picture, index * FRAME_SAMPLES, frame.pts, frame.time_base), face))
            part = np.take(
                speech, range(positions[0] * FRAME_SAMPLES, (positions[-1] + 1) * FRAME_SAMPLES), mode="wrap"
            )
            began = time.perf_counter()
            pictures_out += sum(threads.map(partial(play_round, pipeline, part, pictures), shares, timers))
            late.append(1e3 * (time.perf_counter() - began))
            if pipeline.device != "cpu":
                busy.append(torch.cuda.utilization(torch.device(pipeline.device)))
    rounds = [one for timer in timers for one in timer.rounds[WARM_UP:]]
    stages = {f"{stage}_ms": 1e3 * float(np.mean([one[stage] for one in rounds])) for stage in STAGES}
    p95 = float(np.percentile(late[WARM_UP:], 95))
    return {"sessions": count, "held": p95 <= ROUND_MS, "round_p95_ms": p95, **stages, "pictures": pictures_out} | (
        {"busy": float(np.mean(busy[WARM_UP:]))} if busy else {}
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="edge", help="edge, paper, or a folder of weights")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--counts", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--threads", type=int, default=1, help="engine threads, that sessions are dealt out to")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--clip", type=Path, default=None, help="a film of one face of your own")
    parser.add_argument("--faces", type=Path, default=None, help="where faces are kept (.npy)")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if options.threads < 1:
        parser.error(f"--threads {options.threads}: need 1 or more")
    leave_some_to_others(options.threads)
    pipeline, reel = loaded(options), film(options)
    speech = np.concatenate(list(SpeechReader(SPEECH).samples()))
    size = f"{reel[0][0].picture.width} x {reel[0][0].picture.height}"
    print(
        f"{machine(torch.device(pipeline.device))}, {os.cpu_count()} cores, {options.threads} engine threads; "
        f"{pipeline.preset.name}, {pipeline.dtype}, {size}"
    )
    rows = []
    for count in options.counts:
        row = hold(pipeline, count, reel, speech, options)
        rows.append(row)
        print(
            "  ".join(
                f"{key} {value:.1f}" if isinstance(value, float) else f"{key} {value}" for key, value in row.items()
            ),
            flush=True,
        )
    carried = max((row["sessions"] for row in rows if row["held"]), default=0)
    print(f"held: {carried or 'none of ' + ', '.join(map(str, options.counts))} sessions at 25 fps")
    if options.json:
        figures = {
            "device": machine(torch.device(pipeline.device)),
            "cores": os.cpu_count(),
            "threads": options.threads,
            "size": size,
            "held": carried,
            "rows": rows,
        }
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
