"""Counts the tokens and frames of speech networks."""

from __future__ import annotations

from mytalk.media_time import FRAME_SAMPLES
from mytalk.speech.filters import HOP

MEL_PER_MOTION = FRAME_SAMPLES // HOP
"""Mel frames, and frames of cepstra, of a motion frame."""

CEPSTRA_AT_ONCE = 64
"""Frames, of those given, that the running mean of cepstra is computed over at a time; a graph takes no more."""

TOKEN = 320
"""Samples of a recogniser's token."""
TOKENS = FRAME_SAMPLES // TOKEN
"""Tokens of a motion frame."""

BACK, AHEAD = 2, 3
"""Motion frames around its own that a readout reads a mouth from."""
