"""Adapts the recogniser's layers to live use: features of the newest frames as the whole recording would give them.

    python -m mytalk.training.speech.recogniser_live SOUNDS... -o RUN
        [--held-out SOUNDS...] [--preset edge] [--steps 2400]
    python -m mytalk.training.speech.recogniser_live --export RUN -o FOLDER

From sound alone: no face is needed, and synthetic speech teaches as well. The teacher is the published network, which
hears a clean recording whole; the pupil hears its past and, half of the time, in a noisy place. What the features are
for weighs more: an error counts by what a preset's readout makes of it. Only low-rank changes are learned
(`mytalk.speech.moonshine.apply_low_rank`), which keep what the network knows of the many who trained it.

SOUNDS are folders: of ``mytalk.training.voices.corpus``, or of films and recordings, where a folder in it is one voice
and a file in it is another.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from mytalk.errors import DataError, WeightsError
from mytalk.media import SpeechReader
from mytalk.media_time import FRAME_SAMPLES, SAMPLE_RATE
from mytalk.speech.frozen_weights import RECOGNISER_LIVE_FILE, apply_low_rank
from mytalk.speech.moonshine import WIDTH, Moonshine, rotary_of, transform
from mytalk.speech.readout import Readout
from mytalk.speech.timing import TOKENS
from mytalk.torch_backend import load_motion
from mytalk.training.data.augment import noisy_place
from mytalk.training.run.config import TrainingOptions
from mytalk.training.run.loop import WEIGHTS, fit
from mytalk.training.run.task import Batch, Examples, Phase, Task, row_rng, stack_rows

NEAR = 8
"""Newest motion frames whose features are trained: those before them were followed by as many."""

_MATRICES, _VECTORS = ("qkv", "out", "fc1", "fc2"), ("norm1", "norm2", "fc1_bias", "fc2_bias")
_FAR_WEIGHT = 0.2  # of frames before the near ones, which are to stay as they were
_GENERAL = 0.3  # share of the loss in which all features count alike
_CONTEXT = 20  # motion frames before those that are shown, which a live session hears longer


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveOptions(TrainingOptions):
    """Holds how the layers are taught."""

    rank: int = 64
    frames: int = 160  # of a stretch of recording, which the teacher hears whole
    positions: int = 8  # in a stretch, that the pupil hears up to
    shown: int = 9  # frames that the pupil predicts at each place
    noisy: float = 0.5  # share of stretches that the pupil hears in a noisy place
    speeds: tuple[float, float] = (0.8, 1.25)


class Stretches(Examples):
    """Draws stretches of recordings by (step, row): each of the folders ``voices`` equally often, and of its voices
    each by the root of its length. Voices too short for one stretch are left out: ``left_out`` says how many."""

    def __init__(self, voices: Sequence[Sequence[NDArray[np.float32]]], options: LiveOptions) -> None:
        longest = max(options.speeds) * options.frames * FRAME_SAMPLES + FRAME_SAMPLES
        folders = [[voice for voice in folder if len(voice) >= longest] for folder in voices]
        if not folders or not all(folders):
            raise DataError(f"a folder without a voice that speaks for {longest / SAMPLE_RATE:.0f} s: need one in each")
        self._options = options
        self._voices = [voice for folder in folders for voice in folder]
        self.left_out = sum(len(folder) for folder in voices) - len(self._voices)
        roots = [np.sqrt([len(voice) for voice in folder]) for folder in folders]
        self._share = np.concatenate([root / root.sum() for root in roots]) / len(folders)

    def __len__(self) -> int:
        return sum(len(voice) for voice in self._voices) // (self._options.frames * FRAME_SAMPLES)

    def draw(self, step: int, row: int) -> dict[str, Any]:
        options, rng = self._options, row_rng(self._options.seed, step, row)
        number = int(rng.choice(len(self._voices), p=self._share))
        count = options.frames * FRAME_SAMPLES
        length = round(count * float(rng.uniform(*options.speeds)))
        start = int(rng.integers(len(self._voices[number]) - length))
        spectrum = torch.fft.rfft(torch.from_numpy(self._voices[number][start : start + length]))
        size = count // 2 + 1
        spectrum = F.pad(spectrum, (0, max(0, size - len(spectrum))))[:size]
        clean = torch.fft.irfft(spectrum, count) * (count / length)
        noisy_samples = noisy_place(clean, rng) if rng.random() < options.noisy else clean
        newest = rng.integers(2, options.frames - NEAR, options.positions)
        return {"key": f"voice {number} at {start}", "clean": clean, "heard": noisy_samples, "newest": newest}

    def collate(self, rows: list[dict[str, Any]]) -> Batch:
        return stack_rows(rows)


class LiveLayers(nn.Module):
    """Holds the low-rank changes, and their loss against the teacher's features."""

    def __init__(self, readout: Readout, options: LiveOptions) -> None:
        super().__init__()
        self._options = options
        self._teacher = [Moonshine(live=False)]  # in a list: not a part of what is trained
        self.changes = nn.ParameterDict()
        for index, weights in enumerate(self._teacher[0].layers):
            for name in _MATRICES:
                rows, columns = weights[name].shape
                down = torch.randn(options.rank, columns) / columns**0.5
                self.changes[f"{index}-{name}-down"] = nn.Parameter(down)
                self.changes[f"{index}-{name}-up"] = nn.Parameter(torch.zeros(rows, options.rank))
            for name in _VECTORS:
                self.changes[f"{index}-{name}"] = nn.Parameter(torch.zeros_like(weights[name]))
        self.register_buffer("spread", readout.scale.clone(), persistent=False)
        self.register_buffer("metric", _metric(readout), persistent=False)
        self.spread: Tensor
        self.metric: Tensor

    def named(self) -> dict[str, Tensor]:
        """Returns the changes as they are stored."""
        return {f"layers.{name.replace('-', '.')}": tensor for name, tensor in self.changes.items()}

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Computes ``loss``; ``error``, of features as a share of their variance; ``mouth``, as what the readout
        makes of it."""
        teacher, layers = self._teacher[0].to(self.spread.device), self._layers()
        clean = batch["clean"]
        with torch.no_grad():
            student = _features(_stem(teacher, clean), _all(clean), teacher.layers)  # (B, T, 288)
            stem = _stem(teacher, batch["heard"])
        shown, positions = self._options.shown, batch["newest"]  # (B, P)
        span = TOKENS * (_CONTEXT + shown)
        token = (positions[..., None] + 1) * TOKENS + torch.arange(-span, 0, device=stem.device)  # (B, P, span)
        seen = _gather(stem, token.clamp(min=0))
        given = _features(seen.flatten(0, 1), token.flatten(0, 1), layers)[:, _CONTEXT:]
        frame = positions[..., None] + torch.arange(1 - shown, 1, device=stem.device)  # (B, P, shown)
        wanted = _gather(student, frame.clamp(min=0)).flatten(0, 1)
        weight = torch.full((shown,), _FAR_WEIGHT, device=stem.device)
        weight[-NEAR:] = 1
        weight = weight * (frame >= 0).flatten(0, 1)  # (B P, shown)
        error = (given - wanted) / self.spread
        general = (weight * error.square().mean(-1)).sum() / weight.sum()
        mouth = (weight * (error @ self.metric).square().sum(-1)).sum() / weight.sum()
        return {"loss": mouth + _GENERAL * general, "mouth": mouth, "error": general}

    def _layers(self) -> list[dict[str, Tensor]]:
        taught = self._teacher[0].layers
        flat = {
            f"layers.{index}.{name}": tensor for index, layer in enumerate(taught) for name, tensor in layer.items()
        }
        flat |= apply_low_rank(flat, self.named())
        return [{name: flat[f"layers.{index}.{name}"] for name in layer} for index, layer in enumerate(taught)]


def _metric(readout: Readout) -> Tensor:
    """Returns the map from standardised features ``(288,)`` to what each of the readout's six rows makes of them,
    ``(288, 6 K)``, scaled so that features of unit variance, each with its own error, give 1."""
    far = readout.weight[-1].unflatten(0, (-1, WIDTH))  # (6, 288, K)
    rows = far.transpose(0, 1).flatten(1)
    scaled: Tensor = rows / rows.square().sum().sqrt()
    return scaled


def _stem(recogniser: Moonshine, samples: Tensor) -> Tensor:
    """Maps whole stretches ``(B, 640 T)`` to tokens ``(B, 2 T, 288)``."""
    return recogniser.stem(samples, recogniser.start(1, len(samples)))


def _features(tokens: Tensor, positions: Tensor, layers: Sequence[Mapping[str, Tensor]]) -> Tensor:
    """Applies the layers to tokens ``(B, 2 T, 288)`` with these numbers ``(B, 2 T)``; those below 0 are not attended
    to."""
    return transform(tokens, positions >= 0, rotary_of(positions), layers)[0]


def _all(samples: Tensor) -> Tensor:
    count = samples.shape[1] // FRAME_SAMPLES * TOKENS
    return torch.arange(count, device=samples.device).expand(len(samples), count)


def _gather(rows: Tensor, positions: Tensor) -> Tensor:
    """Gathers ``(B, N, C)`` at positions ``(B, P, n)``: ``(B, P, n, C)``."""
    return rows[torch.arange(len(rows), device=rows.device)[:, None, None], positions]


class LiveTask(Task):
    """Trains the low-rank changes. Raises DataError where no voice is long enough."""

    name = "recogniser"
    best = "mouth"
    examples: Stretches
    held_out: Stretches | None

    def __init__(
        self,
        readout: Readout,
        options: LiveOptions,
        voices: Sequence[Sequence[NDArray[np.float32]]],
        held_out: Sequence[Sequence[NDArray[np.float32]]] = (),
    ) -> None:
        torch.manual_seed(options.seed)
        self.examples = Stretches(voices, options)
        self.held_out = Stretches(held_out, options) if held_out else None
        self.averaged = self.layers = LiveLayers(readout, options)
        self.phases = (Phase("recogniser", self.layers),)

    def export(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        tensors = {name: tensor.detach().half().contiguous() for name, tensor in self.layers.named().items()}
        save_file(tensors, folder / RECOGNISER_LIVE_FILE)


def voices_of(folder: Path) -> list[NDArray[np.float32]]:
    """Reads the voices of a folder, 16 kHz. Raises DataError where there is none in it, and what reading raises."""
    found = sorted(folder.iterdir())
    if not found:
        raise DataError(f"{folder}: nothing in it (need recordings, or synthetic speech)")
    voices = []
    for path in tqdm(found, desc=str(folder), unit="voice"):
        if path.suffix == ".npz":
            with np.load(path) as stored:
                voices.append(np.asarray(stored["sound"], np.float32))
        elif path.is_dir():
            voices.append(np.concatenate([_read(one) for one in sorted(path.iterdir()) if one.suffix != ".align"]))
        else:
            voices.append(_read(path))
    return voices


def _read(path: Path) -> NDArray[np.float32]:
    return np.concatenate(list(SpeechReader(path).samples()))


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sounds", nargs="*", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--held-out", nargs="+", type=Path, default=[])
    parser.add_argument("--preset", default="edge", help="whose readout says what features are for")
    parser.add_argument("--steps", type=int, default=2400)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--export", type=Path, metavar="RUN", help="copy what a run has learned to where it is read from"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.export is not None:
        (arguments.output / RECOGNISER_LIVE_FILE).write_bytes(
            (arguments.export / WEIGHTS / RECOGNISER_LIVE_FILE).read_bytes()
        )
        return
    readout = load_motion(arguments.preset).readout
    if readout is None:
        raise WeightsError(f"{arguments.preset}: has no readout (mytalk train readout)")
    options = LiveOptions(
        steps=arguments.steps,
        seed=arguments.seed,
        batch=4,
        learning_rate=1e-3,
        warm_up=50,
        cool_down=0.7,
        betas=(0.9, 0.98),
        ema=0.995,
        log_every=25,
        save_every=100,
        validate_every=200,
        validation_rows=24,
    )
    task = LiveTask(
        readout, options, [voices_of(one) for one in arguments.sounds], [voices_of(one) for one in arguments.held_out]
    )
    for what, stretches in (("", task.examples), ("held-out ", task.held_out)):
        if stretches is not None and stretches.left_out:
            print(f"{stretches.left_out} {what}voices are too short and left out (a folder joins files of one voice)")
    with tqdm(total=options.steps, unit="step") as bar:

        def progress(done: int, total: int | None) -> None:
            bar.update(done - bar.n)

        outcome = fit(task, options, arguments.output, progress=progress)
    print(f"{arguments.output}: {outcome.steps} steps; {outcome.figures}")


if __name__ == "__main__":
    main()
