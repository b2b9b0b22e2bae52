"""Measures whether a preset syncs and looks right: every figure that it is meant to reach, and three tricks beside
it.

    python -m benchmarks.quality.quality CLIP... [--speech WAV...] [--preset edge] [--profile balanced] [--json FILE]
        [--strips FOLDER] [--systems ours cold copy blur loudness] [--no-speed]

Each clip is dubbed with its own speech, with that of the next clip, and with one of the ``--speech`` files in turn
(give other languages). Motion is scored twice: on the landmarks that stage 1 gives, and on landmarks tracked again in
the film, encoded to H264 and decoded as a viewer gets it; the second one counts. Then stage 2 alone paints the clip at
its true landmarks. The first 3 s enrol the speaker (1.5 s of a clip up to 4 s, dubbed with its own speech), and their
pictures are not compared; with its own speech no mouth is learned after them. Give clips that nothing was trained on.

    ours       the preset, enrolled
    cold       the same, knowing nothing of the person to begin with: one reference mouth, and a range not yet known
    copy       the film as it is. Perfect while it says what it said; see "with the own film" in unpaired speech
    blur       ours with a soft mouth. See sharpness; with grain on it, that may look right, and "detail" does not
    loudness   a mouth as far open as the sound is loud, at the person's range, painted by stage 2. See the correlation

"Hearing noise" gives stage 1 a steady noise instead of the speech: a mouth that follows the film all the same is read
off the filmed cheeks and nose, and would follow them in any speech.

Images among the clips are portraits: they say each ``--speech`` file, are drawn by ``--strips``, and have a table of
their own. Strips are 8 frames of the encoded film: true (the source, in unpaired speech), ours, and in own speech the
difference x 4. The CPU time (``throughput.py``) says something on an idle machine only; ``--no-speed`` leaves it out.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from tqdm import tqdm

import mytalk
from benchmarks.quality.table import OURS, by_clip, summary
from mytalk import Pipeline, StreamOptions
from mytalk.appearance.bank import CAPACITY
from mytalk.errors import NoSpeechError, OptionError
from mytalk.evaluation.baselines import CopyRun, LoudnessRun, blurred
from mytalk.evaluation.closure import Bilabial, bilabials_beside
from mytalk.evaluation.engine import EngineRun, enrolment_of
from mytalk.evaluation.fidelity import Fidelity
from mytalk.evaluation.filmed import Filmed, Shapes, shapes_of, track_film
from mytalk.evaluation.first_stage import FirstStage, RequestedMotion, request_motion, steady_noise
from mytalk.evaluation.moment import Pair, watch
from mytalk.evaluation.motion import MotionScores, SpeechReference
from mytalk.evaluation.speaking import other_speech, own_speech
from mytalk.evaluation.strips import Strip
from mytalk.evaluation.sync import Curve, correlation
from mytalk.evaluation.true_landmarks import Finish, score_pixels
from mytalk.evaluation.viewed import EncodedFilm
from mytalk.face import Face
from mytalk.media import SpeechReader
from mytalk.media_time import FRAME_SAMPLES
from mytalk.picture import Picture
from mytalk.presets import PROFILES

SYSTEMS = (OURS, "cold", "copy", "blur", "loudness")
STRIP_SIDE = 256


@dataclass(frozen=True, slots=True)
class Speech:
    """Holds what a clip is made to say. ``aperture`` is its speaker's, at 25 Hz; all NaN where it was not filmed."""

    path: Path
    sound: Curve  # 16 kHz
    aperture: Curve
    bilabials: list[Bilabial] | None

    @property
    def reference(self) -> SpeechReference:
        return SpeechReference(self.sound, self.aperture, self.bilabials)


@dataclass(frozen=True, slots=True)
class Job:
    """Holds one clip with one speech. ``group`` is the first word of its figures' keys."""

    clip: Filmed
    speech: Speech
    group: str

    @property
    def paired(self) -> bool:
        return self.group == "own"

    @property
    def name(self) -> str:
        return f"{self.clip.name}--{'own' if self.paired else self.speech.path.stem}"


Figures = dict[str, float]
Scores = dict[str, dict[str, Figures]]  # system, clip, figure


