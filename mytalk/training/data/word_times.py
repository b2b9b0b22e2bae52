"""Reads word times of a recorded clip as classes of the mouth: the GRID corpus' ``.align`` files.

A line of such a file is ``FIRST LAST WORD``, 25 000 units a second; ``sil`` and ``sp`` are silence. Its words are the
51 of GRID's commands, whose phones (of the set ``radio``) are listed here; a word's time is shared among its phones by
how long each kind lasts on average.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mytalk.errors import DataError
from mytalk.training.voices.phones import CLASSES, class_numbers, classes_of

_RATE = 25_000
_FIRST_VOWEL = CLASSES.index("i")

_WORDS = """
bin=b ih n|lay=l ey|place=p l ey s|set=s eh t
blue=b l uw|green=g r iy n|red=r eh d|white=w ay t
at=ae t|by=b ay|in=ih n|with=w ih dh
zero=z ih r ow|one=w ah n|two=t uw|three=th r iy|four=f ao|five=f ay v|six=s ih k s
seven=s eh v ax n|eight=ey t|nine=n ay n
again=ax g eh n|now=n aw|please=p l iy z|soon=s uw n
a=ey|b=b iy|c=s iy|d=d iy|e=iy|f=eh f|g=jh iy|h=ey ch|i=ay|j=jh ey|k=k ey|l=eh l|m=eh m|n=eh n|o=ow|p=p iy|q=k y uw
r=aa|s=eh s|t=t iy|u=y uw|v=v iy|x=eh k s|y=w ay|z=z eh d
sil=pau|sp=pau
"""
PRONUNCIATIONS = {
    word: tuple(phones.split())
    for entry in _WORDS.replace("\n", "|").split("|")
    if entry
    for word, phones in [entry.split("=")]
}


def read_classes(path: Path) -> list[tuple[str, float]]:
    """Reads classes of an ``.align`` file with their end times in seconds. Raises DataError with the line that is
    wrong."""
    found: list[tuple[str, float]] = []
    reached = 0
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        try:
            first, last, word = line.split()
            start, stop = int(first), int(last)
        except ValueError as error:
            raise DataError(f"{path}:{number}: {line!r} is not FIRST LAST WORD") from error
        if start < reached or stop < start:
            raise DataError(f"{path}:{number}: {line!r} goes back in time (need FIRST at or after {reached})")
        if word not in PRONUNCIATIONS:
            raise DataError(f"{path}:{number}: no pronunciation of {word!r} (the words of GRID's commands are known)")
        if start > reached:
            found.append(("silence", start / _RATE))
        spoken = [classes_of("radio", phone) for phone in PRONUNCIATIONS[word]]
        names = [name for classes in spoken for name in classes]
        shares = np.cumsum([_length(name, len(classes)) for classes in spoken for name in classes])
        ends = (start + (stop - start) * shares / shares[-1]) / _RATE
        found += zip(names, map(float, ends), strict=True)
        reached = stop
    return found


def phones_of_clip(path: Path, frames: int) -> NDArray[np.uint8]:
    """Reads class numbers ``(frames, 4)``, one for each 10 ms, as ``phones`` of synthetic speech. Raises DataError."""
    return class_numbers(read_classes(path), 4 * frames).reshape(frames, 4)


def _length(name: str, of: int) -> float:
    """Returns the seconds that a class lasts, about, as one ``of`` the classes of its phone."""
    if CLASSES.index(name) >= _FIRST_VOWEL:
        return 0.05 if name == "schwa" else 0.11 if of == 1 else 0.08
    return {"sibilant": 0.11, "postalveolar": 0.11, "bilabial": 0.085, "labiodental": 0.085}.get(name, 0.075)
