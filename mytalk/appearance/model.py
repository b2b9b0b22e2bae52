"""Renders a mouth from its landmarks and reference mouths: the appearance model. MyTalk, section 3.4."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn

from mytalk.appearance.decoder import Decoder
from mytalk.appearance.encoder import Encoder
from mytalk.appearance.fusion import FusionNet
from mytalk.appearance.preset import AppearancePreset
from mytalk.runtime.call_batcher import CallBatcher
from mytalk.runtime.cuda_graphs import PaddedGraphs, Recorder, record_batches
from mytalk.runtime.graph_module import GraphModule, GraphSpec

if TYPE_CHECKING:
    from mytalk.appearance.batched.kernel import BatchedKernel
    from mytalk.appearance.interfaces import Painter

BATCH = 8
"""Pictures of one batch at most, on a GPU: by then its kernels are long enough to fill it."""

_LOG_VARIANCE = (-20.0, 10.0)  # log variances of a latent are clamped to these
_FIRST_LOG_VARIANCE = -6.0  # initial log variance: an untrained latent carries more signal than noise


class Rendering(NamedTuple):
    """Says how the mouth is made of the references. Pictures are in units of ``Exposure``.

    ``mouth = references[0] + sum_k blend[k] * (references[k + 1] - references[0]) + change``
    """

    blend: Tensor  # (B, R - 1, S, S)
    change: Tensor  # (B, 3, S, S)
    kl: Tensor  # (): divergence of both latents from N(0, 1), per element; 0 outside training

    def mouth(self, references: Tensor) -> Tensor:  # (B, R, 3, S, S) -> (B, 3, S, S)
        """Computes the rendered mouth."""
        first = references[:, 0]
        others = references[:, 1:] - first.unsqueeze(1)
        return first + (self.blend.unsqueeze(2) * others).sum(dim=1) + self.change


class AppearanceModel(GraphModule):
    """Joins three encoders, FusionNet and a decoder; a VAE while it trains. MyTalk, equations 5 to 7."""

    def __init__(self, preset: AppearancePreset) -> None:
        super().__init__()
        self.preset = preset
        self._batcher: CallBatcher | None = None  # what a session asks of it, on a GPU
        self._kernel: BatchedKernel | None = None  # what renders its sessions' frames there
        self.lip_encoder = Encoder(preset)
        self.non_lip_encoder = Encoder(preset)
        self.landmark_encoder = Encoder(preset)
        self.fusion = FusionNet(preset)
        self.appearance_quant = nn.Conv2d(2 * preset.latent, 2 * preset.latent, 1)
        self.landmark_quant = nn.Conv2d(2 * preset.latent, 2 * preset.latent, 1)
        self.joint_quant = nn.Conv2d(2 * preset.latent, preset.latent, 1)
        self.post_quant = nn.Conv2d(preset.latent, preset.latent, 1)
        self.decoder = Decoder(preset)
        for quant in (self.appearance_quant, self.landmark_quant):
            assert quant.bias is not None
            nn.init.constant_(quant.bias[preset.latent :], _FIRST_LOG_VARIANCE)

    def new_painter(self) -> Painter:
        """Returns the painter of a new session."""
        from mytalk.appearance.painted_face import PaintedFace, TorchRefiner
        from mytalk.appearance.warped_reference import WarpedReference

        self.eval()
        return WarpedReference(TorchRefiner(self), self._kernel) if self.preset.residual else PaintedFace(self)

    def forward(self, references: Tensor, non_lip: Tensor, landmarks: Tensor, noise: Tensor | None = None) -> Rendering:
        """Renders a batch of mouths.

        ``references`` ``(B, R, 3, S, S)`` are mouths of other frames, 0 outside the mouth region where the preset says
        masked; a residual preset's are pictures of the wanted shape, the widest mean first
        (`mytalk.appearance.reference_mean`). ``non_lip`` ``(B, 3, S, S)`` is the current picture, its mouth region 0;
        ``landmarks`` ``(B, 3, S, S)`` is drawn by ``raster``. ``noise`` ``(B, 2, latent, s, s)`` from N(0, 1) draws the
        latents while training; None makes its own.
        """
        out, kl = self._decode(self.lip_features(references), non_lip, landmarks, noise)
        if self.preset.residual:
            return Rendering(out[:, 3:], out[:, :3], kl)
        blend = out.new_zeros((out.shape[0], references.shape[1] - 1, *out.shape[2:]))
        return Rendering(blend, out - references[:, 0], kl)

    def graph_spec(self) -> GraphSpec:
        """Makes ``refine`` of a residual preset a graph."""
        shape = (3, self.preset.window, self.preset.window)
        references = self.post_quant.weight.new_zeros(1, self.preset.references, *shape)
        example = {"references": references, "non_lip": references[:, 0], "landmarks": references[:, 0]}
        example = {name: one.movedim(-3, -1) for name, one in example.items()}
        return GraphSpec(self._refine, example, dict.fromkeys(example, 1))

    def refine(self, references: Tensor, non_lip: Tensor, landmarks: Tensor) -> Tensor:
        """Returns what a residual preset adds to the first reference, ``(B, S, S, 3)``. All pictures have channels
        last."""
        run = self._refine if self.training else self._batcher or self._refine
        return run(references, non_lip, landmarks)[0]

    def _refine(self, references: Tensor, non_lip: Tensor, landmarks: Tensor) -> tuple[Tensor]:
        references = references.permute(0, 1, 4, 2, 3)
        refined = self(references, non_lip.permute(0, 3, 1, 2), landmarks.permute(0, 3, 1, 2)).mouth(references)
        return ((refined - references[:, 0]).permute(0, 2, 3, 1),)

    def lip_features(self, references: Tensor) -> Tensor:  # (B, R, 3, S, S) -> (B, R, 2 latent, s, s)
        """Encodes the references by the lip encoder; for a painting preset they are the same all through a session.

        Compute it once and give it to ``paint`` with every frame; ``forward`` computes it each time.
        """
        features: Tensor = self.lip_encoder(references.flatten(0, 1)).unflatten(0, references.shape[:2])
        return features

    def paint(self, lips: Tensor, non_lip: Tensor, landmarks: Tensor) -> Tensor:
        """Paints pictures ``(B, 3, S, S)`` of a painting preset, from ``lip_features`` and the inputs of ``forward``.

        Raises ValueError for a residual preset: its references change with every frame.
        """
        if self.preset.residual:
            raise ValueError("a residual preset refines references, which paint does not get: call the model")
        run = self._paint if self.training else self._batcher or self._paint
        return run(lips, non_lip, landmarks)[0]

    def _paint(self, lips: Tensor, non_lip: Tensor, landmarks: Tensor) -> tuple[Tensor]:
        return (self._decode(lips, non_lip, landmarks)[0],)

    def to_cuda_graphs(self, record: Recorder | None = None) -> None:
        """Switches to CUDA graphs; from then on pictures that several threads ask for at once share a batch."""
        run = self._refine if self.preset.residual else self._paint
        self._batcher = CallBatcher(PaddedGraphs(run, record), BATCH)
        record_batches(self._render_black, BATCH)
        if self.preset.residual:
            from mytalk.appearance.batched.kernel import BatchedKernel

            self._kernel = BatchedKernel(self.post_quant.weight.device, self.preset, record)
            if record is None:
                self._kernel.record()

    @torch.inference_mode()
    def _render_black(self, rows: int) -> Tensor:
        """Renders so many black pictures, as a session asks for them."""
        side = self.preset.window
        picture = self.post_quant.weight.new_zeros(rows, side, side, 3)
        lips = picture[:, None].expand(-1, self.preset.references, -1, -1, -1)
        if self.preset.residual:
            return self.refine(lips, picture, picture)
        seen = picture.movedim(-1, 1)
        return self.paint(self.lip_features(lips.movedim(-1, 2)), seen, seen)

    def _decode(
        self, lips: Tensor, non_lip: Tensor, landmarks: Tensor, noise: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Returns all outputs of the decoder, and the latents' divergence."""
        appearance = self.appearance_quant(self.fusion(lips, self.non_lip_encoder(non_lip)))
        motion = self.landmark_quant(self.landmark_encoder(landmarks))
        noises = (None, None) if noise is None else noise.unbind(1)
        appearance, appearance_kl = self._latent(appearance, noises[0])
        motion, motion_kl = self._latent(motion, noises[1])
        latent = self.post_quant(self.joint_quant(torch.cat([appearance, motion], dim=1)))
        return self.decoder(latent), appearance_kl + motion_kl

    def _latent(self, moments: Tensor, noise: Tensor | None) -> tuple[Tensor, Tensor]:
        """Draws from the latent's distribution while training; returns its mean otherwise."""
        mean, log_variance = moments.chunk(2, dim=1)
        if not self.training:
            return mean, mean.new_zeros(())
        log_variance = log_variance.clamp(*_LOG_VARIANCE)
        kl = 0.5 * (mean.square() + log_variance.exp() - 1.0 - log_variance).mean()
        noise = torch.randn_like(mean) if noise is None else noise
        return mean + torch.exp(0.5 * log_variance) * noise, kl
