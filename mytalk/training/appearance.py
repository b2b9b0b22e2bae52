"""Trains the appearance model of a preset on mouth crops. Runs on one CPU thread, or on a GPU.

    python -m mytalk.training.crops VIDEO... -o DATA
    python -m mytalk.training.appearance --data DATA --out RUN --minutes 60 --seed 1

Loss: L1 (lips and the inside of the mouth count five times), L1 of the gradients, the mean steepness of 8 x 8 pixels
(against blur: it asks for as much texture as filmed, not for the same), KL on both latents, and a patch discriminator
that joins later. ``RUN/curve.jsonl`` holds the curve; ``RUN/last.pt`` everything
needed to go on exactly where a run stopped, which the same command does.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from tqdm import tqdm

from mytalk.appearance.discriminator import Discriminator
from mytalk.appearance.model import AppearanceModel
from mytalk.checkpoint import save_tensors
from mytalk.presets import PRESETS
from mytalk.training.appearance_data import Example, Examples


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a run goes. ``minutes`` is net training time, over all resumptions."""

    minutes: float
    seed: int
    batch: int = 8
    learning_rate: float = 1e-3
    warm_up: int = 200  # steps
    average: float = 0.999  # decay of the weights' moving average, which is what is shipped
    kl_weight: float = 1e-6
    gradient_weight: float = 0.25
    texture_weight: float = 2.0
    mouth_weight: float = 4.0  # on top of 1
    patch_weight: float = 0.5  # of the reconstruction's pull on the last layer
    patch_learning_rate: float = 1e-3
    patch_from: float = 0.25  # share of the run
    log_every: int = 50
    save_every: int = 500


_WIDE = 9  # pixels: low frequencies are those beyond a mean over 19 x 19
_CLUELESS = 2 * math.log(2)  # loss of a discriminator that guesses


