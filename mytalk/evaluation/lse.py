"""Computes LSE-D and LSE-C: lip-sync error by SyncNet's distances and confidence. Prajwal et al. 2020, section 4.

The protocol of SyncNet's published evaluation: 25 pictures a second and 16 kHz; five pictures against 20 x 13 MFCCs,
one embedding each a frame; Euclidean distances at every shift of -15..15 frames, averaged over the clip. LSE-D is the
smallest average (lower is better), LSE-C the median of the 31 less the smallest (higher is better).

The standard pipeline crops 2.8 s around the face, s being half the longer side of S3FD's box: from s above its middle
to 1.8 s below, 1.4 s to each side, its place and size median-filtered over 13 frames, grey 110 beyond the picture.
Ours is the same crop about the bounding box of the face mesh, which reaches from the upper forehead to the chin as
S3FD's does, but is tighter by a few per cent at the temples. There crops are compressed twice on the way (Xvid, JPEG);
here not. Expect figures near published ones, not equal: compare systems within one report.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import pad, pairwise_distance

from mytalk.evaluation.extras import extra
from mytalk.evaluation.syncnet import PICTURE_FRAMES, PICTURE_SIDE, SOUND_FRAMES, SyncNet
from mytalk.face import Face
from mytalk.media_time import FRAME_SAMPLES, SAMPLE_RATE
from mytalk.picture import Picture

REACH = 15  # frames either way
CROP_SCALE = 0.4  # of the standard pipeline
_MEDIAN = 13  # frames
_GREY = 110
_BATCH = 8
_FEWEST = 5  # stacks

Spot = tuple[float, float, float]  # middle of the face, and half its longer side
Stack = NDArray[np.uint8]  # (224, 224, 3) BGR


@dataclass(frozen=True, slots=True)
class SyncReading:
    """Holds SyncNet's measures of one film."""

    offset: int  # frames by which the sound comes early (SyncNet's sign)
    distance: float  # LSE-D
    confidence: float  # LSE-C


def shifted_distances(pictures: Tensor, sound: Tensor, known: Tensor, reach: int = REACH) -> Tensor:
    """Averages distances at each shift, ``(2 * reach + 1,)``, of embeddings ``(N, D)``; ``known`` ``(N,)`` picks
    frames.

    Shift ``reach`` is none; sound beyond the clip is a vector of zeros, as in the published evaluation.
    """
    padded = pad(sound, (0, 0, reach, reach))
    rows = [
        pairwise_distance(pictures[i].expand(2 * reach + 1, -1), padded[i : i + 2 * reach + 1])
        for i in known.nonzero()[:, 0].tolist()
    ]
    return torch.stack(rows).mean(dim=0)


def read_sync(distances: Tensor) -> SyncReading:
    """Computes offset, LSE-D and LSE-C of mean distances by shift."""
    smallest, index = distances.min(dim=0)
    reach = len(distances) // 2
    return SyncReading(reach - int(index), float(smallest), float(distances.median() - smallest))


def mfcc(sound: NDArray[np.float32]) -> NDArray[np.float32]:
    """Computes 13 cepstra of 16 kHz sound, -1..1, a hundred times a second: ``(13, N)``, on 16-bit samples."""
    pcm = np.clip(np.rint(sound * 32768), -32768, 32767).astype(np.int16)
    return np.asarray(extra("python_speech_features").mfcc(pcm, SAMPLE_RATE), np.float32).T


