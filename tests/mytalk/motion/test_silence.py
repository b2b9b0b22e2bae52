"""The silence gate: shut in silence and in steady noise, open for speech, never flapping."""

from __future__ import annotations

import numpy as np

from mytalk.motion.silence import SilenceGate


def shares(levels: list[float], lookahead: int = 3) -> list[float]:
    gate = SilenceGate()
    gate.hear(np.array(levels, np.float32))
    return [gate.next(lookahead) for _ in levels]


def test_silence_stays_shut() -> None:
    assert max(shares([-90.0] * 50)) == 0


def test_speech_opens_before_it_starts_and_shuts_after() -> None:
    opened = shares([-80.0] * 20 + [-20.0] * 20 + [-80.0] * 30)
    assert opened[16] == 0
    assert opened[18] > 0
    assert opened[20] == 1
    assert min(opened[20:44]) == 1
    assert opened[-1] == 0


def test_steady_noise_shuts_again() -> None:
    assert shares([-38.0] * 1500)[-1] == 0


def test_a_pause_within_a_sentence_does_not_shut() -> None:
    assert min(shares([-20.0] * 10 + [-80.0] * 4 + [-20.0] * 10)[4:]) == 1
