"""Reads the faces that sessions show: uploaded portraits, the server's own, and those of its folder of faces."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mytalk.appearance.backdrop import source_on_background
from mytalk.errors import OptionError
from mytalk.face.tracker import FaceTracker
from mytalk.media.face_source import FaceSource, StillSource, open_face
from mytalk.media.fitted import FittedClip, Size, fitted
from streamer.config.server_config import ServerConfig
from streamer.errors import RequestError
from streamer.executors import Executors
from streamer.session.options import SessionOptions
from streamer.session.portrait_decoder import PortraitDecoder
from streamer.session.portraits import face_of

Pixels = NDArray[np.uint8]


def background_of(face: FaceSource) -> Pixels | None:
    """Returns what is seen behind a portrait, RGB, where that is not its own background."""
    matte = face.picture.matte if isinstance(face, StillSource) else None
    return None if matte is None else matte.behind.rgb()


def fitted_source(face: FaceSource, size: Size) -> FaceSource:
    """Returns a face in pictures of another size: of a portrait the part around the face, of a clip the middle."""
    if (face.info.width, face.info.height) == size:
        return face
    if not isinstance(face, StillSource):
        return FittedClip(face, size)
    found = FaceTracker()(face.picture)
    centre = None if found is None else ((found.box[0] + found.box[2]) / 2, (found.box[1] + found.box[3]) / 2)
    return StillSource(fitted(face.picture, size, centre), face.name, face.warnings)


class FaceReader:
    """Opens faces for one server. Strangers' pictures are decoded in a process of their own, one at a time."""

    def __init__(self, config: ServerConfig, executors: Executors) -> None:
        self._config = config
        self._blocking = executors.blocking
        self._decoder = PortraitDecoder()
        self._decoding = asyncio.Lock()  # one at a time: it takes a core
        self._reading = asyncio.Lock()  # of the server's own files
        self._kept: dict[str, FaceSource] = {}  # the server's own portrait, by background

    def close(self) -> None:
        """Ends what is being decoded, and decodes no more."""
        self._decoder.close()

    async def uploaded(
        self, picture: bytes, options: SessionOptions, image: Pixels | None = None, size: Size | None = None
    ) -> FaceSource:
        """Reads a client's own portrait; ``image``: RGB, its background; ``size``: that it is to be fitted into.
        Raises ``InputError`` where it may not be one, ``BusyError`` where there is no time."""
        async with self._decoding:
            rgb = await self._blocking.run_or_refuse(self._decoder.decode, picture)
            face = await self._blocking.run_or_refuse(face_of, rgb)
        return await self._prepared(face, options, image, size)

    async def image(self, picture: bytes) -> Pixels:
        """Reads a client's own background, RGB. Raises as ``uploaded`` does."""
        async with self._decoding:
            return await self._blocking.run_or_refuse(self._decoder.decode, picture)

    async def stored(
        self, options: SessionOptions, image: Pixels | None = None, size: Size | None = None
    ) -> FaceSource:
        """Reads the server's own portrait or clip, or that of its folder which ``options`` name. Raises ``InputError``
        for a file that cannot be read, ``RequestError`` for a name that there is not."""
        async with self._reading:
            shared = options.portrait is None and image is None and size is None
            if shared and options.background in self._kept:
                return self._kept[options.background]
            path = await self._blocking.run_or_refuse(self._path, options.portrait)
            face = await self._blocking.run_or_refuse(open_face, path)
            face = await self._prepared(face, options, image, size)
            if shared and face.still:  # a clip has a reader of its own for each session
                self._kept[options.background] = face
            return face

    async def _prepared(
        self, face: FaceSource, options: SessionOptions, image: Pixels | None, size: Size | None
    ) -> FaceSource:
        """Returns a face in the size and before the background that were asked for."""
        if size is not None:
            face = await self._blocking.run_or_refuse(fitted_source, face, size)
        try:
            return await self._blocking.run_or_refuse(source_on_background, face, options.background, image)
        except OptionError as error:
            raise RequestError(str(error)) from error

    def _path(self, name: str | None) -> Path:
        if name is None:
            return self._config.portrait_path
        folder = self._config.faces
        if folder is None:
            raise RequestError("this server has no folder of faces (its operator sets --faces; leave portrait out)")
        known = sorted(path.name for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
        if name not in known:
            raise RequestError(f"portrait {name!r} is not known (known: {', '.join(known) or 'none'})")
        return folder / name
