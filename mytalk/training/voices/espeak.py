"""Speaks with espeak-ng through its shared library: phones are events at samples of the sound.

The library carries its oscillators' and noise's state from one sentence to the next for as long as a process lives, so
each batch is spoken by a process of its own: the same batch sounds the same.

espeak-ng is a formant synthesiser: its speakers are variants of one voice. It marks a stop at its release; the closure
is the digital silence before it.
"""

from __future__ import annotations

import ctypes
import ctypes.util
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import cache
from itertools import pairwise
from multiprocessing import get_context

import numpy as np
from numpy.typing import NDArray

from mytalk.errors import MyTalkError
from mytalk.training.voices.phones import in_classes
from mytalk.training.voices.sound import Request, Spoken, between_pauses, resampled

SPEAKERS = ("", "+m1", "+m2", "+m3", "+m4", "+m5", "+m6", "+m7", "+f1", "+f2", "+f3", "+f4", "+f5")
# speak_lib.h
_SYNCHRONOUS, _PHONEME_EVENTS, _IPA, _UTF8, _POS_CHARACTER, _RATE = 2, 1, 2, 1, 1, 1
_LIST_END, _PHONEME = 0, 7
_BATCH = 75
_WORDS_A_MINUTE = 165
_CLOSURE = 0.06  # seconds, at most
_SILENT = 40  # of 32768
_STOPS = frozenset("pbtdkgɡqɖʈɟc")


class _Name(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Name),
    )


_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


@cache
def _library() -> tuple[ctypes.CDLL, int] | None:
    """Loads the library and its sample rate; None where it is not installed."""
    name = ctypes.util.find_library("espeak-ng")
    if name is None:
        return None
    library = ctypes.CDLL(name)
    rate = library.espeak_Initialize(_SYNCHRONOUS, 0, None, _PHONEME_EVENTS | _IPA)
    return (library, rate) if rate > 0 else None


def installed(voices: Sequence[str]) -> frozenset[str]:
    """Picks those of ``voices`` that espeak-ng has; none where there is no espeak-ng."""
    loaded = _library()
    if loaded is None:
        return frozenset()
    return frozenset(voice for voice in voices if loaded[0].espeak_SetVoiceByName(voice.encode()) == 0)


def speak(voice: str, requests: Sequence[Request]) -> Iterator[Spoken]:
    """Speaks each request in turn, by the speaker that its timbre picks. Raises MyTalkError where espeak-ng fails."""
    for first in range(0, len(requests), _BATCH):
        batch = requests[first : first + _BATCH]
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            try:
                spoken = pool.submit(_speak_batch, voice, batch).result()
            except BrokenProcessPool as error:
                raise MyTalkError(f"espeak-ng voice {voice}: the process that spoke died") from error
        yield from spoken


def _speak_batch(voice: str, requests: Sequence[Request]) -> list[Spoken]:
    loaded = _library()
    if loaded is None:
        raise MyTalkError("espeak-ng: not installed (Debian: apt install espeak-ng)")
    library, rate = loaded
    spoken = []
    for request in requests:
        name = voice + SPEAKERS[int(request.timbre * len(SPEAKERS))]
        if library.espeak_SetVoiceByName(name.encode()):
            raise MyTalkError(f"espeak-ng: no voice {name}")
        library.espeak_SetParameter(_RATE, round(_WORDS_A_MINUTE / request.stretch), 0)
        pcm, phones = _synthesise(library, request.text)
        if not len(pcm):
            raise MyTalkError(f"espeak-ng voice {name}: no speech for {request.text!r}")
        ends = [(phone, end / rate) for phone, end in _ends(pcm, phones, rate)]
        spoken.append(between_pauses(resampled(pcm, rate), in_classes("ipa", ends)))
    return spoken


def _synthesise(library: ctypes.CDLL, text: str) -> tuple[NDArray[np.int16], list[tuple[str, int]]]:
    """Returns samples, and each phone with the sample of its event."""
    blocks: list[NDArray[np.int16]] = []
    phones: list[tuple[str, int]] = []

    def receive(samples: ctypes._Pointer[ctypes.c_short], count: int, events: ctypes._Pointer[_Event]) -> int:
        if count > 0:
            blocks.append(np.ctypeslib.as_array(samples, (count,)).astype(np.int16))
        number = 0
        while events[number].type != _LIST_END:
            phone = bytes(events[number].id.string).decode("utf-8", "ignore")
            if events[number].type == _PHONEME and not phone.startswith("("):  # "(en)": a change of language
                phones.append((phone, events[number].sample))
            number += 1
        return 0

    callback = _Callback(receive)
    library.espeak_SetSynthCallback(callback)
    encoded = text.encode()
    library.espeak_Synth(encoded, len(encoded) + 1, 0, _POS_CHARACTER, 0, _UTF8, None, None)
    return np.concatenate(blocks) if blocks else np.empty(0, np.int16), phones


def _ends(pcm: NDArray[np.int16], phones: list[tuple[str, int]], rate: int) -> list[tuple[str, int]]:
    """Returns phones with their last samples, each stop begun where the silence before its event begins."""
    starts = [("", 0)]
    for phone, sample in phones:
        if phone[:1] in _STOPS:
            before = pcm[max(0, sample - round(_CLOSURE * rate)) : sample]
            loud = np.flatnonzero(np.abs(before.astype(np.int32)) >= _SILENT)
            sample -= len(before) - (int(loud[-1]) + 1 if len(loud) else 0)
        starts.append((phone, sample))
    return [(phone, stop) for (phone, _), (_, stop) in pairwise([*starts, ("", len(pcm))])]
