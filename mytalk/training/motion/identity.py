"""Trains the identity extractor: ArcFace on landmarks of the people in the data; then it is frozen."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from mytalk.checkpoint import save_preset
from mytalk.errors import DataError, OptionError
from mytalk.face.landmarks import LOWER_COUNT, LOWER_FACE, UPPER_FACE
from mytalk.motion.identity import ArcFace, IdentityExtractor
from mytalk.presets import Preset
from mytalk.torch_checkpoint import save_tensors
from mytalk.training.data.people import clips_by_person
from mytalk.training.data.store import ClipStore
from mytalk.training.run.config import TrainingOptions
from mytalk.training.run.task import Batch, Phase, Task, full_precision, row_rng, stack_rows

_POINTS = list(LOWER_FACE + UPPER_FACE)


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityOptions(TrainingOptions):
    """Holds how the identity extractor is trained."""

    scale: float = 16.0  # ArcFace's s
    margin: float = 0.3  # ArcFace's m, radians
    noise: float = 0.01  # of landmarks, standard deviation in units of the distance between the eyes
    frames_a_clip: int = 1  # rows that come from one clip: reading a clip costs far more than a row
    held_out_frames: float = 0.1  # share of each clip, at its end, that is kept for validation

    def __post_init__(self) -> None:
        if not 0 <= self.held_out_frames < 1 or self.frames_a_clip < 1:
            raise OptionError("held_out_frames: need 0 to below 1; frames_a_clip: need at least 1")


class FaceFrames:
    """Draws single frames by (step, row): a person, a clip of theirs, a frame. People are drawn evenly. ``held_out``
    takes the frames at the end of each clip instead. Faces used last are kept: ``cache_bytes`` at most.

    ``held_out`` takes the frames at the end of each clip instead. Faces used last are kept: ``cache_bytes`` at most.
    """

    def __init__(
        self, options: IdentityOptions, store: ClipStore, *, held_out: bool = False, cache_bytes: int = 256 * 2**20
    ) -> None:
        self._options, self._store, self._held_out = options, store, held_out
        self._people = list(clips_by_person(store).values())
        self._cache: OrderedDict[int, NDArray[np.float32]] = OrderedDict()
        self._cached, self._cache_bytes = 0, cache_bytes

    def __len__(self) -> int:
        """Returns an epoch's frames: one of each clip."""
        return len(self._store)

    def draw(self, step: int, row: int) -> dict[str, Any]:
        options = self._options
        shared = row_rng(options.seed, step, row // options.frames_a_clip, stream=2)
        rng = row_rng(options.seed, step, row, stream=3)
        person = int(shared.integers(len(self._people)))
        index = int(shared.choice(self._people[person]))
        faces = self._faces(index)
        seen = max(1, int(len(faces) * (1 - options.held_out_frames)))
        low, high = (min(seen, len(faces) - 1), len(faces)) if self._held_out else (0, seen)
        face = faces[int(rng.integers(low, high))]
        if not self._held_out:
            face = face + np.float32(options.noise) * rng.standard_normal(face.shape, np.float32)
        return {"key": self._store.entries[index].key, "face": face, "person": person}

    def collate(self, rows: list[dict[str, Any]]) -> Batch:
        return stack_rows(rows)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_cache": OrderedDict(), "_cached": 0}

    def _faces(self, index: int) -> NDArray[np.float32]:
        """Returns lower and upper faces of a clip ``(T, 207, 3)``."""
        if index in self._cache:
            self._cache.move_to_end(index)
            return self._cache[index]
        faces = self._store.landmarks(index).canonical[:, _POINTS]
        self._cache[index] = faces
        self._cached += faces.nbytes
        while self._cached > self._cache_bytes and len(self._cache) > 1:
            self._cached -= self._cache.popitem(last=False)[1].nbytes
        return faces


class IdentityLosses(nn.Module):
    """Holds extractor and class centres. Deng et al. 2019."""

    def __init__(self, preset: Preset, people: int, options: IdentityOptions) -> None:
        super().__init__()
        self.extractor = IdentityExtractor(preset.identity)
        self.arcface = ArcFace(preset.identity.embedding, people, options.scale, options.margin)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        embedding, person = self.embed(batch), batch["person"]
        with full_precision(embedding):
            return {"loss": self.arcface(embedding, person), "accuracy": self.accuracy(embedding, person)}

    def embed(self, batch: Batch) -> Tensor:
        embedding: Tensor = self.extractor(batch["face"][:, :LOWER_COUNT], batch["face"][:, LOWER_COUNT:])
        return embedding.float()

    def accuracy(self, embedding: Tensor, person: Tensor) -> Tensor:
        """Returns the share of rows whose nearest centre is their own person's."""
        centres = F.normalize(self.arcface.centres.detach(), dim=-1)
        return ((embedding.detach() @ centres.T).argmax(-1) == person).float().mean()


class IdentityTask(Task):
    """Trains the identity extractor. Raises DataError where the data holds fewer than two people."""

    name = "identity"
    best = "error"

    def __init__(self, preset: Preset, options: IdentityOptions, data: Sequence[Path]) -> None:
        torch.manual_seed(options.seed)
        store = ClipStore(list(data), hold_out=options.hold_out, cache_bytes=0)
        if len(store.people) < 2:
            raise DataError(f"{', '.join(map(str, data))}: clips of one person; need two or more to tell them apart")
        self.preset = preset
        self.examples = FaceFrames(options, store)
        self.held_out = FaceFrames(options, store, held_out=True) if options.held_out_frames else None
        self.averaged = self.losses = IdentityLosses(preset, len(store.people), options)
        self.phases = (Phase("identity", self.losses),)

    def validate(self, batch: Batch) -> Mapping[str, Tensor]:
        """Computes ``accuracy`` on frames that were never trained on, and its complement, ``error``."""
        figures = self.losses(batch)
        return {**figures, "error": 1 - figures["accuracy"]}

    def export(self, folder: Path) -> None:
        save_preset(folder, self.preset)
        save_tensors(folder, "identity", self.losses.extractor.state_dict())
