"""A broadcast that encodes given pictures."""

from __future__ import annotations

import asyncio
from fractions import Fraction

from mytalk.media_time import to_samples
from mytalk.picture import Picture, VideoFrame
from streamer.webrtc.broadcast import Broadcast
from tests.streamer.support.pictures import numbered
from tests.streamer.support.waiting import eventually


async def encoded_of(broadcast: Broadcast, given: list[int]) -> list[int]:
    """Small pictures with these timestamps (90 kHz), each encoded before the next comes; gives their media times."""
    encoding, ats = asyncio.create_task(broadcast.run()), []
    for index, pts in enumerate(given):
        at = to_samples(pts, Fraction(1, 90_000)) + 12_345  # the track began that long after the session
        broadcast.picture(VideoFrame(Picture.from_rgb(numbered(index, 96)), at, pts, Fraction(1, 90_000)))
        await eventually(lambda: broadcast.encoded == len(ats) + 1)
        ats.append(at)
    encoding.cancel()
    await asyncio.gather(encoding, return_exceptions=True)
    return ats
