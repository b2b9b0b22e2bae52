"""TCP and UDP ports of this machine."""

from __future__ import annotations

import socket
from pathlib import Path

from tests.streamer.support.waiting import eventually


def free_port() -> int:
    """A port of the loopback interface that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def listening(port: int, protocol: str) -> None:
    """Returns when a socket of ``protocol`` (tcp, udp) is bound to ``port``, on the evidence of /proc/net."""
    ending = f":{port:04X}"

    def bound() -> bool:
        lines = Path(f"/proc/net/{protocol}").read_text().splitlines()[1:]
        return any(line.split()[1].endswith(ending) for line in lines)

    await eventually(bound)
