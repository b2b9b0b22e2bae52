"""Turns speech into features, one a motion frame; streamed equals offline."""

from mytalk.speech.conformer import ConformerEncoder
from mytalk.speech.encoder import SpeechEncoder
from mytalk.speech.factory import build_encoder, build_front, load_front
from mytalk.speech.interfaces import Encoder, Front
from mytalk.speech.mel import LogMel
from mytalk.speech.state_batching import select_state, stack_states
from mytalk.speech.stream import SpeechStream
from mytalk.speech.wav2vec import Wav2Vec2
from mytalk.speech.wav2vec_loader import load_wav2vec

__all__ = [
    "ConformerEncoder",
    "Encoder",
    "Front",
    "LogMel",
    "SpeechEncoder",
    "SpeechStream",
    "Wav2Vec2",
    "build_encoder",
    "build_front",
    "load_front",
    "load_wav2vec",
    "select_state",
    "stack_states",
]
