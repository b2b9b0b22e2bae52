"""Encodes pictures as ``mytalk dub`` encodes them, and decodes them again: what a viewer gets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from mytalk.evaluation.films import Pictures
from mytalk.evaluation.moment import Pair
from mytalk.face import Face
from mytalk.media import FilmWriter, SpeechReader, VideoReader


class EncodedFilm:
    """Encodes generated pictures by H264: ``add`` all of them, then ``watch``. The file is the caller's."""

    def __init__(self, path: Path, film: Pictures, speech: Path) -> None:
        """``film``: what the pictures were made from; ``speech``: a file with the sound that goes with them."""
        self._path, self._film = path, film
        self._writer = FilmWriter(path, film.info, SpeechReader(speech))
        self._kept: list[tuple[Face | None, bool]] = []

    def add(self, pair: Pair) -> None:
        """Adds the next pair, without gaps: as many as the film has pictures up to here."""
        self._writer.write(pair.generated)
        self._kept.append((pair.face, pair.scored))

    def watch(self) -> Iterator[Pair]:
        """Yields the same pairs as decoded again; the filmed side is read from its file anew. Memory stays bounded."""
        self._writer.finish(sound="cut")
        decoded = zip(self._kept, VideoReader(self._path).frames(), strict=True)
        for true, ((face, scored), generated) in zip(self._film.frames(), decoded, strict=False):
            yield Pair(true, replace(generated, at=true.at), face, scored)

    def __enter__(self) -> EncodedFilm:
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.abort()
