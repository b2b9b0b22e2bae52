"""Does the watermark stay in a film, does it hide, and does an unmarked film ever read as marked?

    python -m benchmarks.quality.marking CLIPS --unmarked MORE_CLIPS --json FILE

Marks the face in the first seconds of each clip as `mytalk dub` marks what it draws (the clip's own mouth stays:
nothing is rendered), does to it what films go through, and reads it two seconds at a time. ``--unmarked`` films are
read as they are, and by ``--keys`` other layouts that nobody marked by. CPU time is that of the thread.
"""

from __future__ import annotations

import argparse
import io
import json
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import islice
from pathlib import Path
from shutil import copy
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from mytalk.face.pose import HeadPose, PoseFilter, fit_pose
from mytalk.face.speaker import SpeakerTracker
from mytalk.marking import Payload, Reading, Watermark, detector, read_watermark
from mytalk.marking.code import encode
from mytalk.marking.pattern import plane_of
from mytalk.media.video import VideoReader
from mytalk.picture import Picture, VideoFrame
from streamer.trust.credential import own_credential
from streamer.trust.manifest import FORMATS, MadeFilm, ManifestSigner

PAYLOAD = Payload.of("film", "benchmark")
LIVE = {"deadline": "realtime", "cpu-used": "6", "lag-in-frames": "0"}
BITRATE = 500_000
Attack = Callable[[list[VideoFrame]], list[VideoFrame]]


def encoded(codec: str, options: dict[str, str], bitrate: int | None = None, *, small: bool = False) -> Attack:
    """Encodes and decodes; ``small``: at half the size."""

    def attack(frames: list[VideoFrame]) -> list[VideoFrame]:
        first, file = frames[0].picture, io.BytesIO()
        width, height = (side // 4 * 2 if small else side for side in (first.width, first.height))
        with av.open(file, "w", format="matroska") as container:
            stream = container.add_stream(codec, rate=25, options=options)
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            if bitrate is not None:
                stream.bit_rate = bitrate
            for number, frame in enumerate(frames):
                picture = frame.picture.to_av()
                if small:
                    picture = picture.reformat(width=width, height=height)
                picture.pts, picture.time_base = number, Fraction(1, 25)
                container.mux(stream.encode(picture))
            container.mux(stream.encode(None))
        file.seek(0)
        with av.open(file) as container:
            decoded = list(container.decode(video=0))
        if small:
            decoded = [one.reformat(width=first.width, height=first.height) for one in decoded]
        return [replace(frame, picture=Picture.from_av(one)) for frame, one in zip(frames, decoded, strict=True)]

    return attack


ATTACKS: dict[str, Attack] = {
    "none": lambda frames: frames,
    "H264 crf 18, veryfast (mytalk dub)": encoded("libx264", {"preset": "veryfast", "crf": "18"}),
    "H264 crf 28, medium": encoded("libx264", {"preset": "medium", "crf": "28"}),
    "H264 crf 28, veryfast": encoded("libx264", {"preset": "veryfast", "crf": "28"}),
    "half the size and back, crf 18": encoded("libx264", {"preset": "veryfast", "crf": "18"}, small=True),
    "H264 live, 500 kbit/s": encoded("libx264", {"preset": "veryfast", "tune": "zerolatency"}, BITRATE),
    "VP8 live, 500 kbit/s": encoded("libvpx", LIVE, BITRATE),
    "VP8 live, 500 kbit/s, half the size": encoded("libvpx", LIVE, BITRATE, small=True),
}


@dataclass
class Tally:
    """Counts the windows of one attack."""

    windows: int = 0
    found: int = 0
    wrong: int = 0
    errors: list[float] = field(default_factory=list)  # bit error rates


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="*", type=Path)
    parser.add_argument("--unmarked", nargs="*", type=Path, default=[])
    parser.add_argument("--seconds", type=int, default=4, help="of each clip (default: %(default)s)")
    parser.add_argument("--keys", type=int, default=10, help="other layouts for each unmarked window")
    parser.add_argument("--sign", type=Path, help="a film whose signing is timed")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    result: dict[str, Any] = {}
    if arguments.clips:
        result |= measure_marked(arguments.clips, arguments.seconds)
    if arguments.unmarked:
        result["unmarked"] = measure_unmarked(arguments.unmarked, arguments.seconds, arguments.keys)
    if arguments.sign is not None:
        result["sign_ms"] = measure_signing(arguments.sign)
        print(f"signing {arguments.sign.name}: {result['sign_ms']:.0f} ms of CPU")
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(result, indent=1) + "\n")


def measure_marked(clips: Iterable[Path], seconds: int) -> dict[str, Any]:
    """Prints and returns detection by attack, and cost and PSNR by clip."""
    tallies = {name: Tally() for name in ATTACKS}
    costs: dict[str, dict[str, float]] = {}
    print(f"{'clip':<40} {'plane px':>8} {'ms a frame':>10} {'PSNR dB':>8}  found in a window, by attack")
    for clip in clips:
        frames = list(islice(_frames(clip), 25 * seconds))
        marked, row = _marked(frames)
        costs[clip.stem] = row
        shown = []
        for name, attack in ATTACKS.items():
            readings = list(_measured(attack(marked)))
            _count(tallies[name], readings)
            found = sum(reading.payload == PAYLOAD for reading, _ in readings)
            shown.append(f"{found}/{len(readings)}")
        print(
            f"{clip.stem:<40} {row['plane']:>8.0f} {row['ms']:>10.2f} {row['psnr']:>8.1f}  {' '.join(shown)}",
            flush=True,
        )
    print(f"\n{'attack':<40} {'windows':>8} {'found':>7} {'wrong':>6} {'bit errors':>10}")
    for name, tally in tallies.items():
        share, errors = tally.found / max(1, tally.windows), float(np.mean(tally.errors or [0.0]))
        print(f"{name:<40} {tally.windows:>8} {share:>7.0%} {tally.wrong:>6} {errors:>10.3f}")
    return {"clips": costs, "attacks": {name: vars(tally) for name, tally in tallies.items()}}


