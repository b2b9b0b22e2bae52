"""Trains the speech encoder and the motion denoiser: x0 loss + identity loss, MyTalk eq. 4.

    python -m mytalk.training.motion --people DATA/people --corpus DATA/one_person --tts DATA/tts \\
        --identity DIR --out DIR --minutes 60 --seed 1

Synthetic speech first, then real clips (half of each batch from the corpus, half from the single clips). A checkpoint
is written every five minutes; the same command goes on from it.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from mytalk.checkpoint import load_into, save_tensors
from mytalk.face.landmarks import INNER_LOWER, INNER_UPPER
from mytalk.motion.model import Conditions, MotionModel
from mytalk.motion.sampler import TIMESTEPS, alpha_bars
from mytalk.presets import PRESETS
from mytalk.speech.mel import LogMel
from mytalk.training.motion_data import (
    Augmenter,
    Batch,
    Sequence,
    face_sequences,
    fit_space,
    load_faces,
    tts_sequences,
)


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a run consists of."""

    steps: int = 30_000
    tts_share: float = 0.25  # of the steps: synthetic speech only
    tts_later: float = 0.1  # of each batch after that
    batch: int = 16
    frames: int = 90
    base_rate: float = 1.5e-3
    warmup: int = 500
    weight_decay: float = 0.02
    identity_weight: float = 0.1
    aperture_weight: float = 2.0
    velocity_weight: float = 1.0
    ema: float = 0.999
    drop: float = 0.4  # chance of hiding the upper face, and of hiding the identity


class Trainer:
    """Holds the model, its optimiser and the random state, so that a run can stop and go on."""

    def __init__(self, model: MotionModel, recipe: Recipe, seed: int) -> None:
        self.model, self.recipe = model, recipe
        self.rng = np.random.default_rng(seed)
        self.augment = Augmenter(model.space, self.rng)
        self.alpha_bar = alpha_bars()
        trained = [*model.speech.parameters(), *model.denoiser.parameters()]
        self.optimiser = torch.optim.AdamW(
            trained, lr=recipe.base_rate, weight_decay=recipe.weight_decay, betas=(0.9, 0.98)
        )
        self.average = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        self.step = 0
        gap = model.space.basis.unflatten(-1, (-1, 3))[:, :, 1] * model.space.scale[:, None]  # (K, 169)
        self.gap = (gap[:, list(INNER_LOWER)] - gap[:, list(INNER_UPPER)]).mean(-1) / 0.08  # (K,)
        weight = model.space.scale**0.75  # 1 would weigh coefficients as landmarks do, 0 all alike
        self.weight = weight / weight.square().mean().sqrt()

    def rate(self) -> float:
        """Inverse square root after a linear warm-up, and down to nothing in the last fifth."""
        recipe = self.recipe
        climb = min((self.step + 1) / recipe.warmup, (recipe.warmup / (self.step + 1)) ** 0.5)
        return recipe.base_rate * float(climb) * min(1.0, (recipe.steps - self.step) / (0.2 * recipe.steps) + 0.01)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Losses of one batch, each a mean over its frames."""
        model, recipe = self.model, self.recipe
        count, frames, _ = batch.motion.shape
        known, history = self._history(batch)
        hide = torch.from_numpy(self.rng.random((2, count)) < recipe.drop)
        identity = model.identity(batch.lower_rest, batch.upper_rest)
        upper = batch.upper * ~hide[0, :, None, None, None]
        t = torch.from_numpy(self.rng.integers(1, TIMESTEPS + 1, count))
        t[torch.from_numpy(self.rng.random(count) < 0.5)] = TIMESTEPS
        a = self.alpha_bar[t][:, None, None]
        noisy = a.sqrt() * batch.motion + (1 - a).sqrt() * torch.randn_like(batch.motion)
        shown = identity * ~hide[1, :, None]
        given = Conditions(model.speech(batch.mel), upper, shown, history, known, batch.valid)
        x0 = model.denoiser(noisy, t, given)
        scored = (batch.valid & ~known).float()
        total = scored.sum().clamp(min=1)
        error = x0 - batch.motion
        pair = (scored[:, 1:] * scored[:, :-1])[..., None]
        velocity = ((error[:, 1:] - error[:, :-1]) * self.weight).square() * pair
        losses = {
            "x0": ((error * self.weight).square().mean(-1) * scored).sum() / total,
            "aperture": ((error @ self.gap).square() * scored).sum() / total,
            "velocity": velocity.mean(-1).sum() / total,
        }
        pick = torch.from_numpy(self.rng.integers(0, frames, count))
        shape = batch.lower_rest + model.space.decode(x0[torch.arange(count), pick])
        made = model.identity(shape, batch.upper_rest)
        losses["identity"] = (1 - (made * identity).sum(-1)).mean()
        return losses

    def _history(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Random history lengths: none in a third, else anything; half of them noised, some rows dropped."""
        count, frames, width = batch.motion.shape
        length = self.rng.integers(0, max(1, frames - 4), count) * (self.rng.random(count) < 0.67)
        known = torch.arange(frames)[None] < torch.from_numpy(length)[:, None]
        noise = torch.from_numpy(self.rng.uniform(0, 0.5, count) * (self.rng.random(count) < 0.6)).float()
        history = batch.motion + noise[:, None, None] * torch.randn(count, frames, width)
        drift = torch.from_numpy(self.rng.uniform(0, 0.3, count)).float()[:, None, None] * torch.randn(count, 1, width)
        return known & (torch.rand(count, frames) > 0.05) & batch.valid, history + drift

    def train_step(self, sequences: list[Sequence]) -> dict[str, float]:
        recipe = self.recipe
        for group in self.optimiser.param_groups:
            group["lr"] = self.rate()
        self.model.train()
        losses = self.loss(self.augment.batch(sequences, recipe.frames))
        total = (
            losses["x0"]
            + recipe.aperture_weight * losses["aperture"]
            + recipe.velocity_weight * losses["velocity"]
            + recipe.identity_weight * losses["identity"]
        )
        self.optimiser.zero_grad()
        total.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimiser.step()
        self.step += 1
        keep = min(recipe.ema, (1 + self.step) / (10 + self.step))
        for name, tensor in self.model.state_dict().items():
            if tensor.is_floating_point():
                self.average[name].lerp_(tensor, 1 - keep)
        return {name: float(value.detach()) for name, value in losses.items()}

    def draw(self, tts: list[Sequence], corpus: list[Sequence], people: list[list[Sequence]]) -> list[Sequence]:
        """A batch: synthetic only at first; then half the corpus, half the single clips, people nearly alike."""
        recipe, rng = self.recipe, self.rng
        if tts and self.step < recipe.tts_share * recipe.steps:
            return [tts[int(rng.integers(len(tts)))] for _ in range(recipe.batch)]
        weights = np.array([sum(len(s.motion) for s in own) for own in people], np.float64) ** 0.5
        weights /= weights.sum()
        batch = []
        for _ in range(recipe.batch):
            if tts and rng.random() < recipe.tts_later:
                batch.append(tts[int(rng.integers(len(tts)))])
            elif corpus and rng.random() < 0.5:
                batch.append(corpus[int(rng.integers(len(corpus)))])
            else:
                own = people[int(rng.choice(len(people), p=weights))]
                batch.append(own[int(rng.integers(len(own)))])
        return batch

    def save(self, path: Path) -> None:
        state = {
            "model": self.model.state_dict(),
            "average": self.average,
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "numpy": self.rng.bit_generator.state,
            "torch": torch.get_rng_state(),
        }
        part = path.with_suffix(".part")
        torch.save(state, part)
        part.replace(path)

    def restore(self, path: Path) -> None:
        state = torch.load(path, weights_only=False)
        self.model.load_state_dict(state["model"])
        self.average, self.step = state["average"], state["step"]
        self.optimiser.load_state_dict(state["optimiser"])
        self.rng.bit_generator.state = state["numpy"]
        torch.set_rng_state(state["torch"])


