"""Draws a strip of frames: the face as it was, and the same face speaking. For looking at, and for README's picture.

    python -m benchmarks.quality.strip -o strip.jpg [--face IMAGE_OR_VIDEO] [--speech SPEECH] [--frames 8]

Under each frame stands its time in the film; the first is the picture as it came.
"""

from __future__ import annotations

import argparse
from importlib.resources import files
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

import mytalk
from mytalk import StreamOptions, VideoFrame
from mytalk.face import Face, FaceTracker
from mytalk.media import SpeechReader, open_face
from streamer.cpu import leave_some_to_others

ASSETS = Path(str(files("mytalk") / "assets"))
SIDE = 240


def close_up(frame: VideoFrame, face: Face) -> NDArray[np.uint8]:
    """Crops the face with some room around it, square."""
    x0, y0, x1, y1 = face.box
    half = 0.62 * max(x1 - x0, y1 - y0)
    x, y = (x0 + x1) / 2, (y0 + y1) / 2 + 0.05 * half
    box = frame.picture.even_box((int(x - half), int(y - half), int(x + half), int(y + half)))
    return np.asarray(cv2.resize(frame.picture.region_rgb(box), (SIDE, SIDE), interpolation=cv2.INTER_CUBIC), np.uint8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--face", type=Path, default=ASSETS / "astronaut.png")
    parser.add_argument("--speech", type=Path, default=ASSETS / "demo_speech.flac")
    parser.add_argument("--frames", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--preset", default="edge")
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    leave_some_to_others()
    pipeline, source = mytalk.load(arguments.preset), open_face(arguments.face)
    speech = np.concatenate(list(SpeechReader(arguments.speech).samples()))
    count = int(arguments.seconds * 25)
    frames = [frame for frame, _ in zip(source.frames(endless=True), range(count), strict=False)]
    dubbed = list(pipeline.dub(frames, speech, StreamOptions(still=source.still)))
    tracker = FaceTracker()
    shown = [frames[0], *(dubbed[int(i)] for i in np.linspace(0, len(dubbed) - 1, arguments.frames + 1)[1:])]
    cells = []
    for index, frame in enumerate(shown):
        face = tracker(frame.picture)
        if face is None:
            continue
        cell = close_up(frame, face)
        label = "source" if index == 0 else f"{frame.at / 16000:.2f} s"
        cv2.putText(cell, label, (8, SIDE - 10), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 255, 255), 1, cv2.LINE_AA)
        cells.append(cell)
    columns = -(-len(cells) // 2) if len(cells) > 5 else len(cells)
    cells += [np.zeros_like(cells[0])] * (-len(cells) % columns)
    rows = [np.hstack(cells[i : i + columns]) for i in range(0, len(cells), columns)]
    cv2.imwrite(str(arguments.output), cv2.cvtColor(np.vstack(rows), cv2.COLOR_RGB2BGR))
    print(f"{arguments.output}: {len(cells)} frames")


if __name__ == "__main__":
    main()
