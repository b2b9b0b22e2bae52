"""Sends a container's bytes to a URL: :mod:`streamer.outputs.push_process` starts it with pipes to it.

    python -m streamer.outputs.push_worker

Standard input has the URL in its first line, then the bytes (FLV for RTMP, MPEG-TS for SRT); none of them is changed.
Standard error gets ``CONNECTED`` once the receiver has accepted, and the reason of an early end. FFmpeg waits for a
receiver without regard to its own timeouts, so an alarm of the system ends the process where a wait takes too long.
"""

from __future__ import annotations

import signal
import sys
from typing import Any

import av
import av.logging

CONNECTED = "connected"

CONNECT_TIMEOUT = 5
"""Seconds in which the receiver must have accepted."""

WRITE_TIMEOUT = 10
"""Seconds in which the receiver must have taken a piece: longer than the server lets media wait for it."""

_PIECE = 7 * 188  # bytes: a datagram of SRT holds whole packets of MPEG-TS. RTMP may be cut anywhere.


def main() -> int:
    """Sends until the input ends; returns the exit status."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # ends the process also while FFmpeg does not come back
    av.logging.set_level(None)  # FFmpeg's log names the URL
    source = sys.stdin.buffer
    url = source.readline().decode().rstrip("\n")
    try:
        signal.alarm(CONNECT_TIMEOUT)
        with av.open(url, "w", format="data", options={"flush_packets": "1"}) as receiver:
            stream: Any = receiver.add_data_stream()
            receiver.start_encoding()
            signal.alarm(0)
            print(CONNECTED, file=sys.stderr, flush=True)
            count = 0
            while piece := source.read(_PIECE):
                packet: Any = av.Packet(piece)
                packet.stream, packet.pts, packet.dts = stream, count, count
                signal.alarm(WRITE_TIMEOUT)
                receiver.mux(packet)
                signal.alarm(0)
                count += 1
            signal.alarm(WRITE_TIMEOUT)
    except av.FFmpegError as error:
        print(error.strerror, file=sys.stderr)  # without the URL, which the error's whole text names
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
