"""Computes the appearance model's losses: the two sides of MyTalk's equation 9."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from mytalk.appearance.discriminator import Discriminator
from mytalk.appearance.model import AppearanceModel, Rendering
from mytalk.training.appearance.options import AppearanceOptions
from mytalk.training.run.task import Batch

_LOW_PASS_RADIUS = 9  # pixels: low frequencies are those beyond a mean over 19 x 19
_CHANCE_LOSS = 2 * math.log(2)  # loss of a discriminator that guesses
_TRUST_MARGIN = 0.4  # below it by this much, a discriminator is trusted fully
_LOSS_RATE = 0.02  # how fast its running loss follows
_MAX_WEIGHT = 10.0  # times that its pull may be enlarged
_GRADIENT_SCALE = 4096.0  # keeps half-precision gradients from vanishing; their ratio does not depend on it


class GeneratedPictures:
    """Passes the pictures of one step from the generator's loss to the discriminator's, by the keys of their rows."""

    def __init__(self) -> None:
        self._step = -1
        self._pictures: dict[str, Tensor] = {}

    def put(self, batch: Batch, pictures: Tensor) -> None:
        if batch["step"] != self._step:
            self._pictures.clear()
            self._step = batch["step"]
        self._pictures.update(zip(batch["keys"], pictures.detach(), strict=True))

    def of(self, batch: Batch) -> Tensor:
        return torch.stack([self._pictures[key] for key in batch["keys"]])


class GeneratorLoss(nn.Module):
    """Holds the appearance model and its loss: reconstruction, divergence, and the adversarial loss."""

    patch_loss: Tensor

    def __init__(
        self,
        model: AppearanceModel,
        discriminator: Discriminator,
        painted: GeneratedPictures,
        options: AppearanceOptions,
    ) -> None:
        super().__init__()
        self.model = model
        self._options, self._painted = options, painted
        self._discriminator = [discriminator]  # trained by CriticLoss: not a child
        self.register_buffer("patch_loss", torch.tensor(_CHANCE_LOSS))

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        options = self._options
        picture, rendering = self.paint(batch)
        losses = self.reconstruction(picture, batch)
        loss = losses["l1"] + options.kl_weight * rendering.kl
        for name, weight in (("gradient", options.gradient_weight), ("texture", options.texture_weight)):
            if weight:
                loss = loss + weight * losses[name]
        if self.training:
            losses["kl"] = rendering.kl
            if options.patch_weight and batch["step"] >= options.patch_start:
                self._painted.put(batch, picture)
                fooled = functional.softplus(-self._discriminator[0](seen(picture, options.detail))).mean()
                losses["fooled"] = fooled
                loss = loss + options.patch_weight * self._adaptive_weight(loss, fooled) * fooled
        return {"loss": loss, **{name: value.detach() for name, value in losses.items()}}

    def paint(self, batch: Batch) -> tuple[Tensor, Rendering]:
        """Renders the pictures that the loss is on, ``(B, 3, W, W)``, and returns how they were made."""
        references = batch["references"]
        rendering = self.model(references, batch["non_lip"], batch["landmarks"], batch["noise"])
        picture = rendering.mouth(references)
        if not self._options.whole:
            picture = self._composed(picture - rendering.change, rendering.change, batch)
        return picture, rendering

    def reconstruction(self, picture: Tensor, batch: Batch) -> dict[str, Tensor]:
        """Computes losses, each a mean over rows of a row's weighted mean; ``warp_l1`` is the L1 of the first warped
        reference alone."""
        options, truth = self._options, batch["truth"]
        area = torch.ones_like(batch["region"]) if options.whole else batch["region"]
        weight = area * (1 + options.mouth_weight * batch["mouth"])
        losses = {"l1": _mean(weight, (picture - truth).abs())}
        if options.gradient_weight:
            losses["gradient"] = _mean(weight, _slopes(picture - truth))
        if options.texture_weight:
            coarse = functional.avg_pool2d(weight * (_slopes(picture) - _slopes(truth)), 8, 4).abs()
            losses["texture"] = (coarse.mean((1, 2, 3)) / weight.mean((1, 2, 3))).mean()
        if self.model.preset.residual:
            base = self._composed(batch["references"][:, 0], torch.zeros_like(picture), batch)
            losses["warp_l1"] = _mean(weight, (base - truth).abs())
        return losses

    @staticmethod
    def _composed(blended: Tensor, change: Tensor, batch: Batch) -> Tensor:
        """Composes what is shown. ``blended`` is made of masked references, so it carries the region's weight
        already."""
        region: Tensor = batch["region"]
        composed: Tensor = blended + region * change + (1 - region) * batch["around"]
        return composed

    def _adaptive_weight(self, rest: Tensor, fooled: Tensor) -> Tensor:
        """Computes the adversarial loss's weight before its constant, by the ratio of gradients. Esser et al. 2021,
        eq. 7."""
        pull = torch.ones_like(rest)
        if self._options.trust:
            pull = ((_CHANCE_LOSS - self.patch_loss) / _TRUST_MARGIN).clamp(0, 1)
        if self._options.balance and torch.is_grad_enabled():
            last = self.model.decoder.conv_out.weight
            of_rest, of_fooled = (
                torch.autograd.grad(one * _GRADIENT_SCALE, last, retain_graph=True)[0].float().norm()
                for one in (rest, fooled)
            )
            pull = pull * (of_rest / (of_fooled + 1e-6 * _GRADIENT_SCALE)).clamp(max=_MAX_WEIGHT)
        detached: Tensor = pull.detach()
        return detached

    def follow(self, patch_loss: float) -> None:
        """Takes the discriminator's loss of the last step."""
        self.patch_loss += _LOSS_RATE * (patch_loss - self.patch_loss)


