"""Running moments: those of what was heard, older sound fading, never those of what comes."""

from __future__ import annotations

import numpy as np
import torch
from torch.testing import assert_close

from mytalk.speech.running_stats import MEMORY, PRIOR, Moments, running_moments, speech_noise


def test_moments_are_those_heard_so_far() -> None:
    x = torch.randn(2, 30, 3, 64) * torch.rand(2, 30, 1, 1) + 0.3
    prior = torch.tensor([0.0, 0.1, 0.2]), torch.tensor([1.0, 2.0, 0.5])
    mean, variance = running_moments(x, Moments.empty(2, 3, x.device), prior)
    for last in (0, 7, 29):
        fade = torch.exp(-torch.arange(last, -1, -1) / MEMORY)
        total = (x[:, : last + 1].mean(-1) * fade[:, None]).sum(1) + PRIOR * prior[0]
        squares = (x[:, : last + 1].square().mean(-1) * fade[:, None]).sum(1) + PRIOR * (prior[1] + prior[0] ** 2)
        weight = fade.sum() + PRIOR
        assert_close(mean[:, last], total / weight)
        assert_close(variance[:, last], squares / weight - (total / weight) ** 2)


def test_chunks_do_not_change_moments() -> None:
    x = torch.randn(1, 24, 2, 64)
    prior = torch.zeros(2), torch.ones(2)
    moments = Moments.empty(1, 2, x.device)
    parts = [running_moments(part, moments, prior) for part in x.split(5, dim=1)]
    mean, variance = running_moments(x, Moments.empty(1, 2, x.device), prior)
    assert_close(torch.cat([part[0] for part in parts], dim=1), mean)
    assert_close(torch.cat([part[1] for part in parts], dim=1), variance)


def test_long_silence_is_not_blown_up_to_speech() -> None:
    moments = Moments.empty(1, 1, torch.device("cpu"))
    _, variance = running_moments(torch.zeros(1, 1500, 1, 640), moments, (torch.zeros(1), torch.ones(1)))
    assert 0.015 < float(variance[0, -1, 0]) < 0.025  # 17 dB under the prior, after a minute


def test_speech_noise_falls_off_above_500_hertz() -> None:
    noise = speech_noise(16_000).numpy()
    power = np.abs(np.fft.rfft(noise)) ** 2  # 1 Hz a bin
    assert abs(float(np.mean(noise**2)) - 1) < 1e-3
    octave = 10 * np.log10(power[1900:2100].mean() / power[3800:4200].mean())
    assert 7.5 < octave < 10.5
