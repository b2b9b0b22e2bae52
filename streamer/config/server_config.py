"""What an operator decides about a server.

::

    ServerConfig()                                  # this machine only, port 8080, the embedded models
    ServerConfig(host="0.0.0.0", keys=Path("keys.json"), max_sessions=8)    # for others
    ServerConfig(portrait=Path("me.png"))           # another face in portrait sessions

:mod:`streamer.config.sources` reads one from a file, the environment and the command line.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from streamer.config.ice_servers import IceServer

ASSETS = Path(str(files("mytalk"))) / "assets"

DAY = 24 * 3600
"""Seconds."""

MOST_THREADS = 64
"""Of one kind that an operator may ask for."""

Kind = Literal["text", "texts", "whole", "path", "flag", "servers"]


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a field is to those who set it. ``least`` and ``most`` bound a whole number."""

    help: str
    kind: Kind = "text"
    least: int = 0
    most: int = DAY
    choices: tuple[str, ...] = ()


def _means(help: str, kind: Kind = "text", **bounds: Any) -> dict[str, Meaning]:
    return {"meaning": Meaning(help, kind, **bounds)}


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """One server. Ports: 0 takes a free one. Numbers of seconds and of requests: 0 sets no limit."""

    host: str = field(default="127.0.0.1", metadata=_means("address to listen on"))
    port: int = field(default=8080, metadata=_means("port to listen on; 0 takes a free one", "whole", most=65535))
    preset: str = field(default="edge", metadata=_means("preset or checkpoint folder"))
    device: str = field(default="auto", metadata=_means("auto, cpu, cuda or cuda:N"))
    dtype: str = field(
        default="float32",
        metadata=_means("numbers that the models calculate with", choices=("float32", "bfloat16", "float16")),
    )
    speech_model: str | None = field(
        default=None, metadata=_means("wav2vec 2.0 of a preset that hears through it: a local folder, or a name")
    )
    engine_threads: int = field(
        default=0, metadata=_means("threads that run the models; 0: by the number of cores", "whole", most=MOST_THREADS)
    )
    tracker_threads: int = field(
        default=0, metadata=_means("threads that track faces; 0: by the number of cores", "whole", most=MOST_THREADS)
    )
    portrait: Path | None = field(
        default=None, metadata=_means("picture or clip of portrait sessions, instead of the embedded one", "path")
    )
    demo_speech: Path | None = field(
        default=None, metadata=_means("sound that demo sessions speak, instead of the embedded one", "path")
    )
    ice_servers: tuple[IceServer, ...] = field(
        default=(), metadata=_means("'stun:HOST', 'turn:HOST secret=SHARED' or 'turn:HOST USER PASSWORD'", "servers")
    )
    redirect: str | None = field(
        default=None, metadata=_means("URL of another server, for whom this one has no room (307)")
    )
    require_consent: bool = field(
        default=False, metadata=_means("refuse portraits of clients without the person's consent", "flag")
    )
    recordings: Path | None = field(
        default=None,
        metadata=_means("folder into which sessions may ask to be recorded, made if need be", "path"),
    )
    push_to: tuple[str, ...] = field(
        default=(),
        metadata=_means("what URLs begin with that sessions may be pushed to: rtmp://HOST/, srt://HOST:PORT", "texts"),
    )
    keys: Path | None = field(
        default=None, metadata=_means("file of API keys, made by 'mytalk keys'; then every call needs one", "path")
    )
    usage: Path | None = field(
        default=None,
        metadata=_means("file of what keys have used of their seconds; without it, beside them", "path"),
    )
    allow_anyone: bool = field(
        default=False, metadata=_means("serve other machines without keys, whoever asks", "flag")
    )
    tls_cert: Path | None = field(default=None, metadata=_means("PEM certificate and its chain: serve HTTPS", "path"))
    tls_key: Path | None = field(
        default=None, metadata=_means("PEM private key of the certificate, where it is not in the same file", "path")
    )
    max_sessions: int = field(default=2, metadata=_means("sessions at a time", "whole", least=1, most=100_000))
    max_connections: int = field(
        default=1000,
        metadata=_means("TCP connections at a time; more are closed at once", "whole", least=1, most=10**6),
    )
    idle_seconds: int = field(
        default=120, metadata=_means("a session that nobody publishes to ends after so long", "whole", least=1)
    )
    session_seconds: int = field(
        default=4 * 3600, metadata=_means("a session ends after so long in any case", "whole", most=30 * DAY)
    )
    token_seconds: int = field(
        default=3600, metadata=_means("a session's tokens open connections for so long", "whole", least=1)
    )
    requests_per_minute: int = field(
        default=6000, metadata=_means("requests from one address without an API key", "whole", most=10**9)
    )
    drain_seconds: int = field(
        default=10, metadata=_means("after SIGTERM, sessions have so long to end by themselves", "whole", most=3600)
    )
    log: str = field(default="text", metadata=_means("form of the log on standard error", choices=("text", "json")))
    verbose: bool = field(default=False, metadata=_means("log every step", "flag"))

    @property
    def portrait_path(self) -> Path:
        return self.portrait or _asset("astronaut")

    @property
    def demo_speech_path(self) -> Path:
        return self.demo_speech or _asset("demo_speech")

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach it."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


def _asset(stem: str) -> Path:
    """The embedded file of that name, whatever its format."""
    found = sorted(path for path in ASSETS.glob(f"{stem}.*") if path.suffix not in (".md", ".txt"))
    return found[0] if found else ASSETS / stem
