"""Measures what an honest session feels while the server is attacked.

    python -m benchmarks.live.attacks [--only NAME ...] [--seconds 6] [--json FILE]

Each attack in turn against one ``mytalk serve`` on loopback, a process of its own. Beside it, in another process, an
honest camera and microphone publish by WHIP and a viewer watches by WHEP. Wanted, during each attack: no more than
100 ms without sound, 20 pictures a second, and the server's memory within 20 MB of what it was, within 20 s after it.

The first two lines have no attack, the second one more session. Attacker, server and honest peers share the machine's
cores, so the attacker runs at niceness 10, as if it had a machine of its own. ``own_ms`` is by how much the honest
process itself was late, at most; a gap contains it. ``loop`` is the processor time of the server's event loop alone, in
cores: beside that of ``none``, what the attack takes of it, whatever else the machine does. ``stalls`` counts what held
the loop for more than 20 ms, and names the place that did most often.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks.live.clients import loop_seconds
from benchmarks.live.hostile import by_http, by_packets, by_stream
from benchmarks.live.hostile.by_packets import Attack
from benchmarks.live.hostile.target import Target, memory_mb, open_files
from benchmarks.live.live_peers import processor_seconds, serving
from streamer.auth.api_keys import make_key, write_keys

MOST_GAP_MS, LEAST_PICTURES, MOST_GROWTH_MB = 100.0, 20.0, 20.0
SETTLE = 20.0  # seconds after an attack in which memory has to be back
CALM = 4.0  # seconds between two attacks


async def none(target: Target, seconds: float) -> str:
    """Does nothing."""
    await asyncio.sleep(seconds)
    return ""


ATTACKS: dict[str, Attack] = {
    attack.__name__: attack
    for attack in (
        none,
        by_stream.another_session,
        by_http.deflate_bomb,
        by_http.jpeg_scans,
        by_http.jpeg_at_the_limits,
        by_http.silent_connections,
        by_http.unfinished_uploads,
        by_http.offers_at_once,
        by_stream.silent_push,
        by_stream.timed_large,
        by_stream.timed_tiny,
        by_stream.pings_unread,
        by_stream.many_steps,
        by_packets.nack_flood,
        by_packets.sequence_jumps,
        by_packets.rgb_camera,
        by_packets.many_sources,
        by_packets.byes,
        by_packets.stun_malformed,
        by_packets.stun_of_strangers,
        by_packets.media_of_strangers,
    )
}


class HonestProcess:
    """Runs :mod:`benchmarks.live.hostile.honest`."""

    def __init__(self, process: asyncio.subprocess.Process, session: dict[str, Any]) -> None:
        self._process = process
        self.session = session

    async def felt(self) -> dict[str, Any]:
        """Returns what it received since the last call."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(b"\n")
        return dict(json.loads(await self._process.stdout.readline()))


@asynccontextmanager
async def honest_process(url: str, key: str) -> AsyncIterator[HonestProcess]:
    """Starts it and waits for its first pictures."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    command = [sys.executable, "-m", "benchmarks.live.hostile.honest", url, key]
    process = await asyncio.create_subprocess_exec(*command, **pipes, limit=1 << 20)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        line = await process.stdout.readline()
        if not line:
            raise SystemExit("the honest session did not begin")
        yield HonestProcess(process, json.loads(line))
    finally:
        process.stdin.close()
        await process.wait()


async def row(name: str, target: Target, honest: HonestProcess, seconds: float) -> dict[str, Any]:
    """Measures one attack."""
    await asyncio.sleep(CALM)
    stalls, memory, files = (
        await target.metrics("mytalk_loop_stalls_total"),
        memory_mb(target.pid),
        open_files(target.pid),
    )
    cpu, loop, began = processor_seconds(target.pid), loop_seconds(target.pid), time.monotonic()
    await honest.felt()
    try:
        outcome = await ATTACKS[name](target, seconds)
    except (RuntimeError, aiohttp.ClientError, TimeoutError, SystemExit) as error:
        outcome = f"{type(error).__name__}: {error}"
    felt, took = await honest.felt(), time.monotonic() - began
    used, on_loop = (processor_seconds(target.pid) - cpu) / took, (loop_seconds(target.pid) - loop) / took
    held = await target.metrics("mytalk_loop_stalls_total") - stalls
    most = held.most_common(1)
    until = time.monotonic() + SETTLE
    while memory_mb(target.pid) - memory > MOST_GROWTH_MB and time.monotonic() < until:  # noqa: ASYNC110
        await asyncio.sleep(0.5)
    growth = memory_mb(target.pid) - memory
    pictures = felt.pop("pictures")
    untouched = pictures.get("untouched", 0) / max(1, sum(pictures.values()))
    kept = (
        felt["sound_gap_ms"] < MOST_GAP_MS
        and felt["pictures_per_second"] >= LEAST_PICTURES
        and growth <= MOST_GROWTH_MB
    )
    return felt | {
        "attack": name,
        "kept": kept,
        "untouched_percent": 100 * untouched,
        "growth_mb": growth,
        "files": open_files(target.pid) - files,
        "server_cores": used,
        "loop_cores": on_loop,
        "stalls": held.total(),
        "stalled": most[0][0] if most else "",
        "outcome": outcome,
    }


def line(row: dict[str, Any]) -> str:
    """Writes one row of the table."""
    return (
        f"{row['attack']:20} {'yes' if row['kept'] else 'NO':4} {row['sound_gap_ms']:7.0f} {row['own_ms']:6.0f} "
        f"{row['pictures_per_second']:6.1f} {row['untouched_percent']:6.1f} {row['growth_mb']:7.1f} {row['files']:5} "
        f"{row['server_cores']:6.2f} {row['loop_cores']:5.2f} {row['stalls']:6} {row['stalled'][:48]:48} "
        f"{row['outcome']}"
    )


HEAD = f"{'attack':20} kept sound_ms own_ms pics/s untou% growMB files  cores  loop stalls {'most often at':48} outcome"


async def measure(url: str, pid: int, key: str, rtmp: str, names: list[str], seconds: float) -> list[dict[str, Any]]:
    """Measures the attacks of these names, and prints a row of each."""
    rows = []
    print(HEAD, flush=True)
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http,
        honest_process(url, key) as honest,
    ):
        target = Target(url.rstrip("/").replace("localhost", "127.0.0.1"), pid, key, honest.session, rtmp, http)
        os.nice(10)
        for name in names:
            rows.append(await row(name, target, honest, seconds))
            print(line(rows[-1]), flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", choices=ATTACKS, metavar="NAME", help=", ".join(ATTACKS))
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    names = options.only or list(ATTACKS)
    with tempfile.TemporaryDirectory() as folder, by_stream.silent_receiver() as receiver:
        keys = Path(folder) / "keys.json"
        key, secret = make_key("benchmark", ["admin"], 0, 0, 0)
        write_keys(keys, [key])
        rtmp = f"rtmp://127.0.0.1:{receiver.getsockname()[1]}/live/"
        with serving("--max-sessions", "8", "--keys", str(keys), "--push-to", rtmp) as (url, pid):
            rows = asyncio.run(measure(url, pid, secret, f"{rtmp}x", names, options.seconds))
    figures = {"machine": platform.machine(), "cores": os.cpu_count(), "rows": rows}
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
