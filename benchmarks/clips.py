"""Finds the film that time and memory are measured with: one of a real person, or one that is made."""

from __future__ import annotations

import hashlib
import tomllib
from dataclasses import dataclass
from fractions import Fraction
from importlib.resources import files
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

HERE = Path(__file__).parent
REAL = HERE.parents[1] / "shared" / "real"
"""Folder of the clips of clips.toml, beside the repository; a machine may have none."""

ASSETS = Path(str(files("mytalk") / "assets"))
SPEECH = ASSETS / "demo_speech.flac"

TIMED = "eval/wda_aoc_aligned.mp4"  # 8 s, 512 x 512, 25 fps: a woman who speaks to the camera
_SECONDS, _RATE, _SIDE = 8, 25, 512
_NOISE = 3.0  # standard deviation of a picture's noise, of 255: that of a phone's camera indoors


@dataclass(frozen=True)
class FilmToDub:
    """Holds a film, a speech that it did not say, and what they are."""

    clip: Path
    speech: Path
    what: str


def film_to_dub(clip: Path | None, folder: Path) -> FilmToDub:
    """Returns ``clip`` where it is given; else the clip of clips.toml that is timed, where this machine has it; else
    makes one in ``folder``."""
    if clip is not None:
        return FilmToDub(clip, SPEECH, clip.name)
    listed = {one["file"]: one for one in tomllib.loads((HERE / "clips.toml").read_text())["clip"]}
    real = REAL / TIMED
    if real.exists() and hashlib.sha256(real.read_bytes()).hexdigest() == listed[TIMED]["sha256"]:
        return FilmToDub(real, SPEECH, TIMED)
    return FilmToDub(moving_portrait(folder / "moving.mp4"), SPEECH, "a made clip: a portrait that moves, with noise")


def moving_portrait(path: Path) -> Path:
    """Films the embedded portrait with an unsteady hand: it sways, turns and comes nearer, its jaw moves, and every
    picture has its own noise. Nothing of the engine has a part in it: 8 s, 512 x 512, 25 fps."""
    portrait = cv2.imread(str(ASSETS / "astronaut.png"))
    portrait = cv2.resize(portrait, (_SIDE, _SIDE))
    noise = np.random.default_rng(0)
    with av.open(str(path), "w") as film:
        stream = film.add_stream("libx264", rate=Fraction(_RATE), options={"preset": "veryfast", "crf": "20"})
        stream.width = stream.height = _SIDE
        stream.pix_fmt = "yuv420p"
        for number in range(_SECONDS * _RATE):
            picture = _moved(portrait, number / _RATE).astype(np.float32)
            grain = noise.normal(0, _NOISE, picture.shape).astype(np.float32)
            frame = av.VideoFrame.from_ndarray(np.clip(picture + grain, 0, 255).astype(np.uint8), format="bgr24")
            film.mux(stream.encode(frame))
        film.mux(stream.encode(None))
    return path


def _moved(portrait: NDArray[np.uint8], time: float) -> NDArray[np.uint8]:
    """Moves the whole portrait, and within it the lower part of the face up and down, as a jaw does."""
    y, x = np.mgrid[0:_SIDE, 0:_SIDE].astype(np.float32)
    jaw = 3 * (1 + np.sin(2 * np.pi * 3.1 * time)) * np.exp(-(((x - 228) / 45) ** 2) - ((y - 154) / 22) ** 2)
    spoken = cv2.remap(portrait, x, y - jaw.astype(np.float32), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    sway, nod = 14 * np.sin(2 * np.pi * 0.31 * time), 9 * np.sin(2 * np.pi * 0.47 * time)
    turn, zoom = 4 * np.sin(2 * np.pi * 0.23 * time), 1.06 + 0.04 * np.sin(2 * np.pi * 0.17 * time)
    matrix = cv2.getRotationMatrix2D((225, 150), turn, zoom) + np.array([[0, 0, sway], [0, 0, nod]])
    return np.asarray(cv2.warpAffine(spoken, matrix, (_SIDE, _SIDE), borderMode=cv2.BORDER_REFLECT), np.uint8)
