"""Sends a push by SRT, which the FFmpeg in PyAV's wheel does not speak, through an ``ffmpeg`` on the PATH.

The program takes the MPEG-TS from a pipe and changes none of its bytes: seven packets of 188 make a datagram.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from urllib.parse import parse_qsl, urlencode

import av

from streamer.errors import RequestError
from streamer.outputs.sender import environment

log = logging.getLogger(__name__)

_URL = re.compile(r"(srt://(?:\[[0-9a-fA-F:.]+\]|[0-9A-Za-z._-]+):([0-9]{1,5}))/?(?:\?(.*))?")
_SECRET = ("passphrase", "streamid")
_PLAIN = ("latency", "pbkeylen")
_KNOWN = (*_SECRET, *_PLAIN, "mode")
_QUIET = ("-hide_banner", "-nostats", "-loglevel", "error")
_EXAMINE = 5.0  # seconds that looking at a program may take
_COPY = ("-f", "data", "-raw_packet_size", "1316", "-i", "pipe:0", "-map", "0", "-c", "copy", "-f", "data")


@dataclass(frozen=True, slots=True)
class Receiver:
    """Names the receiver of a push. ``address`` holds no secret."""

    address: str
    passphrase: str | None = None
    stream_id: str | None = None


@dataclass(frozen=True, slots=True)
class Program:
    """Names an ``ffmpeg`` that speaks SRT. ``hides_secrets``: such a one takes secrets from a file; others show them
    among the arguments of its process, which everybody on the machine can read."""

    path: str
    hides_secrets: bool


def read_url(url: str) -> Receiver:
    """Reads ``srt://HOST:PORT?streamid=...&passphrase=...``, with FFmpeg's names and units (latency in microseconds).

    Raises ``RequestError``. The mode is always caller: other modes would open a port of this machine.
    """
    found = _URL.fullmatch(url)
    if found is None or not 0 < int(found[2]) < 65536:
        raise RequestError("push is no URL of SRT (need srt://HOST:PORT?streamid=...)")
    options = dict(parse_qsl(found[3] or "", keep_blank_values=True))
    for name in options:
        if name not in _KNOWN:
            raise RequestError(f"push has an option {name[:40]!r} (SRT's may be {', '.join(_KNOWN)})")
    if options.get("mode", "caller") != "caller":
        raise RequestError("push cannot wait for its receiver (need SRT's mode caller, or none)")
    if not all(re.fullmatch("[0-9]{1,9}", options[name]) for name in _PLAIN if name in options):
        raise RequestError(f"push has an option that is no whole number ({' and '.join(_PLAIN)} need one)")
    passphrase, stream_id = options.get("passphrase"), options.get("streamid")
    if passphrase is not None and not 10 <= len(passphrase) <= 79:
        raise RequestError(f"push has a passphrase of {len(passphrase)} characters (SRT needs 10 to 79)")
    if not all(value is None or (value and value.isprintable()) for value in (passphrase, stream_id)):
        raise RequestError("push has an empty or unprintable streamid or passphrase (leave it out, or encode it)")
    plain = urlencode({name: options[name] for name in _PLAIN if name in options})
    return Receiver(f"{found[1]}?{plain}" if plain else found[1], passphrase, stream_id)


@cache
def library_speaks() -> bool:
    """Tells whether PyAV's FFmpeg knows SRT. Nothing is sent: the mode that it tries does not exist."""
    try:
        av.open("srt://127.0.0.1:9?mode=none", format="mpegts").close()
    except av.error.ProtocolNotFoundError:
        return False
    except Exception:
        return True
    return True


def program() -> Program | None:
    """Gives the ``ffmpeg`` on the PATH if it speaks SRT. The first call runs the program: not for the loop."""
    path = shutil.which("ffmpeg")
    return _examine(path) if path is not None else None


@dataclass(frozen=True, slots=True)
class SrtCommand:
    """Starts the program for a push to ``url``."""

    url: str = field(repr=False)  # holds secrets
    program: Program

    def start(self, stderr: int) -> subprocess.Popen[bytes]:
        """Starts it, with the receiver's secrets where nobody sees them if the program can take them there."""
        receiver = read_url(self.url)
        with _secret_arguments(receiver, hidden=self.program.hides_secrets) as (options, descriptors):
            return subprocess.Popen(
                [self.program.path, *_QUIET, *_COPY, *options, receiver.address],
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
                pass_fds=descriptors,
                env=environment(),
                start_new_session=True,  # Ctrl-C is for the server, which ends its pushes
            )

    def reason(self, stderr: str, status: int) -> str:
        """Says why it ended, in words of ours: the program's own name addresses."""
        if "resolve hostname" in stderr:
            return "the SRT receiver's name is not known"
        if "Connection to" in stderr:
            return "the SRT receiver did not answer, or refused (its address, stream id or passphrase)"
        return "the SRT connection broke"


@cache
def _examine(path: str) -> Program | None:
    if "srt" not in _output_of(path, "-protocols").partition("Output:")[2].split():
        return None
    wrong = Receiver("srt://127.0.0.1:9?connect_timeout=1", passphrase="short")  # refused unsent, where it is read
    with _secret_arguments(wrong, hidden=True) as (options, descriptors):
        hides_secrets = "SRTO_PASSPHRASE" in _output_of(path, *_COPY, *options, wrong.address, descriptors=descriptors)
    if not hides_secrets:
        log.warning("this ffmpeg shows SRT's stream ids and passphrases among the processes (versions 4 to 7 do not)")
    return Program(path, hides_secrets)


def _output_of(path: str, *arguments: str, descriptors: tuple[int, ...] = ()) -> str:
    try:
        done = subprocess.run(
            [path, *_QUIET, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=descriptors,
            env=environment(),
            timeout=_EXAMINE,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        log.warning("the ffmpeg on the PATH cannot be run: %s", type(error).__name__)
        return ""
    return done.stdout.decode(errors="replace")


@contextmanager
def _secret_arguments(receiver: Receiver, *, hidden: bool) -> Iterator[tuple[list[str], tuple[int, ...]]]:
    """Gives the program's arguments for the receiver's secrets, and the descriptors that they need."""
    named = (("passphrase", receiver.passphrase), ("srt_streamid", receiver.stream_id))
    secrets = {name: value for name, value in named if value is not None}
    if not secrets or not hidden:
        yield [argument for name, value in secrets.items() for argument in (f"-{name}", value)], ()
        return
    reading, writing = os.pipe()
    try:
        with os.fdopen(writing, "w") as file:
            file.writelines(f"{name}={value}\n" for name, value in secrets.items())
        yield ["-fpre", f"/dev/fd/{reading}"], (reading,)
    finally:
        os.close(reading)
