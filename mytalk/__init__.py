"""Loads MyTalk's models and renders their pixels.

>>> import mytalk
>>> pipeline = mytalk.load("edge")                  # the weights in the package, on the GPU if there is one
>>> dubbed = pipeline.dub(frames, speech)           # doctest: +SKIP
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mytalk.errors import MyTalkError
    from mytalk.lipsync_stream import LipSyncStream
    from mytalk.picture import Picture, VideoFrame
    from mytalk.pipeline import Pipeline, load
    from mytalk.stream_options import StreamOptions

    __version__: str

__all__ = [
    "LipSyncStream",
    "MyTalkError",
    "Picture",
    "Pipeline",
    "StreamOptions",
    "VideoFrame",
    "__version__",
    "load",
]

# Read on first use: torch takes seconds to import, and errors, files and servers do without it.
_HOMES = {
    "LipSyncStream": "lipsync_stream",
    "MyTalkError": "errors",
    "Picture": "picture",
    "Pipeline": "pipeline",
    "StreamOptions": "stream_options",
    "VideoFrame": "picture",
    "load": "pipeline",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return _release()
    if name not in _HOMES:
        raise AttributeError(f"module 'mytalk' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"mytalk.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _release() -> str:
    """Returns the installed version; ``unreleased`` in a source tree that is not installed."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("mytalk-streamer")
    except PackageNotFoundError:
        return "unreleased"
