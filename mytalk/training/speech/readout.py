"""Fits the linear readout of a preset to clips, in closed form: see `mytalk.speech.readout`.

Ridge regression from features to motion, one for each number of frames heard later. Sums are kept and not rows, so any
amount of film takes the same memory.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from mytalk.checkpoint import read_preset, save_preset
from mytalk.media_time import FRAME_SAMPLES, SAMPLE_RATE
from mytalk.presets import PROFILES
from mytalk.speech.readout import DELAYS, DIRECTIONS, Readout, stack_context
from mytalk.speech.timing import AHEAD, BACK
from mytalk.torch_backend import load_motion
from mytalk.torch_checkpoint import save_tensors
from mytalk.training.data.person_offsets import read_offsets
from mytalk.training.data.sequences import ClipSequences
from mytalk.training.data.store import ClipStore

RIDGE = 1.25
"""Ridge penalty of standardised features, a frame of film."""

BALANCE = 0.5
"""Exponent of balance: a person's film counts as its length to the power of 1 less this."""

SHARE = 0.9
"""Share of the readout in motion: the rest is the denoiser's."""

SPEEDS = (1.0, 0.9, 1.1)
"""Speeds at which each clip is played: voices and pace that it does not have."""

_FAR = max(profile.hop + profile.lookahead for profile in PROFILES.values())


@dataclass(frozen=True, slots=True)
class Fitted:
    """Says what a readout was fitted to."""

    people: int
    clips: int
    minutes: float


@dataclass(slots=True)
class Sums:
    """Accumulates what ridge regression needs of one person's film, one set for each of ``DELAYS``."""

    frames: float
    rows: Tensor  # (DELAYS,)
    inputs: Tensor  # (DELAYS, F)
    outputs: Tensor  # (DELAYS, K)
    squares: Tensor  # (DELAYS, F, F)
    products: Tensor  # (DELAYS, F, K)

    @classmethod
    def empty(cls, features: int, coefficients: int) -> Sums:
        shapes = ((DELAYS,), (DELAYS, features), (DELAYS, coefficients), (DELAYS, features, features))
        return cls(0.0, *(torch.zeros(shape) for shape in (*shapes, (DELAYS, features, coefficients))))

    def add(self, delay: int, inputs: Tensor, outputs: Tensor) -> None:
        """Adds rows ``(n, F)`` and ``(n, K)``."""
        self.rows[delay] += len(inputs)
        self.inputs[delay] += inputs.sum(0)
        self.outputs[delay] += outputs.sum(0)
        self.squares[delay].addmm_(inputs.T, inputs)
        self.products[delay].addmm_(inputs.T, outputs)


def fit_readout(
    sequences: ClipSequences,
    people: list[str],
    coefficients: int,
    tick: Callable[[int, int], None] | None = None,
    known: Readout | None = None,
) -> Readout:
    """Fits a readout to the clips of ``people``: one name a clip of the sequences, which must hold samples.

    What an earlier readout ``known`` tells of voices and closures stays, and with it the mean and scale of features,
    which that was fitted to.
    """
    readout = Readout(coefficients).eval()
    if known is None:
        standardise(readout, sequences)
    else:
        for name in ("mean", "scale", "voice_weight", "voice_bias", "closure_weight", "closure_bias"):
            getattr(readout, name).copy_(getattr(known, name))
    sums = list(sums_of_people(readout, sequences, people, tick).values())
    readout.weight[:], readout.bias[:] = solve(sums)
    readout.directions[:] = principal_directions(sums)
    return readout


def sums_of_people(
    readout: Readout, sequences: ClipSequences, people: list[str], tick: Callable[[int, int], None] | None = None
) -> dict[str, Sums]:
    """Adds up each person's clips, as a readout whose features are standardised hears them: 96 MB a person."""
    sums: dict[str, Sums] = {}
    coefficients = readout.bias.shape[1]
    for index, person in enumerate(people):
        own = sums.setdefault(person, Sums.empty(len(readout.weight[0]), coefficients))
        for speed in SPEEDS:
            add_clip(readout, *change_speed(sequences[index].features, sequences[index].motion, speed), own)
        if tick is not None:
            tick(index + 1, len(people))
    return sums


def solve(people: list[Sums]) -> tuple[Tensor, Tensor]:
    """Solves for weights ``(DELAYS, F, K)`` and biases ``(DELAYS, K)`` from the people's sums."""
    weights, biases = zip(*(solve_one(people, delay) for delay in range(DELAYS)), strict=True)
    return torch.stack(weights), torch.stack(biases)


def solve_one(
    people: Sequence[Sums], delay: int, ridge: float = RIDGE, balance: float = BALANCE
) -> tuple[Tensor, Tensor]:
    """Solves for weights ``(F, K)`` and biases ``(K,)`` of mouths after which ``delay`` frames came.

    Ridge regression of centred features; ``ridge`` is a penalty a frame of film, and a person's film counts as its
    length to the power of ``1 - balance``.
    """
    rows = _total(people, "rows", delay, balance)
    inputs, outputs = (_total(people, name, delay, balance) / rows for name in ("inputs", "outputs"))
    squares = _total(people, "squares", delay, balance) / rows - inputs[:, None] * inputs
    products = _total(people, "products", delay, balance) / rows - inputs[:, None] * outputs
    squares.diagonal().add_(ridge)
    weight = torch.linalg.solve(squares.double(), products.double()).float()
    return weight, outputs - inputs @ weight


