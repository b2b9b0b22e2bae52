"""SRT, which the FFmpeg in PyAV's own wheel does not speak: an ``ffmpeg`` on the PATH sends what a film writes.

It takes the MPEG-TS from a pipe and changes none of its bytes: seven packets of 188 make a datagram. It is killed and
reaped with the film that writes to it; should the server die, its pipe is closed and it ends by itself.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from urllib.parse import parse_qsl, urlencode

import av

from streamer.errors import RequestError

log = logging.getLogger(__name__)

LAST_WAIT = 1.0
"""Seconds that the program may take to end by itself once all has been written."""

_URL = re.compile(r"(srt://(?:\[[0-9a-fA-F:.]+\]|[0-9A-Za-z._-]+):([0-9]{1,5}))/?(?:\?(.*))?")
_SECRET = ("passphrase", "streamid")
_PLAIN = ("latency", "pbkeylen")
_KNOWN = (*_SECRET, *_PLAIN, "mode")
_QUIET = ("-hide_banner", "-nostats", "-loglevel", "error")
_EXAMINE = 5.0  # seconds that looking at a program may take
_COPY = ("-f", "data", "-raw_packet_size", "1316", "-i", "pipe:0", "-map", "0", "-c", "copy", "-f", "data")


@dataclass(frozen=True, slots=True)
class Receiver:
    """Where it goes. ``address`` holds no secret."""

    address: str
    passphrase: str | None = None
    stream_id: str | None = None


@dataclass(frozen=True, slots=True)
class Program:
    """An ``ffmpeg`` that speaks SRT. ``discreet``: it takes secrets from a file; another shows them among the
    arguments of its process, which everybody on the machine can read."""

    path: str
    discreet: bool


def read_url(url: str) -> Receiver:
    """``srt://HOST:PORT?streamid=...&passphrase=...``, with FFmpeg's names and units (``latency`` in microseconds).

    Raises ``RequestError``. Whoever pushes calls: other modes would open a port of this machine.
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
    """Whether PyAV's FFmpeg knows SRT. Nothing is sent: there is no such mode."""
    try:
        av.open("srt://127.0.0.1:9?mode=none", format="mpegts").close()
    except av.error.ProtocolNotFoundError:
        return False
    except Exception:
        return True
    return True


def program() -> Program | None:
    """The ``ffmpeg`` on the PATH, if it speaks SRT. The first call runs it; not for the event loop."""
    path = shutil.which("ffmpeg")
    return _examine(path) if path is not None else None


class Sender:
    """The program, as a file that a film is written to: from a thread that may wait. ``kill`` is for any thread."""

    def __init__(self, url: str, program: Program) -> None:
        self._receiver = read_url(url)
        self._program = program
        self._process: subprocess.Popen[bytes] | None = None
        self._complaints = -1  # where they are read
        self._lock = threading.Lock()
        self._over = False
        self._broken = False

    def write(self, data: bytes) -> int:
        """All of ``data``, as fast as the program takes it. ``OSError``: it has ended."""
        pipe = self._running().stdin
        assert pipe is not None
        left = memoryview(data)
        try:
            while left:
                left = left[pipe.write(left) :]
        except OSError:  # its end of the pipe closes a moment before it can be reaped
            self._broken = True
            raise
        return len(data)

    def kill(self) -> None:
        """Ends the program at once, and with it the waiting of whoever writes."""
        with self._lock:
            self._over = True
            if self._process is not None:
                self._process.kill()

    def close(self) -> str | None:
        """Returns when the program is gone and reaped: why it ended before its time, None where it did not."""
        with self._lock:
            self._over = True
        process = self._process
        if process is None:
            return None
        failed = self._broken or process.poll() is not None
        assert process.stdin is not None
        with suppress(OSError):
            process.stdin.close()
        try:
            process.wait(LAST_WAIT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        complaint = _read(self._complaints)
        os.close(self._complaints)
        return _reason(complaint) if failed else None

    def _running(self) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._process is None:
                if self._over:
                    raise BrokenPipeError("the film is over")
                self._process = self._start()
            return self._process

    def _start(self) -> subprocess.Popen[bytes]:
        self._complaints, complaining = os.pipe()
        os.set_blocking(complaining, False)  # full: what is said beyond is lost, and the program goes on
        os.set_blocking(self._complaints, False)
        try:
            with _given(self._receiver, discreetly=self._program.discreet) as (options, descriptors):
                return subprocess.Popen(
                    [self._program.path, *_QUIET, *_COPY, *options, self._receiver.address],
                    bufsize=0,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=complaining,
                    pass_fds=descriptors,
                    env=_environment(),
                    start_new_session=True,  # Ctrl-C is for the server, which ends its films
                )
        except BaseException:
            os.close(self._complaints)
            raise
        finally:
            os.close(complaining)


@cache
def _examine(path: str) -> Program | None:
    if "srt" not in _said(path, "-protocols").partition("Output:")[2].split():
        return None
    wrong = Receiver("srt://127.0.0.1:9?connect_timeout=1", passphrase="short")  # refused unsent, where it is read
    with _given(wrong, discreetly=True) as (options, descriptors):
        discreet = "SRTO_PASSPHRASE" in _said(path, *_COPY, *options, wrong.address, descriptors=descriptors)
    if not discreet:
        log.warning("this ffmpeg shows SRT's stream ids and passphrases among the processes (versions 4 to 7 do not)")
    return Program(path, discreet)


def _said(path: str, *arguments: str, descriptors: tuple[int, ...] = ()) -> str:
    try:
        done = subprocess.run(
            [path, *_QUIET, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=descriptors,
            env=_environment(),
            timeout=_EXAMINE,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        log.warning("the ffmpeg on the PATH cannot be run: %s", type(error).__name__)
        return ""
    return done.stdout.decode(errors="replace")


@contextmanager
def _given(receiver: Receiver, *, discreetly: bool) -> Iterator[tuple[list[str], tuple[int, ...]]]:
    """The program's arguments for the receiver's secrets, and the descriptors that it needs for them."""
    named = (("passphrase", receiver.passphrase), ("srt_streamid", receiver.stream_id))
    secrets = {name: value for name, value in named if value is not None}
    if not secrets or not discreetly:
        yield [argument for name, value in secrets.items() for argument in (f"-{name}", value)], ()
        return
    reading, writing = os.pipe()
    try:
        with os.fdopen(writing, "w") as file:
            file.writelines(f"{name}={value}\n" for name, value in secrets.items())
        yield ["-fpre", f"/dev/fd/{reading}"], (reading,)
    finally:
        os.close(reading)


def _environment() -> dict[str, str]:
    """Without the server's settings: they hold secrets."""
    return {name: value for name, value in os.environ.items() if not name.startswith("MYTALK_")}


def _read(descriptor: int) -> str:
    with suppress(BlockingIOError):
        return os.read(descriptor, 1 << 16).decode(errors="replace")
    return ""


def _reason(complaint: str) -> str:
    """In words of ours: the program's own name addresses."""
    if "resolve hostname" in complaint:
        return "the SRT receiver's name is not known"
    if "Connection to" in complaint:
        return "the SRT receiver did not answer, or refused (its address, stream id or passphrase)"
    return "the SRT connection broke"
