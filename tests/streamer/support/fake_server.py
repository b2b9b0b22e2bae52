"""A server with fake models in a process of its own, which a test may stop and continue.

    python -m tests.streamer.support.fake_server PORTRAIT SPEECH

It says where it serves, as ``mytalk serve`` does, and ends at SIGTERM or SIGINT.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

from streamer.config.server_config import ServerConfig
from streamer.http.server import running
from tests.streamer.support.fake_models import FakeModels


async def main(portrait: Path, speech: Path) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    config = ServerConfig(port=0, portrait=portrait, demo_speech=speech, max_sessions=2)
    async with running(config, FakeModels) as server:
        await server.loading
        print(f"Serving at {server.url}", flush=True)
        await stopped.wait()


if __name__ == "__main__":
    asyncio.run(main(*map(Path, sys.argv[1:])))
