"""Defines the cubic step that masks, eyelids and the jaw's limit come in by."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Share = TypeVar("Share", float, NDArray[np.float32], NDArray[np.float64])


def smoothstep(share: Share) -> Share:
    """Maps 0..1 to 0..1 by the cubic ``3 x^2 - 2 x^3``, level at both ends.

    >>> smoothstep(0.0), smoothstep(0.5), smoothstep(1.0)
    (0.0, 0.5, 1.0)
    """
    return share * share * (3 - 2 * share)
