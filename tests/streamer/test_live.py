"""A real WebRTC peer, over loopback, against the server with fake models."""

from __future__ import annotations

import numpy as np
from fakes import MARK, Camera, Client, Microphone, babble, call, number_of


def lag_and_likeness(sent: np.ndarray, heard: np.ndarray) -> tuple[int, float]:
    """Where ``sent`` (48 kHz) begins in ``heard``, in samples, and the correlation there."""
    size = 1 << (len(sent) + len(heard) - 1).bit_length()
    a, b = sent.astype(float), heard.astype(float)
    cross = np.fft.irfft(np.fft.rfft(b, size) * np.conj(np.fft.rfft(a, size)), size)[: len(heard)]
    lag = int(np.argmax(cross))
    part = b[lag : lag + len(a)]
    return lag, float(np.corrcoef(part, a[: len(part)])[0, 1])


def is_dubbed(rgb: np.ndarray) -> bool:
    x0, y0, x1, y1 = MARK
    return bool(rgb[y0 + 8 : y1 - 8, x0 + 8 : x1 - 8].mean() > 225)


async def test_camera_and_speech_come_back_dubbed(client: Client) -> None:
    speech = babble(2.0)
    async with call(client, Microphone(speech), Camera()) as (session, viewer):
        await viewer.until(pictures=50, sounds=170)
        state = await client.state(session)
    assert state["state"] == "live"
    pictures = [frame.to_ndarray(format="rgb24") for _, frame in viewer.pictures]
    assert all(is_dubbed(picture) for picture in pictures)
    numbers = [number_of(picture) for picture in pictures]
    assert numbers == sorted(numbers)
    assert len(set(numbers)) > 40
    _, likeness = lag_and_likeness(speech, viewer.heard())
    assert likeness > 0.95
