"""Measures whether the mouth closes at p, b and m in several languages: stage 1 alone, speech of known phones.

    python -m benchmarks.quality.languages [--languages en de...] [--weights edge] [--sentences 10] [--json FILE]

espeak-ng speaks sentences of ``mytalk/training/voices/texts``, drawn by a seed; the face is the embedded portrait. The
speech is synthetic, so phones are where it says and it sounds unlike people: languages compare with each other.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass
from importlib.resources import files
from itertools import pairwise
from pathlib import Path

import numpy as np

import mytalk
from mytalk import StreamOptions
from mytalk.evaluation.closure import Bilabial, closed_share
from mytalk.evaluation.first_stage import FirstStage, request_motion
from mytalk.face import Face, FaceTracker
from mytalk.media import open_face
from mytalk.media_time import FRAME_SAMPLES, MOTION_RATE
from mytalk.pipeline import Pipeline
from mytalk.presets import PROFILES
from mytalk.training.voices.catalogue import Voice
from mytalk.training.voices.corpus import requests
from mytalk.training.voices.sound import Spoken

LANGUAGES = {"en": "en-us", "de": "de", "es": "es", "fr": "fr", "it": "it", "zh": "cmn-latn-pinyin"}
"""Languages that there are texts in, and espeak-ng's names of them."""


@dataclass(frozen=True, slots=True)
class Row:
    """Holds one language."""

    seconds: float
    bilabials: int
    closed_at_bilabials: float


def bilabials_of(spoken: Spoken) -> list[Bilabial]:
    """Lists p, b and m of a sentence: from a frame before each to its end."""
    edges = [("", 0.0), *spoken.classes]
    spans = [(start, end, name) for (_, start), (name, end) in pairwise(edges)]
    return [
        Bilabial(round(start * MOTION_RATE) - 1, round(end * MOTION_RATE))
        for start, end, name in spans
        if name == "bilabial"
    ]


def score(pipeline: Pipeline, face: Face, voice: Voice, sentences: int, options: StreamOptions) -> Row:
    """Speaks and scores one language; each sentence is a session of its own."""
    seconds, counts, closed = 0.0, [], []
    for spoken in voice.speak(requests(voice, sentences, seed=7)):
        stage = FirstStage(pipeline.motion, pipeline.steps, options)
        frames = len(spoken.sound) // FRAME_SAMPLES
        tracked = [(index * FRAME_SAMPLES, face) for index in range(frames)]
        curve = request_motion(stage, tracked, spoken.sound, FRAME_SAMPLES).curve(frames)
        found = bilabials_of(spoken)
        seconds += frames / MOTION_RATE
        counts.append(len(found))
        closed.append(closed_share(curve, found))
    share = float(np.average(np.nan_to_num(closed), weights=counts)) if sum(counts) else float("nan")
    return Row(seconds, sum(counts), share)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", default="edge", help="preset or checkpoint folder (default: %(default)s)")
    parser.add_argument("--languages", nargs="+", default=list(LANGUAGES), choices=LANGUAGES, metavar="NAME")
    parser.add_argument("--sentences", type=int, default=10)
    parser.add_argument("--profile", default="balanced", choices=sorted(PROFILES))
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args()
    pipeline = mytalk.load(arguments.weights, device="cpu")
    tracker = FaceTracker()
    portrait = open_face(Path(str(files("mytalk"))) / "assets" / "astronaut.png")
    face = tracker(next(portrait.frames(endless=True)).picture)
    assert face is not None
    rows = {}
    print("language  seconds  p, b, m  closed at them")
    for language in arguments.languages:
        voice = Voice(f"espeak-{language}", "espeak-ng", LANGUAGES[language], language, "ipa", "espeak-ng")
        options = StreamOptions(profile=arguments.profile)
        one = rows[language] = score(pipeline, face, voice, arguments.sentences, options)
        print(f"{language:8}  {one.seconds:7.1f}  {one.bilabials:7d}  {one.closed_at_bilabials:14.0%}", flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps({name: asdict(row) for name, row in rows.items()}, indent=1))


if __name__ == "__main__":
    main()