class SyncTrack:
    """Embeds one film as it comes; ``read`` then compares with its sound. Holds at most 13 pictures."""

    def __init__(self, network: SyncNet) -> None:
        self._network = network
        self._latest: tuple[Picture, Face | None] | None = None
        self._frame = 0  # next motion frame
        self._waiting: deque[tuple[Picture, Spot | None]] = deque()
        self._spots: deque[Spot | None] = deque([None] * (_MEDIAN // 2), maxlen=_MEDIAN)
        self._stack: deque[Stack | None] = deque(maxlen=PICTURE_FRAMES)
        self._batch: list[NDArray[np.uint8]] = []
        self._embedded: list[Tensor] = []
        self._known: list[bool] = []  # a frame at which a stack begins

    def push(self, at: int, picture: Picture, face: Face | None) -> None:
        """Takes the next picture, which shows until the one after it comes."""
        while self._latest is not None and self._frame * FRAME_SAMPLES < at:
            self._show(*self._latest)
        self._latest = picture, face

    def read(self, sound: NDArray[np.float32]) -> SyncReading | None:
        """Compares with 16 kHz sound; None where too little of the face was seen."""
        if self._latest is not None:
            self._show(*self._latest)
            self._latest = None
        for _ in range(len(self._waiting)):
            self._spots.append(None)
            self._crop()
        self._embed()
        cepstra = mfcc(sound)
        stacks = min(len(self._known), len(sound) // FRAME_SAMPLES - PICTURE_FRAMES)
        known = torch.tensor(self._known[: max(stacks, 0)])
        if int(known.sum()) < _FEWEST:
            return None
        pictures = torch.zeros(stacks, self._embedded[0].shape[1])
        pictures[known] = torch.cat(self._embedded)[: int(known.sum())]
        return read_sync(shifted_distances(pictures, self._listen(cepstra, stacks), known))

    def _show(self, picture: Picture, face: Face | None) -> None:
        """Takes one motion frame."""
        self._frame += 1
        spot = None if face is None else _spot(face)
        self._waiting.append((picture, spot))
        self._spots.append(spot)
        if len(self._waiting) > _MEDIAN // 2:
            self._crop()

    def _crop(self) -> None:
        """Crops the oldest waiting picture, whose neighbours are all known by now."""
        picture, spot = self._waiting.popleft()
        around = [one for one in self._spots if one is not None]
        if spot is None or not around:
            self._stack.append(None)
        else:
            x, y, half = (float(value) for value in np.median(np.array(around), axis=0))
            self._stack.append(standard_crop(picture.rgb(), (x, y, half)))
        if len(self._stack) < PICTURE_FRAMES:
            return
        seen = [one for one in self._stack if one is not None]
        self._known.append(len(seen) == PICTURE_FRAMES)
        if self._known[-1]:
            self._batch.append(np.stack(seen))
        if len(self._batch) == _BATCH:
            self._embed()

    def _embed(self) -> None:
        if self._batch:
            stacks = torch.from_numpy(np.stack(self._batch)).float().permute(0, 4, 1, 2, 3)  # (B, 3, 5, 224, 224)
            with torch.inference_mode():
                self._embedded.append(self._network.pictures(stacks))
            self._batch.clear()

    def _listen(self, cepstra: NDArray[np.float32], stacks: int) -> Tensor:
        out = []
        for start in range(0, stacks, _BATCH):
            rows = [
                torch.from_numpy(cepstra[:, 4 * i : 4 * i + SOUND_FRAMES].copy())[None]
                for i in range(start, min(stacks, start + _BATCH))
            ]
            with torch.inference_mode():
                out.append(self._network.sound(torch.stack(rows)))
        return torch.cat(out)


def standard_crop(rgb: NDArray[np.uint8], spot: Spot) -> Stack:
    """Crops a picture ``(H, W, 3)`` as the standard pipeline does: 224 x 224 BGR."""
    x, y, half = spot
    edge = int(half * (1 + 2 * CROP_SCALE))
    padded = np.pad(rgb, ((edge, edge), (edge, edge), (0, 0)), constant_values=_GREY)
    x, y = x + edge, y + edge
    rows = slice(max(0, int(y - half)), int(y + half * (1 + 2 * CROP_SCALE)))
    columns = slice(max(0, int(x - half * (1 + CROP_SCALE))), int(x + half * (1 + CROP_SCALE)))
    face = cv2.resize(padded[rows, columns], (PICTURE_SIDE, PICTURE_SIDE))
    return np.ascontiguousarray(face[..., ::-1])


def _spot(face: Face) -> Spot:
    x0, y0, x1, y1 = face.box
    return (x0 + x1) / 2, (y0 + y1) / 2, max(x1 - x0, y1 - y0) / 2