def main() -> None:
    arguments = _arguments()
    torch.set_num_threads(1)
    torch.manual_seed(arguments.seed)
    people_paths = [path for path in sorted(arguments.people.glob("*.npz")) if path.stem not in arguments.hold_out]
    faces = load_faces(people_paths, arguments.corpus, arguments.corpus_limit)
    preset = PRESETS["edge"]
    model = MotionModel(preset)
    model.space.load_state_dict(fit_space(faces, preset.motion.coefficients).state_dict())
    load_into(model.identity, arguments.identity, "identity")
    model.identity.requires_grad_(False)
    mel = LogMel()
    sequences = face_sequences(faces, model.space, mel)
    single = len(people_paths)
    people = [[s for s in sequences if s.person == person] for person in range(single)]
    corpus = [s for s in sequences if s.person >= single]
    tts = tts_sequences(arguments.tts, faces, model.space, mel, arguments.seed) if arguments.tts else []
    trainer = Trainer(model, Recipe(steps=arguments.steps), arguments.seed)
    arguments.out.mkdir(parents=True, exist_ok=True)
    resume = arguments.out / "resume.pt"
    if resume.exists():
        trainer.restore(resume)
    _run(trainer, arguments, resume, tts, corpus, [own for own in people if own])
    state = {name: tensor for name, tensor in trainer.average.items() if not name.startswith("identity.")}
    save_tensors(arguments.out, "motion", state)


def _run(
    trainer: Trainer,
    arguments: argparse.Namespace,
    resume: Path,
    tts: list[Sequence],
    corpus: list[Sequence],
    people: list[list[Sequence]],
) -> None:
    """Trains to the last step; the curve goes to ``curve.jsonl``, a mean over 100 steps a line."""
    saved = time.monotonic()
    sums: dict[str, float] = {}
    with tqdm(total=trainer.recipe.steps, initial=trainer.step, desc="motion", unit="step", mininterval=10) as bar:
        while trainer.step < trainer.recipe.steps:
            losses = trainer.train_step(trainer.draw(tts, corpus, people))
            if not all(np.isfinite(value) for value in losses.values()):
                raise FloatingPointError(
                    f"step {trainer.step}: loss is not finite ({losses}); {resume} holds the last good state"
                )
            sums = {name: sums.get(name, 0.0) + value / 100 for name, value in losses.items()}
            if trainer.step % 100 == 0:
                line = {"step": trainer.step, **{name: round(value, 5) for name, value in sums.items()}}
                with (arguments.out / "curve.jsonl").open("a") as file:
                    file.write(json.dumps(line) + "\n")
                sums = {}
            bar.update()
            if time.monotonic() - saved > 300:
                trainer.save(resume)
                saved = time.monotonic()
    trainer.save(resume)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=Path, required=True, help="folder of clips, one person each")
    parser.add_argument("--corpus", type=Path, action="append", default=[], help="folder of clips of one person")
    parser.add_argument("--corpus-limit", type=int, default=None, help="clips of each corpus at most")
    parser.add_argument("--tts", type=Path, default=None, help="folder made by mytalk.training.speech_corpus")
    parser.add_argument("--hold-out", action="append", default=[], help="clip of --people to leave out, by name")
    parser.add_argument("--identity", type=Path, required=True, help="folder with the identity weights")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=30_000)
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    main()
