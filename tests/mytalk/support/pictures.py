"""Writes pictures to files."""

from __future__ import annotations

from pathlib import Path

import cv2

from mytalk import Picture


def write_png(path: Path, picture: Picture) -> Path:
    """Writes a picture as PNG."""
    assert cv2.imwrite(str(path), cv2.cvtColor(picture.rgb(), cv2.COLOR_RGB2BGR))
    return path
