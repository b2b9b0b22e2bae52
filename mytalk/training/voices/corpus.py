"""Makes synthetic speech in many languages with exact phone times: sound, mouth controls and phones, one ``.npz`` a
voice.

    python -m mytalk.training.voices.corpus -o DATA --sentences 350 --seed 1

Speaks with the voices of ``mytalk.training.voices.catalogue`` that are installed (Debian: flite, festival, festvox-*,
espeak-ng) the sentences of our own in ``voices/texts``, drawn by the seed. A voice that is there already with the same
settings is not made again. Each file holds

- ``sound``: float32 (640 T,) at 16 kHz, all sentences one after the other
- ``controls``: float32 (T, 4), ``visemes.CONTROLS`` at 25 Hz
- ``phones``: uint8 (T, 4), for each 10 ms of a frame the number of the class heard
- ``classes``: names of the classes; ``lengths``: int64, frames of each sentence; ``settings``: how it was made
"""

from __future__ import annotations

import argparse
import json
import logging
import tempfile
import zipfile
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from mytalk.errors import MyTalkError, OptionError
from mytalk.media_time import FRAME_SAMPLES
from mytalk.training.voices.catalogue import VOICES, Voice, chosen, installed
from mytalk.training.voices.phones import CLASSES, class_numbers
from mytalk.training.voices.sentences import sentence
from mytalk.training.voices.sound import Request
from mytalk.training.voices.visemes import CONTROLS, speak

log = logging.getLogger(__name__)

_FORMAT = 3  # of the files, and of how they are made: another number makes them anew
_STRETCH = (0.85, 1.25)


def settings(voice: Voice, sentences: int, seed: int) -> str:
    """Formats what a voice's file depends on, as one line of JSON."""
    return json.dumps({"format": _FORMAT, "voice": voice.name, "sentences": sentences, "seed": seed})


def requests(voice: Voice, sentences: int, seed: int) -> list[Request]:
    """Draws what a voice is to say, and how: the same for the same seed, whatever other voices there are."""
    rng = np.random.default_rng([seed, *voice.name.encode()])
    return [
        Request(sentence(voice.language, rng), float(rng.uniform(*_STRETCH)), float(rng.uniform()))
        for _ in range(sentences)
    ]


def make(voice: Voice, path: Path, sentences: int, seed: int) -> float:
    """Speaks a voice's sentences and writes its file whole or not at all; returns the seconds of speech.

    Memory holds one batch of a synthesiser's sentences at a time, 75 at most. Raises MyTalkError where the synthesiser
    fails, OSError where the file cannot be written.
    """
    rng = np.random.default_rng([seed, 1, *voice.name.encode()])
    wanted = requests(voice, sentences, seed)
    lengths: list[int] = []
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{voice.name}-") as folder:
        files = [Path(folder) / name for name in ("sound", "controls", "phones")]
        with ExitStack() as stack:
            sound, controls, phones = (stack.enter_context(file.open("wb")) for file in files)
            for spoken in tqdm(voice.speak(wanted), total=sentences, desc=voice.name, unit="sentence"):
                frames = len(spoken.sound) // FRAME_SAMPLES
                sound.write(spoken.sound[: frames * FRAME_SAMPLES].tobytes())
                controls.write(speak(spoken.classes, frames / 25 + 0.05, rng)[:frames].tobytes())
                phones.write(class_numbers(spoken.classes, 4 * frames).tobytes())
                lengths.append(frames)
        part = Path(folder) / "part.npz"
        np.savez(
            part,
            sound=np.memmap(files[0], np.float32, "r"),
            controls=np.memmap(files[1], np.float32, "r").reshape(-1, len(CONTROLS)),
            phones=np.memmap(files[2], np.uint8, "r").reshape(-1, 4),
            classes=np.array(CLASSES),
            lengths=np.array(lengths),
            settings=np.array(settings(voice, sentences, seed)),
        )
        part.replace(path)
    return sum(lengths) / 25


def is_made(path: Path, wanted: str) -> bool:
    """Says whether the file is there, whole, and of these settings."""
    try:
        with path.open("rb") as file, np.load(file) as stored:
            found: NDArray[np.str_] = stored["settings"]
            return str(found) == wanted
    except (FileNotFoundError, KeyError, ValueError, EOFError, zipfile.BadZipFile):
        return False


def usable(voices: tuple[Voice, ...]) -> tuple[Voice, ...]:
    """Picks the installed voices; warns once of the others. Raises MyTalkError where there is none."""
    found = installed(voices)
    missing = [voice for voice in voices if voice not in found]
    packages = " ".join(dict.fromkeys(voice.package for voice in missing))
    if not found:
        raise MyTalkError(f"none of {len(voices)} voices is installed (Debian: apt install {packages})")
    if missing:
        names = " ".join(voice.name for voice in missing)
        log.warning("left out, not installed: %s (Debian: apt install %s)", names, packages)
    return found


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--sentences", type=int, default=350, help="sentences a voice (default 350)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--voices",
        nargs="+",
        default=[],
        metavar="VOICE",
        help="names of these (default: all): " + " ".join(voice.name for voice in VOICES),
    )
    arguments = parser.parse_args()
    logging.basicConfig(format="%(message)s", level=logging.INFO)
    try:
        if arguments.sentences < 1 or arguments.seed < 0:
            raise OptionError("--sentences must be 1 or more, --seed 0 or more")
        voices = usable(chosen(arguments.voices))
        arguments.output.mkdir(parents=True, exist_ok=True)
        with logging_redirect_tqdm():
            for voice in voices:
                path = arguments.output / f"{voice.name}.npz"
                if is_made(path, settings(voice, arguments.sentences, arguments.seed)):
                    log.info("%s: made already", voice.name)
                    continue
                seconds = make(voice, path, arguments.sentences, arguments.seed)
                log.info("%s (%s): %.1f minutes", voice.name, voice.language, seconds / 60)
    except (MyTalkError, OSError) as error:
        raise SystemExit(f"error: {error}") from error


if __name__ == "__main__":
    main()
