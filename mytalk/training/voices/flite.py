"""Speaks with flite's own voices: one call of the ``flite`` command a sentence, phone ends from ``-psdur``."""

from __future__ import annotations

import subprocess
import tempfile
import wave
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from mytalk.errors import MyTalkError
from mytalk.training.voices.phones import in_classes
from mytalk.training.voices.sound import Request, Spoken, between_pauses, resampled


def installed() -> frozenset[str]:
    """Lists names of the voices that ``flite`` has; none where there is no flite."""
    try:
        printed = subprocess.run(["flite", "-lv"], capture_output=True, text=True).stdout
    except FileNotFoundError:
        return frozenset()
    return frozenset(printed.partition(":")[2].split())


def speak(voice: str, phone_set: str, requests: Sequence[Request]) -> Iterator[Spoken]:
    """Speaks each request in turn. Raises MyTalkError where flite fails."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "speech.wav"
        for request in requests:
            command = ["flite", "-voice", voice, "--setf", f"duration_stretch={request.stretch:.3f}", "-psdur"]
            done = subprocess.run([*command, "-t", request.text, "-o", str(path)], capture_output=True, text=True)
            if done.returncode:
                raise MyTalkError(f"flite voice {voice}: exit status {done.returncode} for {request.text!r}")
            with wave.open(str(path)) as file:
                rate, pcm = file.getframerate(), np.frombuffer(file.readframes(file.getnframes()), np.int16)
            pairs = (entry.rsplit(":", 1) for entry in done.stdout.split())
            classes = in_classes(phone_set, [(phone, float(end)) for phone, end in pairs])
            yield between_pauses(resampled(pcm, rate), classes)
