"""Speaks with festival's voices: one ``festival`` process speaks a batch of sentences and saves their segments."""

from __future__ import annotations

import re
import subprocess
import tempfile
import wave
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from mytalk.errors import MyTalkError
from mytalk.training.voices.phones import in_classes
from mytalk.training.voices.sound import Request, Spoken, between_pauses, resampled

_BATCH = 25
_BATCH_SECONDS = 300
_HEAD = """(require 'lexicons)
(voice_{voice})
(define pace (if (feats.present Param 'Duration_Stretch) (Parameter.get 'Duration_Stretch) 1.0))
(define (say text stretch name)
  (Parameter.set 'Duration_Stretch (* stretch pace))
  (let ((utterance (utt.synth (eval (list 'Utterance 'Text text)))))
    (utt.save.segs utterance (string-append name ".segs"))
    (utt.save.wave utterance (string-append name ".wav") 'riff)))
"""


def installed() -> frozenset[str]:
    """Lists names of the voices that ``festival`` has; none where there is no festival."""
    try:
        printed = subprocess.run(["festival", "-b", "(print (voice.list))"], capture_output=True, text=True).stdout
    except FileNotFoundError:
        return frozenset()
    return frozenset(re.findall(r"\w+", printed))


def speak(voice: str, phone_set: str, requests: Sequence[Request], encoding: str) -> Iterator[Spoken]:
    """Speaks each request in turn; ``encoding`` is that of the voice's letters. Raises MyTalkError where festival
    fails."""
    for first in range(0, len(requests), _BATCH):
        with tempfile.TemporaryDirectory() as name:
            yield from _batch(voice, phone_set, requests[first : first + _BATCH], encoding, Path(name))


def _batch(voice: str, phone_set: str, requests: Sequence[Request], encoding: str, folder: Path) -> Iterator[Spoken]:
    script = folder / "batch.scm"
    calls = [f'(say "{_quoted(r.text)}" {r.stretch:.3f} "{folder / str(n)}")' for n, r in enumerate(requests)]
    script.write_bytes((_HEAD.format(voice=voice) + "\n".join(calls)).encode(encoding))
    try:
        done = subprocess.run(["festival", "-b", str(script)], capture_output=True, timeout=_BATCH_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise MyTalkError(f"festival voice {voice}: {len(requests)} sentences in over {_BATCH_SECONDS} s") from error
    for number, request in enumerate(requests):
        try:
            yield _read(folder / f"{number}.wav", folder / f"{number}.segs", phone_set)
        except FileNotFoundError as error:
            said = done.stderr.decode(encoding, "replace").strip().splitlines()
            reason = said[-1] if said else f"exit status {done.returncode}"
            raise MyTalkError(f"festival voice {voice}: no speech for {request.text!r}: {reason}") from error


def _read(sound: Path, segments: Path, phone_set: str) -> Spoken:
    with wave.open(str(sound)) as file:
        rate, pcm = file.getframerate(), np.frombuffer(file.readframes(file.getnframes()), np.int16)
    rows = (line.split() for line in segments.read_text("latin-1").splitlines())
    phones = [(row[2], float(row[0])) for row in rows if len(row) == 3]
    return between_pauses(resampled(pcm, rate), in_classes(phone_set, phones))


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
