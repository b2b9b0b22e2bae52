"""Runs what ``quality.py`` compares: a preset, and simple methods beside it, on one clip with one speech at a time."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np

from benchmarks.quality.table import OURS
from mytalk import Pipeline, StreamOptions
from mytalk.adaptation import Adaptation, heard_from, learn_own_speech
from mytalk.appearance.bank import CAPACITY
from mytalk.errors import NoSpeechError
from mytalk.evaluation.baselines import CopyRun, LoudnessRun, blurred
from mytalk.evaluation.closure import Bilabial, bilabials_beside
from mytalk.evaluation.engine import EngineRun, enrolment_of
from mytalk.evaluation.fidelity import Fidelity
from mytalk.evaluation.filmed import Filmed, Shapes, shapes_of
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
from mytalk.motion.own_speech import Correction
from mytalk.picture import Picture

ADAPTED = "adapted"
SYSTEMS = (OURS, ADAPTED, "cold", "copy", "blur", "loudness")
STRIP_SIDE = 256
RANGE = (0.75, 1.3)
"""Aperture deviation, ours over the true one, that passes for one person."""

Figures = dict[str, float]


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


def speech_of_clip(clip: Filmed) -> Speech:
    if clip.sound is None:
        raise NoSpeechError(f"{clip.film.path}: no sound in it (need a film that speaks)")
    aperture = clip.shapes.until(len(clip.sound) // FRAME_SAMPLES).aperture
    return Speech(clip.film.path, clip.sound, aperture, bilabials_beside(clip.film.path))


def speech_of_file(path: Path) -> Speech:
    sound = np.concatenate(list(SpeechReader(path).samples()))
    return Speech(path, sound, np.full(len(sound) // FRAME_SAMPLES, np.nan, np.float32), bilabials_beside(path))


def jobs_of(film: Filmed, following: Filmed | None, speeches: list[Speech], index: int) -> list[Job]:
    """Lists what a film is dubbed with: its own speech, the following film's, and one of the given ones in turn."""
    jobs = [Job(film, speech_of_clip(film), "own")]
    if following is not None:
        jobs.append(Job(film, speech_of_clip(following), "other"))
    if speeches:
        jobs.append(Job(film, speeches[index % len(speeches)], "speech"))
    return jobs


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
                figures = self._figures(job, name, run.requested, recorder.watch())
                if isinstance(run, EngineRun):
                    figures[f"{job.group}.asked.cpu_ms"] = 1000 * run.cpu_seconds / max(1, run.requested.frames)
                yield name, figures
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
        corrections = self._first_half(clip) if system == ADAPTED else None
        return EngineRun(
            self._pipeline, clip.film, sound, options, paired=paired, enrol=enrol, faces=faces, corrections=corrections
        )

    def _first_half(self, clip: Filmed) -> dict[int, Correction]:
        """Adapts to the first half of a clip's own speech; no corrections where that is refused."""
        if clip.sound is None:
            return {}
        half = len(clip.at) // 2
        sound = clip.sound[: clip.at[half]]
        model, profile = self._pipeline.motion, self._options.profile
        tracked = zip(clip.at[:half], clip.faces[:half], strict=True)
        return Adaptation(learn_own_speech(model, profile, tracked, heard_from(model, profile, sound))).corrections

    def _figures(self, job: Job, system: str, requested: RequestedMotion, viewed: Iterable[Pair]) -> Figures:
        motion, fidelity = MotionScores(job.paired), Fidelity(compare=job.paired)
        strip = Strip(compare=job.paired, side=STRIP_SIDE)
        for moment in watch(viewed):
            motion.push(moment)
            fidelity.push(moment)
            strip.push(moment, motion.mouth_lmd)
        if self._strips is not None:
            _draw(strip, self._strips / f"{job.name}--{system}.png")
        frames = motion.generated.frames
        conditions = Shapes(requested.curve(frames), requested.shapes(frames))
        figures: Figures = {}
        for stage, shapes in (("asked", conditions), ("seen", shapes_of(motion.generated, frames))):
            figures |= mouth_figures(job, stage, shapes)
        pictures = fidelity.scores()
        figures[f"{job.group}.seen.sharpness"] = pictures.get("sharpness", math.nan)
        figures[f"{job.group}.seen.flicker"] = pictures.get("mouth_flicker", math.nan)
        figures |= {
            f"{job.group}.seen.{key}": pictures[key] for key in ("psnr", "ssim", "mouth_psnr") if key in pictures
        }
        return figures


def mouth_figures(job: Job, stage: str, shapes: Shapes) -> Figures:
    """Scores a mouth over the whole clip and, with its own speech, over the second half alone: keys of ``stage``."""
    filmed, reference = job.clip.shapes, job.speech.reference
    if not job.paired:
        return {f"{job.group}.{stage}.{key}": value for key, value in other_speech(shapes, filmed, reference).items()}
    figures = {f"own.{stage}.{key}": value for key, value in own_speech(shapes, filmed, reference).items()}
    figures[f"own.{stage}.range_kept"] = float(
        RANGE[0] <= figures.get(f"own.{stage}.range_ratio", math.nan) <= RANGE[1]
    )
    half = len(shapes.aperture) // 2
    second = own_speech(shapes.since(half), filmed.since(half), reference.since(half))
    return figures | {f"own.{stage}.half.{key}": value for key, value in second.items()}


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
