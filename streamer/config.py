"""What an operator decides about a server.

::

    ServerConfig()                                  # this machine only, port 8080, the embedded models
    ServerConfig(host="0.0.0.0", max_sessions=8)    # for others
    ServerConfig(portrait=Path("me.png"))           # another face in portrait sessions
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from streamer.ice_servers import IceServer

ASSETS = Path(str(files("mytalk"))) / "assets"


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """One server. Ports: 0 takes a free one.

    ``redirect`` is the URL of another server, for those whom this one has no room for and whose session is not here.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    preset: str = "edge"
    device: str = "auto"
    speech_model: str | None = None  # None: the one that the preset's checkpoint names, where it needs one
    dtype: str = "float32"  # or bfloat16, float16
    max_sessions: int = 2
    portrait: Path | None = None  # None: the embedded portrait
    demo_speech: Path | None = None  # None: the embedded speech
    ice_servers: tuple[IceServer, ...] = ()  # for clients and for the server itself
    redirect: str | None = None
    require_consent: bool = False  # of the person, for a portrait that a client brings
    recordings: Path | None = None  # folder of the films of sessions that are recorded; None: none may be
    push_to: tuple[str, ...] = ()  # what the URLs begin with that sessions may be pushed to

    @property
    def portrait_path(self) -> Path:
        return self.portrait or _asset("astronaut")

    @property
    def demo_speech_path(self) -> Path:
        return self.demo_speech or _asset("demo_speech")


def _asset(stem: str) -> Path:
    """The embedded file of that name, whatever its format."""
    found = sorted(path for path in ASSETS.glob(f"{stem}.*") if path.suffix not in (".md", ".txt"))
    return found[0] if found else ASSETS / stem