def speech_of_clip(clip: Filmed) -> Speech:
    if clip.sound is None:
        raise NoSpeechError(f"{clip.film.path}: no sound in it (need a film that speaks)")
    aperture = clip.shapes.until(len(clip.sound) // FRAME_SAMPLES).aperture
    return Speech(clip.film.path, clip.sound, aperture, bilabials_beside(clip.film.path))


def speech_of_file(path: Path) -> Speech:
    sound = np.concatenate(list(SpeechReader(path).samples()))
    return Speech(path, sound, np.full(len(sound) // FRAME_SAMPLES, np.nan, np.float32), bilabials_beside(path))


def jobs_of(films: list[Filmed], portraits: list[Filmed], speeches: list[Speech]) -> list[Job]:
    """Lists what is dubbed with what, in order."""
    own = [speech_of_clip(film) for film in films]
    jobs = [Job(film, speech, "own") for film, speech in zip(films, own, strict=True)]
    if len(films) > 1:
        jobs += [Job(film, speech, "other") for film, speech in zip(films, [*own[1:], own[0]], strict=True)]
    if speeches:
        jobs += [Job(film, speeches[index % len(speeches)], "speech") for index, film in enumerate(films)]
    return jobs + [Job(portrait, speech, "speech") for portrait in portraits for speech in speeches]


class Bench:
    """Holds one preset with everything that it is scored on and beside."""

    def __init__(self, pipeline: Pipeline, options: StreamOptions, systems: list[str], strips: Path | None) -> None:
        self._pipeline, self._options, self._systems, self._strips = pipeline, options, systems, strips

    def run(self, job: Job) -> Iterator[tuple[str, Figures]]:
        """Computes each system's figures of one job."""
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            for system in self._systems:
                if system == "blur" and OURS in self._systems:
                    continue  # made along with ours
                yield from self._made(job, system, folder)

    def noise_following(self, clip: Filmed) -> Figures:
        """Measures how far ours follows the filmed mouth on a steady noise: what it reads off the face."""
        enrolment = enrolment_of(clip.film, paired=True)
        stage = FirstStage(self._pipeline.motion, self._pipeline.steps, self._options)
        noise = steady_noise(clip.at[-1] + stage.latency + FRAME_SAMPLES)
        requested = request_motion(stage, zip(clip.at, clip.faces, strict=True), noise, enrolment)
        aperture = clip.shapes.aperture
        return {"own.asked.deaf": correlation(requested.curve(len(aperture)), aperture)}

    def pixels(self, clip: Filmed) -> Iterator[tuple[str, Figures]]:
        """Scores stage 2 alone, at the true landmarks. Following loudness has no pixels of its own."""
        finishes: dict[str, Finish | None] = {OURS: None, "cold": None, "copy": _copy, "blur": _blur}
        enrolment = enrolment_of(clip.film, paired=True)
        for system in (name for name in self._systems if name in finishes):
            frames = zip(clip.film.frames(), clip.faces_in_order(), strict=False)
            model, finish = self._pipeline.appearance, finishes[system]
            mouths = 1 if system == "cold" else CAPACITY
            score = score_pixels(frames, model, enrolment, mouths=mouths, finish=finish)
            if score is not None:
                yield system, {f"pixels.{key}": float(value) for key, value in asdict(score).items()}

    def _made(self, job: Job, system: str, folder: Path) -> Iterator[tuple[str, Figures]]:
        """Runs a system once; the blurred one is made of our pictures on the way."""
        run = self._engine(job, system)
        names = [system, *(["blur"] if system == OURS and "blur" in self._systems else [])]
        recorders = [EncodedFilm(folder / f"{name}.mp4", job.clip.film, job.speech.path) for name in names]
        try:
            for pair in run:
                for name, recorder in zip(names, recorders, strict=True):
                    recorder.add(_softened(pair) if name == "blur" else pair)
            for name, recorder in zip(names, recorders, strict=True):
                yield name, self._figures(job, name, run.requested, recorder.watch())
        finally:
            for recorder in recorders:
                recorder.__exit__()

    def _engine(self, job: Job, system: str) -> EngineRun | CopyRun | LoudnessRun:
        clip, sound, paired = job.clip, job.speech.sound, job.paired
        if system == "copy":
            return CopyRun(clip, sound, paired=paired)
        if system == "loudness":
            return LoudnessRun(self._pipeline, clip, sound, paired=paired)
        options = StreamOptions(**{**asdict(self._options), "still": clip.film.still})
        faces, enrol = clip.faces_in_order(), system != "cold"
        return EngineRun(self._pipeline, clip.film, sound, options, paired=paired, enrol=enrol, faces=faces)

    def _figures(self, job: Job, system: str, requested: RequestedMotion, viewed: Iterable[Pair]) -> Figures:
        motion, fidelity = MotionScores(job.paired), Fidelity(compare=False)
        strip = Strip(compare=job.paired, side=STRIP_SIDE)
        for moment in watch(viewed):
            motion.push(moment)
            fidelity.push(moment)
            strip.push(moment, motion.mouth_lmd)
        if self._strips is not None:
            _draw(strip, self._strips / f"{job.name}--{system}.png")
        frames = motion.generated.frames
        score = own_speech if job.paired else other_speech
        figures: Figures = {}
        conditions = Shapes(requested.curve(frames), requested.shapes(frames))
        for stage, shapes in (("asked", conditions), ("seen", shapes_of(motion.generated, frames))):
            scores = score(shapes, job.clip.shapes, job.speech.reference)
            figures |= {f"{job.group}.{stage}.{key}": value for key, value in scores.items()}
        pictures = fidelity.scores()
        figures[f"{job.group}.seen.sharpness"] = pictures.get("sharpness", math.nan)
        figures[f"{job.group}.seen.flicker"] = pictures.get("mouth_flicker", math.nan)
        return figures


def _softened(pair: Pair) -> Pair:
    if pair.face is None:
        return pair
    generated = pair.generated
    soft = blurred(generated.picture, pair.face)
    return Pair(
        pair.true, type(generated)(soft, generated.at, generated.pts, generated.time_base), pair.face, pair.scored
    )


def _copy(filmed: Picture, rendered: Picture, face: Face) -> Picture:
    return filmed


def _blur(filmed: Picture, rendered: Picture, face: Face) -> Picture:
    return blurred(rendered, face)


def _draw(strip: Strip, path: Path) -> None:
    """Draws the evenly spread frames side by side."""
    columns = [cv2.imdecode(np.frombuffer(cell.jpeg, np.uint8), cv2.IMREAD_COLOR) for cell in strip.even]
    if columns:
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), np.hstack(columns))


def speed(preset: str) -> Figures:
    """Runs ``throughput.py`` in a process of its own: all cores, and no memory but its own."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "throughput.json"
        script = Path(__file__).with_name("throughput.py")
        command = [sys.executable, str(script), "--preset", preset, "--device", "cpu", "--json", str(out)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        written = json.loads(out.read_text())
    return {f"speed.{key}": float(written[key]) for key in ("cpu_ms", "whole_ms")}


def _files(paths: Iterable[Path]) -> list[Path]:
    """Lists the paths, and in place of a folder what is in it."""
    return [one for path in paths for one in (sorted(path.iterdir()) if path.is_dir() else [path])]


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "clips", nargs="+", type=Path, metavar="CLIP", help="films of talking faces, portraits, folders of them"
    )
    parser.add_argument("--speech", nargs="+", type=Path, default=[], metavar="WAV", help="other languages' speech")
    parser.add_argument("--preset", default="edge", help="preset or checkpoint folder (default: %(default)s)")
    parser.add_argument("--profile", default="balanced", choices=sorted(PROFILES))
    parser.add_argument("--steps", type=int, default=None, help="diffusion steps (default: the preset's)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--systems", nargs="+", default=list(SYSTEMS), choices=SYSTEMS, metavar="NAME")
    parser.add_argument("--no-speed", action="store_true", help="do not measure CPU time")
    parser.add_argument("--json", type=Path, default=None, help="write every figure of every clip here")
    parser.add_argument("--strips", type=Path, default=None, help="folder for pictures")
    return parser.parse_args()


def main() -> None:
    arguments = parse_arguments()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    pipeline = mytalk.load(arguments.preset, device="cpu")
    options = StreamOptions(seed=arguments.seed, steps=arguments.steps, profile=arguments.profile)
    clips = [track_film(path) for path in tqdm(_files(arguments.clips), "looking through", unit="clip")]
    films, portraits = [c for c in clips if not c.film.still], [c for c in clips if c.film.still]
    speeches = [speech_of_file(path) for path in _files(arguments.speech)]
    if portraits and not speeches:
        raise OptionError(f"{portraits[0].film.path}: a portrait says nothing of its own (need --speech WAV)")
    bench = Bench(pipeline, options, arguments.systems, arguments.strips)
    names = [name for name in SYSTEMS if name in arguments.systems]
    scores: Scores = {name: {film.name: {} for film in films} for name in names}
    drawn: Scores = {name: {} for name in names}
    steps = options.steps or pipeline.steps

    def save() -> None:
        """After each film: a long run that is stopped has lost little."""
        if arguments.json is not None:
            written = {"machine": platform.platform(), "options": asdict(options), "steps": steps}
            tables = {"clips": plain(scores), "portraits": plain(drawn)}
            arguments.json.write_text(json.dumps({**written, **tables}, indent=1, allow_nan=False) + "\n")

    for job in tqdm(jobs_of(films, portraits, speeches), "dubbing", unit="film"):
        for name, figures in bench.run(job):
            table = drawn[name].setdefault(job.name, {}) if job.clip.film.still else scores[name][job.clip.name]
            table.update(figures)
        save()
    for film in tqdm(films, "painting", unit="clip"):
        for name, figures in bench.pixels(film):
            scores[name][film.name].update(figures)
        if OURS in names:
            scores[OURS][film.name].update(bench.noise_following(film))
        save()
    if not arguments.no_speed and OURS in names and films:
        scores[OURS]["(throughput.py)"] = speed(arguments.preset)
    print(f"{platform.machine()}, preset {pipeline.preset.name}, profile {options.profile}, {steps} steps\n")
    print(report(scores, drawn))
    save()


def report(scores: Scores, drawn: Scores) -> str:
    parts = [summary(scores)] if any(scores.values()) else []
    for title, tables in (("", scores), ("portraits, ", drawn)):
        parts += [f"{title}{name}, clip by clip\n{by_clip(clips)}" for name, clips in tables.items() if clips]
    return "\n\n".join(parts)


def plain(scores: Scores) -> dict[str, dict[str, dict[str, float | str | None]]]:
    """Converts for JSON: a figure that is not known is null, an infinite one the string "inf"."""

    def one(value: float) -> float | str | None:
        return None if math.isnan(value) else "inf" if math.isinf(value) else value

    return {
        name: {clip: {key: one(value) for key, value in figures.items()} for clip, figures in clips.items()}
        for name, clips in scores.items()
    }


if __name__ == "__main__":
    main()
