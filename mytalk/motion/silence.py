"""When nobody speaks: a level gate with hysteresis, so that the mouth rests in silence and does not twitch in noise."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

ABOVE_FLOOR = 9.0  # dB over the noise floor that count as speech
QUIETEST, LOUDEST_FLOOR = -75.0, -42.0  # dB of full scale between which the floor may lie
RISE = 0.06  # dB a frame by which the floor climbs towards steady noise
HOLD = 6  # frames after the last loud one in which the mouth may still move
OPENING, CLOSING = 0.5, 0.25  # of the way a frame


@dataclass(slots=True)
class SilenceGate:
    """Turns levels in dB into a share 0..1 of motion to keep, one a motion frame, in order."""

    floor: float = -60.0
    share: float = 0.0
    _loud: list[bool] = field(default_factory=list)

    def hear(self, levels: NDArray[np.float32]) -> None:
        """Levels of the next frames."""
        for level in levels:
            floor = self.floor + RISE if level > self.floor else float(level)
            self.floor = float(np.clip(floor, QUIETEST, LOUDEST_FLOOR))
            self._loud.append(bool(level > self.floor + ABOVE_FLOOR))

    def next(self, lookahead: int) -> float:
        """The share of the next frame; speech within ``lookahead`` frames opens already."""
        if not self._loud:
            return self.share
        target = 1.0 if any(self._loud[: self._behind + 1 + lookahead]) else 0.0
        self.share += float(np.clip(target - self.share, -CLOSING, OPENING))
        if self._behind == HOLD:
            self._loud.pop(0)
        else:
            self._behind += 1
        return self.share

    _behind: int = 0  # frames kept before the next one

    def forget(self) -> None:
        """Barge-in: what has been heard but not shown is gone."""
        del self._loud[self._behind :]
