"""Speech in, one feature a motion frame out, causally."""

from mytalk.speech.encoder import SpeechEncoder
from mytalk.speech.mel import LogMel
from mytalk.speech.stream import SpeechStream

__all__ = ["LogMel", "SpeechEncoder", "SpeechStream"]