def principal_directions(people: Sequence[Sums], delay: int = AHEAD, balance: float = BALANCE) -> Tensor:
    """Returns the directions ``(F, DIRECTIONS)`` in which features around a frame vary most, orthonormal."""
    rows = _total(people, "rows", delay, balance)
    inputs = _total(people, "inputs", delay, balance) / rows
    squares = _total(people, "squares", delay, balance) / rows - inputs[:, None] * inputs
    _, vectors = torch.linalg.eigh(squares.double())
    directions: Tensor = vectors[:, -DIRECTIONS:].flip(1).float()
    return directions


def _total(people: Sequence[Sums], name: str, delay: int, balance: float) -> Tensor:
    """Sums one part of the people's sums, a person's film counting as its length to the power of ``1 - balance``."""
    whole = people[0].frames ** -balance * getattr(people[0], name)[delay]
    for one in people[1:]:
        whole = whole + one.frames**-balance * getattr(one, name)[delay]
    return torch.as_tensor(whole)


def standardise(readout: Readout, sequences: ClipSequences) -> None:
    """Sets the readout's mean and scale to those of the clips' features, with as much speech after them as live."""
    chunks = []
    for index in range(len(sequences)):
        for _, features in readout.recogniser.growing(sequences[index].features, BACK + AHEAD + 1, step=5):
            chunks.append(features[:, BACK])
    features = torch.cat(chunks)
    features = features[(features != 0).any(-1)]
    readout.mean.copy_(features.mean(0))
    readout.scale.copy_(features.std(0).clamp(min=1e-3))


def change_speed(samples: Tensor, motion: Tensor, speed: float) -> tuple[Tensor, Tensor]:
    """Plays sound ``(640 T,)``, pitch and all, and motion ``(T, K)`` faster; the last bit of a frame is left out."""
    if speed == 1.0:
        return samples, motion
    count = round(len(samples) / speed)
    spectrum = torch.fft.rfft(samples)[: count // 2 + 1]
    sound = torch.fft.irfft(spectrum, count) * (count / len(samples))
    frames = min(count // FRAME_SAMPLES, round(len(motion) / speed))
    at = (torch.arange(frames) * speed).clamp(max=len(motion) - 1)
    below = at.long()
    above = (below + 1).clamp(max=len(motion) - 1)
    return sound[: frames * FRAME_SAMPLES], torch.lerp(motion[below], motion[above], (at - below)[:, None])


def add_clip(readout: Readout, samples: Tensor, motion: Tensor, sums: Sums) -> None:
    """Adds one clip: the features of each frame after 0, 1, ... later frames, and its motion ``(T, K)``. ``samples``
    ``(640 T,)``."""
    frames = len(motion)
    sums.frames += frames
    near = DELAYS - 1
    for newest, features in readout.recogniser.growing(samples[: frames * FRAME_SAMPLES], near + BACK):
        seen = stack_context(readout.standardise(features))  # (n, 7, F)
        for delay in range(near):
            known = newest >= delay
            sums.add(delay, seen[known, near - 1 - delay], motion[newest[known] - delay])
    for newest, features in readout.recogniser.growing(samples[: frames * FRAME_SAMPLES], _FAR + BACK, step=12):
        seen = stack_context(readout.standardise(features))[:, : _FAR - near]  # with 7 frames and more after them
        place = newest[:, None] - torch.arange(_FAR - 1, near - 1, -1)
        sums.add(near, seen[place >= 0], motion[place[place >= 0]])


def save_readout(folder: Path, readout: Readout) -> None:
    """Writes a readout into a preset folder, its larger tensors in 16 bits."""
    large = ("weight", "voice_weight", "closure_weight", "directions")
    narrow = {name: getattr(readout, name).half() for name in large}
    save_tensors(folder, "readout", {**readout.state_dict(), **narrow})


def add_readout(
    folder: Path,
    data: list[Path],
    offsets: Path | None = None,
    share: float = SHARE,
    tick: Callable[[int, int], None] | None = None,
) -> Fitted:
    """Fits a preset folder's readout to clips and writes it there. One that is there is replaced, but for voices.

    ``offsets`` is a table of ``mytalk train offsets``. Raises what reading the folder, the data or the table raises.
    """
    model, store = load_motion(folder), ClipStore(data)
    late = read_offsets(offsets) if offsets is not None else None
    sequences = ClipSequences(store, model.space, front=None, evenness=1.0, offsets=late)
    people = [entry.person for entry in store.entries]
    readout = fit_readout(sequences, people, model.denoiser.coefficients, tick, known=model.readout)
    save_readout(folder, readout)
    preset = read_preset(folder)
    save_preset(folder, dataclasses.replace(preset, motion=dataclasses.replace(preset.motion, readout=share)))
    frames = sum(len(sequences[index].motion) for index in range(len(store)))
    return Fitted(people=len(set(people)), clips=len(people), minutes=frames * FRAME_SAMPLES / SAMPLE_RATE / 60)
