"""Makes mouths for tests of controls: a face that opens by its jaw, at given apertures."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mytalk.controls.mouth import Mouth
from mytalk.face.landmarks import CORNERS, LOWER_FACE, LOWER_LIPS_INNER, TEMPLATE
from mytalk.media_time import FRAME_SAMPLES
from mytalk.motion.space import Opening


class JawOpening(Opening):
    """Opens the lips by moving everything below them down."""

    def direction(self) -> NDArray[np.float32]:
        face = TEMPLATE[list(LOWER_FACE)]
        down = np.zeros((169, 3), np.float32)
        down[:, 1] = np.clip((face[:, 1] - face[list(LOWER_LIPS_INNER), 1].mean()) * 20, -0.5, 1)
        return down


SPACE = JawOpening()
REST = SPACE.closed(TEMPLATE[list(LOWER_FACE)])


def mouth_of(gap: float, frame: int = 0, *, voice: float = 1.0) -> Mouth:
    """Returns a mouth of an aperture at a motion frame."""
    return Mouth(SPACE.opened(REST, gap), REST, voice=voice, at=frame * FRAME_SAMPLES, space=SPACE)


def spoken(frames: int = 100) -> list[Mouth]:
    """Returns mouths that open and close several times, closed at some frames."""
    gaps = np.maximum(0.12 + 0.13 * np.sin(np.arange(frames) * 0.7) + 0.05 * np.sin(np.arange(frames) * 0.23), 0)
    return [mouth_of(float(gap), frame) for frame, gap in enumerate(gaps)]


def width(lower: NDArray[np.float32]) -> float:
    """Measures a mouth's width between its corners."""
    return float(np.linalg.norm(lower[CORNERS[1], :2] - lower[CORNERS[0], :2]))


def corner_height(lower: NDArray[np.float32]) -> float:
    """Measures how far the corners lie above the lips' middle."""
    return float(lower[:40, 1].mean() - lower[list(CORNERS), 1].mean())