class Run:
    """Everything that a training run is, in one place, so that it can be saved and gone on with exactly."""

    def __init__(self, preset: str, recipe: Recipe, data: Path, device: torch.device) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe, self.device = recipe, device
        sizes = PRESETS[preset].appearance
        self.model = AppearanceModel(sizes).to(device).train()
        self.average = {name: value.detach().clone() for name, value in self.model.state_dict().items()}
        self.discriminator = Discriminator(sizes).to(device)
        self.optimiser = torch.optim.Adam(self.model.parameters(), lr=recipe.learning_rate, betas=(0.9, 0.99))
        self.patch_optimiser = torch.optim.Adam(
            self.discriminator.parameters(), lr=recipe.patch_learning_rate, betas=(0.5, 0.9)
        )
        self.examples = Examples(data, sizes, recipe.seed)
        self.patch_loss = _CLUELESS
        self.steps = 0
        self.seconds = 0.0

    @property
    def share(self) -> float:
        """How much of the run is behind us, 0..1."""
        return min(1.0, self.seconds / 60 / self.recipe.minutes)

    @property
    def _trust(self) -> float:
        """0 while the discriminator guesses, 1 once it clearly sees a difference."""
        return min(1.0, max(0.0, (_CLUELESS - self.patch_loss) / 0.4))

    def step(self) -> dict[str, float]:
        """One batch. Returns the losses, and the L1 of the bent first reference alone, to compare with."""
        start = time.monotonic()
        recipe = self.recipe
        rate = recipe.learning_rate * min(1.0, (self.steps + 1) / recipe.warm_up)
        rate *= 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * self.share))
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        for group in self.patch_optimiser.param_groups:
            group["lr"] = recipe.patch_learning_rate
        batch = _Batch([self.examples.draw() for _ in range(recipe.batch)], self.device)
        rendering = self.model(batch.references, batch.non_lip, batch.landmarks)
        picture = batch.composed(rendering.mouth(batch.references) - rendering.change, rendering.change)
        losses = batch.losses(picture, recipe)
        loss = losses["l1"] + recipe.gradient_weight * losses["gradient"] + recipe.texture_weight * losses["texture"]
        loss = loss + recipe.kl_weight * rendering.kl
        adversarial = self.share >= recipe.patch_from
        if adversarial:
            fooled = functional.softplus(-self.discriminator(_detail(picture))).mean()
            loss = loss + recipe.patch_weight * self._trust * self._balance(loss, fooled) * fooled
        self.optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimiser.step()
        if adversarial:
            losses["patch"] = self._step_discriminator(batch.truth, picture.detach())
            self.patch_loss += 0.02 * (float(losses["patch"]) - self.patch_loss)
        self._take_average()
        self.steps += 1
        self.seconds += time.monotonic() - start
        return {name: float(value.detach()) for name, value in losses.items()}

    def _balance(self, rest: Tensor, patch: Tensor) -> Tensor:
        """Scales the patch loss so that both pull equally on the last layer. Esser et al. 2021, equation 7."""
        last = self.model.decoder.conv_out.weight
        of_rest, of_patch = (torch.autograd.grad(one, last, retain_graph=True)[0].norm() for one in (rest, patch))
        balance: Tensor = (of_rest / (of_patch + 1e-6)).clamp(max=10.0).detach()
        return balance

    def _step_discriminator(self, truth: Tensor, picture: Tensor) -> Tensor:
        """Equation 8, as the discriminator sees it."""
        real, painted = self.discriminator(_detail(truth)), self.discriminator(_detail(picture))
        loss = functional.softplus(-real).mean() + functional.softplus(painted).mean()
        self.patch_optimiser.zero_grad()
        loss.backward()
        self.patch_optimiser.step()
        result: Tensor = loss.detach()
        return result

    def _take_average(self) -> None:
        decay = min(self.recipe.average, (self.steps + 1) / (self.steps + 10))
        for name, value in self.model.state_dict().items():
            self.average[name].lerp_(value, 1 - decay)

    def save(self, path: Path) -> None:
        """Writes everything; the file is replaced at once."""
        state = {
            "model": self.model.state_dict(),
            "average": self.average,
            "discriminator": self.discriminator.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "patch_optimiser": self.patch_optimiser.state_dict(),
            "patch_loss": self.patch_loss,
            "steps": self.steps,
            "seconds": self.seconds,
            "torch": torch.get_rng_state(),
            "numpy": self.examples.random.bit_generator.state,
        }
        torch.save(state, path.with_suffix(".part"))
        path.with_suffix(".part").replace(path)

    def resume(self, path: Path) -> None:
        """Goes on where ``save`` left off."""
        state: dict[str, Any] = torch.load(path, map_location=self.device, weights_only=False)
        self.model.load_state_dict(state["model"])
        self.average = state["average"]
        self.discriminator.load_state_dict(state["discriminator"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.patch_optimiser.load_state_dict(state["patch_optimiser"])
        self.steps, self.seconds = state["steps"], state["seconds"]
        self.patch_loss = state["patch_loss"]
        torch.set_rng_state(state["torch"].cpu())
        self.examples.random.bit_generator.state = state["numpy"]


class _Batch:
    """A batch of examples as tensors, channels first."""

    def __init__(self, examples: list[Example], device: torch.device) -> None:
        def stack(name: str) -> Tensor:
            return torch.from_numpy(np.stack([getattr(one, name) for one in examples])).to(device)

        self.references = stack("references").movedim(-1, -3).contiguous()  # (B, 3, 3, W, W)
        self.non_lip, self.landmarks, self.around, self.truth = (
            stack(name).movedim(-1, -3).contiguous() for name in ("non_lip", "landmarks", "around", "truth")
        )
        self.region, self.mouth = stack("region").unsqueeze(1), stack("mouth").unsqueeze(1)  # (B, 1, W, W)

    def composed(self, blended: Tensor, change: Tensor) -> Tensor:
        """The whole crop. ``blended`` comes from masked references, so it carries the region's weight already."""
        return blended + self.region * change + (1 - self.region) * self.around

    def losses(self, picture: Tensor, recipe: Recipe) -> dict[str, Tensor]:
        weight = self.region * (1 + recipe.mouth_weight * self.mouth)
        total = weight.sum() * 3
        base = self.composed(self.references[:, 0], torch.zeros_like(picture))
        slopes = (weight * _slopes(picture - self.truth)).sum() / total
        texture = functional.avg_pool2d(weight * (_slopes(picture) - _slopes(self.truth)), 8, 4).abs()
        texture = texture.mean() * weight.numel() / weight.sum()
        return {
            "l1": (weight * (picture - self.truth).abs()).sum() / total,
            "warp_l1": (weight * (base - self.truth).abs()).sum() / total,
            "gradient": slopes,
            "texture": texture,
        }


def _detail(picture: Tensor) -> Tensor:
    """What the discriminator looks at: the window's middle without its low frequencies, which drown the detail.

    Noise hides that filmed pixels are whole numbers.
    """
    side = picture.shape[-1]
    part = picture[..., side // 6 : side * 5 // 6, side // 8 : side * 7 // 8]
    smooth = functional.avg_pool2d(functional.pad(part, (_WIDE,) * 4, mode="reflect"), 2 * _WIDE + 1, 1)
    return 4 * (part - smooth) + 0.05 * torch.randn_like(part)


def _slopes(x: Tensor) -> Tensor:
    """How steep each pixel is, down and to the right together; 0 in the last row and column."""
    down = functional.pad((x[..., 1:, :] - x[..., :-1, :]).abs(), (0, 0, 0, 1))
    right = functional.pad((x[..., 1:] - x[..., :-1]).abs(), (0, 1))
    return down + right


def train(run: Run, out: Path) -> None:
    """Runs to the end of the recipe's minutes, saving now and then."""
    recipe = run.recipe
    sums: dict[str, float] = {}
    with tqdm(total=round(recipe.minutes, 1), unit="min", initial=round(run.seconds / 60, 2)) as bar:
        while run.share < 1:
            for name, value in run.step().items():
                sums[name] = sums.get(name, 0.0) + value / recipe.log_every
            if run.steps % recipe.log_every == 0:
                means = {name: round(value, 5) for name, value in sums.items()}
                row = {"step": run.steps, "minutes": round(run.seconds / 60, 2), **means}
                with (out / "curve.jsonl").open("a") as file:
                    file.write(json.dumps(row) + "\n")
                bar.set_postfix(step=run.steps, l1=row["l1"], warp=row["warp_l1"])
                bar.update(run.seconds / 60 - bar.n)
                sums = {}
            if run.steps % recipe.save_every == 0:
                run.save(out / "last.pt")
    run.save(out / "last.pt")
    save_tensors(out, "appearance", run.average)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder that mytalk.training.crops made")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--preset", choices=sorted(PRESETS), default="edge")
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    arguments.out.mkdir(parents=True, exist_ok=True)
    recipe = Recipe(arguments.minutes, arguments.seed)
    run = Run(arguments.preset, recipe, arguments.data, torch.device(arguments.device))
    last = arguments.out / "last.pt"
    if last.exists():
        run.resume(last)
    print(f"{run.examples.people} people; {recipe}; step {run.steps}, {run.seconds / 60:.1f} minutes behind us")
    train(run, arguments.out)


if __name__ == "__main__":
    main()
