"""Whether anybody speaks: WebRTC's voice activity detector."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mytalk.errors import OptionError
from mytalk.media_time import SAMPLE_RATE

ENOUGH = 0.2
"""Share of a clip that must be voice. Pauses are wanted: they teach the mouth to rest."""

_WINDOW = SAMPLE_RATE * 30 // 1000  # samples; the detector takes 10, 20 or 30 ms
_STRICTNESS = 2  # 0 to 3; 3 loses soft speech
_LOUD = 0.1  # root mean square to which a recording is brought: the detector is deaf below -50 dB or so
_FAINTEST = 1e-4  # root mean square below which there is nothing to bring up


def is_speech(sound: NDArray[np.float32]) -> bool:
    return voiced_share(sound) >= ENOUGH


def voiced_share(sound: NDArray[np.float32]) -> float:
    """Share of 16 kHz ``sound`` that is voice, at any level. Raises OptionError where the detector is not installed."""
    try:
        import webrtcvad  # type: ignore[import-untyped]
    except ImportError as error:
        raise OptionError("webrtcvad is not installed: pip install 'mytalk-streamer[train]'") from error
    level = float(np.sqrt(np.mean(sound**2))) if len(sound) else 0.0
    if level < _FAINTEST:
        return 0.0
    whole = np.clip(np.rint(sound * (_LOUD / level) * 32767), -32768, 32767).astype("<i2")
    detector = webrtcvad.Vad(_STRICTNESS)
    windows = whole[: len(whole) // _WINDOW * _WINDOW].reshape(-1, _WINDOW)
    return float(np.mean([detector.is_speech(window.tobytes(), SAMPLE_RATE) for window in windows] or [0.0]))