def measure_unmarked(clips: Iterable[Path], seconds: int, keys: int) -> dict[str, Any]:
    """Prints and returns what is read in films that were never marked, by this layout and by others."""
    random, agreements, alarms, tried = np.random.default_rng(0), [], 0, 0
    for clip in clips:
        measured: list[tuple[NDArray[np.complex64], ...]] = []
        whole = detector.measure

        def keep(*given: Any, kept: Any = measured, whole: Any = whole) -> Any:
            kept.append(whole(*given))
            return kept[-1]

        with patch.object(detector, "measure", keep):
            for reading in read_watermark(islice(_frames(clip), 25 * seconds)):
                agreements.append(reading.agreement)
                alarms += reading.payload is not None
        for signal, noise in measured:
            for _ in range(keys):
                signs = random.choice([-1, 1], signal.shape)
                alarms += detector.decode_bits(signal * signs, noise)[0] is not None
                tried += 1
    mean, deviation, most = np.mean(agreements), np.std(agreements), np.max(agreements)
    print(f"\nunmarked: {len(agreements)} windows, with other layouts {tried + len(agreements)}: {alarms} false alarms")
    print(f"agreement {mean:.3f} +- {deviation:.3f}, at most {most:.3f}; model: {detector.FALSE_ALARM:.1e} a window")
    return {"windows": len(agreements), "tried": tried, "alarms": alarms, "agreement": [mean, deviation, most]}


def measure_signing(film: Path) -> float:
    """Returns milliseconds of CPU for the manifest of a film whose source is that film."""
    with TemporaryDirectory() as folder:
        target = Path(folder) / f"film{film.suffix}"
        copy(film, target)
        assert target.suffix in FORMATS, "a container that carries its manifest"
        signer = ManifestSigner(own_credential(Path(folder)))
        signer.sign(target, MadeFilm(preset="edge", seed=0))  # loads the library
        copy(film, target)
        start = time.process_time()
        signer.sign(target, MadeFilm(preset="edge", seed=0, picture=film))
        return (time.process_time() - start) * 1e3


def _frames(clip: Path) -> Iterator[VideoFrame]:
    return VideoReader(clip).frames()


def _marked(frames: list[VideoFrame]) -> tuple[list[VideoFrame], dict[str, float]]:
    """Marks the face in pictures; returns them, and what it took."""
    tracker, poses, watermark = SpeakerTracker(), PoseFilter(), Watermark(PAYLOAD)
    marked, errors, took, sides = [], [], 0.0, []
    for frame in frames:
        face = tracker(frame.picture)
        if face is None:
            marked.append(frame)
            continue
        pose = poses(fit_pose(face), frame.at)
        start = time.thread_time()
        picture = watermark.mark(frame.picture, pose, frame.at)
        took += time.thread_time() - start
        marked.append(replace(frame, picture=picture))
        errors.append(_error(frame.picture, picture, pose))
        sides.append(np.sqrt(1 / abs(np.linalg.det(plane_of(pose)[:, :2]))) * 128)
    count = max(1, len(errors))
    psnr = 10 * np.log10(255**2 / np.mean(errors)) if errors else 0.0
    return marked, {"ms": took / count * 1e3, "psnr": float(psnr), "plane": float(np.mean(sides or [0.0]))}


def _error(before: Picture, after: Picture, pose: HeadPose) -> float:
    """Returns the mean squared error of luma inside the plane."""
    size = (before.width, before.height)
    inside = cv2.warpAffine(np.ones((128, 128), np.uint8), cv2.invertAffineTransform(plane_of(pose)), size) > 0
    return float(np.square(before.y[inside].astype(np.float32) - after.y[inside]).mean())


def _measured(frames: list[VideoFrame]) -> Iterator[tuple[Reading, float]]:
    """Yields readings of two seconds with their bit error rate."""
    errors: list[float] = []
    whole = detector.measure

    def keep(*given: Any) -> Any:
        signal, noise = whole(*given)
        bits = signal.sum(axis=1)
        soft = (bits * np.exp(-0.5j * np.angle(np.square(bits).sum()))).real
        wrong = float(np.mean(np.sign(soft) != encode(PAYLOAD.to_bits())))
        errors.append(min(wrong, 1 - wrong))
        return signal, noise

    with patch.object(detector, "measure", keep):
        readings = list(read_watermark(frames))
    for reading, error in zip(readings, errors, strict=True):
        if reading.last - reading.first <= detector.WINDOW_SECONDS:
            yield reading, error


def _count(tally: Tally, readings: Iterable[tuple[Reading, float]]) -> None:
    for reading, error in readings:
        tally.windows += 1
        tally.found += reading.payload == PAYLOAD
        tally.wrong += reading.payload not in (None, PAYLOAD)
        tally.errors.append(error)


if __name__ == "__main__":
    main()
