"""Draws texts to speak: for each language a file ``texts/LANGUAGE.txt`` of slots, and a sentence takes a phrase of
each.

The file is blocks of lines between blank lines, one block a slot, in the order spoken. Any phrase of a slot goes with
any of the others (all subjects are third person singular, all of one gender where the verb shows it). ``-`` is an empty
phrase.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np

_FOLDER = Path(__file__).parent / "texts"
_MARKS = "..?!"


@cache
def slots(language: str) -> tuple[tuple[str, ...], ...]:
    """Reads the phrases of each slot, in spoken order."""
    blocks = (_FOLDER / f"{language}.txt").read_text("utf-8").strip().split("\n\n")
    return tuple(tuple("" if line == "-" else line for line in block.splitlines()) for block in blocks)


def sentence(language: str, rng: np.random.Generator) -> str:
    """Draws one sentence: every slot's phrase evenly."""
    parts = [slot[int(rng.integers(len(slot)))] for slot in slots(language)]
    return " ".join(part for part in parts if part) + _MARKS[int(rng.integers(len(_MARKS)))]
