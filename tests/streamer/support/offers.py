"""SDP offers: of a real peer, and with faults."""

from __future__ import annotations

import asyncio
import random

from tests.streamer.support.peers import Viewer


async def offer_of(*kinds: str, direction: str = "sendrecv") -> str:
    """The offer of a real peer with one transceiver of each of ``kinds``."""
    viewer = Viewer()
    for kind in kinds:
        viewer.connection.addTransceiver(kind, direction=direction)
    try:
        return await viewer.offer()
    finally:
        await viewer.close()


def damaged(lines: list[str], rng: random.Random) -> str:
    """An offer with one to three faults: a line gone, doubled, cut, moved, shuffled, or with other figures."""
    lines = list(lines)
    for _ in range(rng.randint(1, 3)):
        at, line = rng.randrange(len(lines)), rng.choice(lines)
        words = line.split(" ")
        rng.shuffle(words)
        cut = rng.randrange(len(line) + 1)
        faults = [
            [],
            [line, line],
            [line[:cut]],
            [line[:cut] + rng.choice(["-1", "99999999999", " ", "é", "\0"]) + line[cut:]],
        ]
        faults += [[" ".join(words)], ["".join(rng.choice("0123456789") if c.isdigit() else c for c in line)]]
        lines[at : at + 1] = rng.choice(faults)
    return "\r\n".join(lines) + "\r\n"


GOOD = asyncio.run(offer_of("audio", "video"))
