"""Synthetic speech with exact phone times, spoken by flite's voices: sound and mouth controls, one ``.npz`` a voice.

    python -m mytalk.training.speech_corpus -o DATA --sentences 350 --seed 1

Needs the ``flite`` command (Debian: ``apt install flite``). Sentences are drawn from our own grammar by the seed.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import wave
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from mytalk.errors import MyTalkError
from mytalk.media_time import FRAME_SAMPLES, SAMPLE_RATE
from mytalk.training.visemes import speak

VOICES = ("awb", "rms", "slt", "kal16")

# fmt: off
_SUBJECTS = (
    "my mother", "the old fisherman", "a group of students", "nobody", "everyone in the village", "the prime minister",
    "our youngest brother", "a very tall woman", "the machine", "somebody", "the whole committee", "Peter", "Maria",
    "the orchestra", "a puppy", "the mayor of Brighton", "this photograph", "the weather", "your neighbour", "George",
    "the bus driver", "a famous author", "the museum", "each of the pilots", "the football team", "she", "he", "they",
)
_VERBS = (
    "bought", "watched", "forgot about", "painted", "was looking for", "never believed", "put away", "would like",
    "opened", "thought about", "moved", "should have brought", "pushed", "measured", "always loved", "sold", "broke",
    "wanted to buy", "gave up", "found", "could not see", "threw", "remembered", "showed us", "asked for", "washed",
)
_OBJECTS = (
    "a paper boat", "five big apples", "the broken window", "a bowl of soup", "the blue bicycle", "a pair of shoes",
    "the first chapter", "a warm blanket", "the empty house", "some fresh bread and butter", "a beautiful piano",
    "the map of Africa", "a purple umbrella", "the final score", "a fever", "the heavy box", "several good reasons",
    "a cup of coffee", "the mobile phone", "a bag of frozen vegetables", "the bridge", "an orange fish",
    "the usual joke", "a number of pictures", "the moon and the stars", "your favourite movie", "the garage",
    "a visible improvement",
)
_ENDINGS = (
    "before breakfast", "in the middle of the night", "on Wednesday", "without a word", "for the very first time",
    "because of the rain", "at half past four", "somewhere in Europe", "with both hands", "five or six years ago",
    "near the public library", "although it was far too late", "as if by magic", "during the summer", "if possible",
    "while the others were asleep", "from above", "with a smile", "every other month", "when the phone rang", "",
)
_OPENINGS = (
    "", "", "", "well, ", "you know, ", "of course, ", "perhaps ", "yesterday, ", "I am sure that ", "to be honest, ",
)
# fmt: on


def sentence(rng: np.random.Generator) -> str:
    """One sentence of our own grammar."""
    parts = [str(rng.choice(words)) for words in (_SUBJECTS, _VERBS, _OBJECTS, _ENDINGS)]
    return f"{rng.choice(_OPENINGS)}{' '.join(part for part in parts if part)}{rng.choice(['.', '.', '?', '!'])}"


def synthesise(text: str, voice: str) -> tuple[NDArray[np.float32], list[tuple[str, float]]]:
    """Speech at 16 kHz and its phones with their end times in seconds."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "speech.wav"
        command = ["flite", "-voice", voice, "-psdur", "-t", text, "-o", str(path)]
        try:
            printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        except FileNotFoundError as error:
            raise MyTalkError("flite: command not found (Debian: apt install flite)") from error
        with wave.open(str(path)) as file:
            if file.getframerate() != SAMPLE_RATE:
                raise MyTalkError(f"flite voice {voice}: {file.getframerate()} Hz, need {SAMPLE_RATE}")
            samples = np.frombuffer(file.readframes(file.getnframes()), np.int16)
    pairs = (entry.rsplit(":", 1) for entry in printed.split())
    return samples.astype(np.float32) / 32768, [(phone, float(end)) for phone, end in pairs]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--sentences", type=int, default=350, help="sentences a voice")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    for number, voice in enumerate(VOICES):
        rng = np.random.default_rng([arguments.seed, number])
        sounds, controls = [], []
        for _ in tqdm(range(arguments.sentences), desc=voice, unit="sentence"):
            sound, phones = synthesise(sentence(rng), voice)
            frames = len(sound) // FRAME_SAMPLES
            sounds.append(sound[: frames * FRAME_SAMPLES])
            controls.append(speak(phones, frames / 25 + 0.05, rng)[:frames])
        lengths = np.array([len(c) for c in controls])
        part = arguments.output / f"{voice}.part.npz"
        np.savez(part, sound=np.concatenate(sounds), controls=np.concatenate(controls), lengths=lengths)
        part.replace(arguments.output / f"{voice}.npz")


if __name__ == "__main__":
    main()
