"""Declares what an operator decides about a server.

::

    ServerConfig()                                  # this machine only, port 8080, the embedded models
    ServerConfig(host="0.0.0.0", keys=Path("keys.json"), max_sessions=8)    # for others
    ServerConfig(portrait=Path("me.png"))           # another face in portrait sessions

:mod:`streamer.config.sources` reads one from a file, the environment and the command line.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta

from streamer.config.ice_servers import IceServer

ASSETS = Path(str(files("mytalk"))) / "assets"

DAY = 24 * 3600
"""Seconds."""

MOST_THREADS = 64
"""Of one kind that an operator may ask for."""


@dataclass(frozen=True, slots=True)
class Help:
    """Explains a field, in its annotation, to those who set it."""

    text: str


Precision = Literal["float32", "bfloat16", "float16"]
ThreadCount = Annotated[int, Meta(ge=0, le=MOST_THREADS)]
Origin = Annotated[
    str, Meta(pattern=r"^(\*|https?://[^/\s?#,]+)\Z", description="an origin such as https://example.com, or *")
]
Seconds = Annotated[int, Meta(ge=1, le=DAY)]


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """Holds the configuration of one server.

    Ports: 0 takes a free one. Numbers of seconds and of requests: 0 sets no limit.
    """

    host: Annotated[str, Help("address to listen on")] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535), Help("port to listen on; 0 takes a free one")] = 8080
    preset: Annotated[str, Help("preset or checkpoint folder")] = "edge"
    device: Annotated[str, Help("auto, cpu, cuda or cuda:N")] = "auto"
    dtype: Annotated[Precision, Help("numbers that the models calculate with")] = "float32"
    speech_model: Annotated[
        str | None, Help("wav2vec 2.0 of a preset that hears through it: a local folder, or a name")
    ] = None
    engine_threads: Annotated[ThreadCount, Help("threads that run the models; 0: by the number of cores")] = 0
    tracker_threads: Annotated[ThreadCount, Help("threads that track faces; 0: by the number of cores")] = 0
    nice: Annotated[
        int,
        Meta(ge=-20, le=19),
        Help("priority from -20 (first) to 19, where the system allows it; 0: as it was started"),
    ] = -5
    portrait: Annotated[Path | None, Help("picture or clip of portrait sessions, instead of the embedded one")] = None
    faces: Annotated[Path | None, Help("folder of portraits and clips that sessions may ask for by file name")] = None
    demo_speech: Annotated[Path | None, Help("sound that demo sessions speak, instead of the embedded one")] = None
    ice_servers: Annotated[
        tuple[IceServer, ...], Help("'stun:HOST', 'turn:HOST secret=SHARED' or 'turn:HOST USER PASSWORD'")
    ] = ()
    redirect: Annotated[str | None, Help("URL of another server, for whom this one has no room (307)")] = None
    require_consent: Annotated[bool, Help("refuse portraits of clients without the person's consent")] = False
    consents: Annotated[Path | None, Help("SQLite file that keeps the consents of portraits, made if need be")] = None
    watermark: Annotated[bool, Help("mark dubbed pictures with an imperceptible watermark")] = True
    recordings: Annotated[Path | None, Help("folder into which sessions may ask to be recorded, made if need be")] = (
        None
    )
    push_to: Annotated[
        tuple[str, ...], Help("what URLs begin with that sessions may be pushed to: rtmp://HOST/, srt://HOST:PORT")
    ] = ()
    keys: Annotated[Path | None, Help("file of API keys, made by 'mytalk keys'; then every call needs one")] = None
    usage: Annotated[Path | None, Help("file of what keys have used of their seconds; without it, beside them")] = None
    allow_origins: Annotated[
        tuple[Origin, ...], Help("https://HOST: origin of web pages that may make and end sessions; *: any page")
    ] = ()
    allow_anyone: Annotated[bool, Help("serve other machines without keys, whoever asks")] = False
    tls_cert: Annotated[Path | None, Help("PEM certificate and its chain: serve HTTPS")] = None
    tls_key: Annotated[Path | None, Help("PEM private key of the certificate, where it is not in the same file")] = None
    max_sessions: Annotated[int, Meta(ge=1, le=100_000), Help("sessions at a time")] = 3
    max_steps: Annotated[
        int, Meta(ge=1, le=50), Help("sampling steps that a session may ask for; the preset's own are always allowed")
    ] = 4
    max_connections: Annotated[
        int, Meta(ge=1, le=10**6), Help("TCP connections at a time; beyond, the oldest that asks for nothing is closed")
    ] = 1000
    idle_seconds: Annotated[Seconds, Help("a session that nobody publishes to ends after so long")] = 120
    session_seconds: Annotated[int, Meta(ge=0, le=30 * DAY), Help("a session ends after so long in any case")] = (
        4 * 3600
    )
    token_seconds: Annotated[Seconds, Help("a session's tokens open connections for so long")] = 3600
    requests_per_minute: Annotated[int, Meta(ge=0, le=10**9), Help("requests from one address without an API key")] = (
        6000
    )
    drain_seconds: Annotated[
        int, Meta(ge=0, le=3600), Help("after SIGTERM, sessions have so long to end by themselves")
    ] = 10
    log: Annotated[Literal["text", "json"], Help("form of the log on standard error")] = "text"
    verbose: Annotated[bool, Help("log every step")] = False

    @property
    def portrait_path(self) -> Path:
        return self.portrait or _asset("astronaut")

    @property
    def demo_speech_path(self) -> Path:
        return self.demo_speech or _asset("demo_speech")

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach the server."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


def _asset(stem: str) -> Path:
    """Returns the embedded file of that name, whatever its format."""
    found = sorted(path for path in ASSETS.glob(f"{stem}.*") if path.suffix not in (".md", ".txt"))
    return found[0] if found else ASSETS / stem
