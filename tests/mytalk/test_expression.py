"""Tests that a smile is read off a picture of somebody who smiles, and that a picture without a face is refused."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.clips import ASSETS
from mytalk.controls import Controls
from mytalk.controls.action_units import decode_units
from mytalk.errors import NoFaceError
from mytalk.expression import expression_of


def test_a_smile_is_read_off_a_picture_as_what_an_emotion_takes() -> None:
    text = expression_of(ASSETS / "astronaut.png")
    assert Controls(emotion=text).emotion == text
    units = decode_units(text)
    assert units.get(12, 0.0) > 0.3
    assert units.get(12, 0.0) > units.get(15, 0.0)


def test_a_picture_without_a_face_is_refused(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "grey.png"), np.full((128, 128, 3), 128, np.uint8))
    with pytest.raises(NoFaceError, match=r"grey\.png: no face found"):
        expression_of(tmp_path / "grey.png")
