"""Speech in, one feature a motion frame out, causally."""

from mytalk.speech.build import build_encoder, build_front
from mytalk.speech.encoder import SpeechEncoder
from mytalk.speech.mel import LogMel
from mytalk.speech.seam import Encoder, Front
from mytalk.speech.stream import SpeechStream

__all__ = ["Encoder", "Front", "LogMel", "SpeechEncoder", "SpeechStream", "build_encoder", "build_front"]