class DiscriminatorLoss(nn.Module):
    """Holds the discriminator and its loss: filmed from rendered. MyTalk, equation 8, as cross-entropy."""

    def __init__(self, discriminator: Discriminator, painted: GeneratedPictures, options: AppearanceOptions) -> None:
        super().__init__()
        self.discriminator = discriminator
        self._painted, self._options = painted, options

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        detail = self._options.detail
        filmed = self.discriminator(seen(batch["truth"], detail))
        painted = self.discriminator(seen(self._painted.of(batch), detail))
        loss = functional.softplus(-filmed).mean() + functional.softplus(painted).mean()
        return {"loss": loss, "patch": loss.detach()}


def seen(picture: Tensor, detail: bool) -> Tensor:
    """Prepares what the discriminator sees: all; or the middle without its low frequencies, which drown the detail.
    Noise then hides that filmed pixels are whole numbers.

    Noise then hides that filmed pixels are whole numbers.
    """
    if not detail:
        return picture
    side = picture.shape[-1]
    part = picture[..., side // 6 : side * 5 // 6, side // 8 : side * 7 // 8]
    smooth = functional.avg_pool2d(
        functional.pad(part, (_LOW_PASS_RADIUS,) * 4, mode="reflect"), 2 * _LOW_PASS_RADIUS + 1, 1
    )
    return 4 * (part - smooth) + 0.05 * torch.randn_like(part)


def psnr(picture: Tensor, truth: Tensor, weight: Tensor, unit: Tensor) -> Tensor:
    """Computes the mean over rows of 10 log10(255^2 / mse), dB; the error is weighted by ``weight`` ``(B, 1, W,
    W)``. ``unit`` ``(B,)`` makes colours of 0..255 of the pictures.

    ``unit`` ``(B,)`` makes colours of 0..255 of the pictures.
    """
    error = ((picture - truth) * unit[:, None, None, None]).square()
    mse = (weight * error).sum((1, 2, 3)) / (3 * weight.sum((1, 2, 3)))
    return (10 * torch.log10(255.0**2 / mse.clamp(min=1e-3))).mean()


def _mean(weight: Tensor, values: Tensor) -> Tensor:
    """Computes the weighted mean of each row ``(B, 3, W, W)``; of these the mean."""
    return ((weight * values).sum((1, 2, 3)) / (3 * weight.sum((1, 2, 3)))).mean()


def _slopes(x: Tensor) -> Tensor:
    """Returns how steep each pixel is, down and to the right together; 0 in the last row and column."""
    down = functional.pad((x[..., 1:, :] - x[..., :-1, :]).abs(), (0, 0, 0, 1))
    right = functional.pad((x[..., 1:] - x[..., :-1]).abs(), (0, 1))
    return down + right
