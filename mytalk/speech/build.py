"""From a preset to its front and its encoder."""

from __future__ import annotations

from typing import Any

from mytalk.presets import SpeechPreset
from mytalk.speech.encoder import SpeechEncoder
from mytalk.speech.mel import LogMel
from mytalk.speech.seam import Encoder, Front


def build_front(preset: SpeechPreset) -> Front[Any]:
    """The front that needs nothing but the preset."""
    return LogMel()


def build_encoder(preset: SpeechPreset) -> Encoder[Any]:
    """The encoder of a preset, with random weights."""
    return SpeechEncoder(preset)
