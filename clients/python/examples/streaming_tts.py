"""Words as a TTS makes them, piece by piece, and an interrupt in the middle: python streaming_tts.py [URL]"""

from __future__ import annotations

import asyncio
import math
import struct
import sys
from collections.abc import AsyncIterator

from mytalk_client import PlaybackFinished, PlaybackStarted, SpeechFormat, connect

RATE = 24_000


async def tts(seconds: float) -> AsyncIterator[bytes]:
    """A stand-in for a TTS: a hum in syllables, 100 ms at a time, faster than it is said."""
    for piece in range(int(seconds * 10)):
        moments = [(piece * RATE // 10 + i) / RATE for i in range(RATE // 10)]
        samples = [int(9_000 * math.sin(900 * t) * max(0.0, math.sin(25 * t))) for t in moments]
        yield struct.pack(f"<{len(samples)}h", *samples)
        await asyncio.sleep(0.02)


async def main(url: str) -> None:
    async with connect(url, speech=SpeechFormat(RATE)) as session:
        await session.say(tts(6), event_id="long story")
        async for event in session:
            if isinstance(event, PlaybackStarted):
                await asyncio.sleep(1)
                await session.interrupt()
            if isinstance(event, PlaybackFinished):
                print(f"heard {event.position / 16_000:.1f} s of it, interrupted: {event.interrupted}")
                if not event.interrupted:
                    return
                await session.say(tts(1), event_id="short answer")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:2] or ["http://localhost:8080"]))
