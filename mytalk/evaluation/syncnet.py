"""Defines SyncNet: two towers that map 0.2 s of picture and of sound to embeddings that lie close when in sync.

Chung and Zisserman 2016, "Out of time", figure 2, in the sizes of its published weights (``syncnet_v2.model``, a state
dict): 1024-wide embeddings, pictures 224 x 224. Parameter names are those of that file.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from mytalk.errors import UnreadableError, WeightsError

EMBEDDING = 1024
PICTURE_FRAMES, PICTURE_SIDE = 5, 224
SOUND_FRAMES = 20


class _Layer(NamedTuple):
    """Applies a convolution with batch norm and ReLU, and the max pooling after it."""

    width: int
    kernel: tuple[int, ...]
    stride: int = 1  # of height and width
    padding: tuple[int, ...] = ()
    pool: tuple[int, ...] | None = None  # stride of a 3 x 3 pooling; all 1: none, but the file counts it
    pool_padding: tuple[int, ...] = ()


_SOUND = (
    _Layer(64, (3, 3), padding=(1, 1), pool=(1, 1)),
    _Layer(192, (3, 3), padding=(1, 1), pool=(1, 2)),
    _Layer(384, (3, 3), padding=(1, 1)),
    _Layer(256, (3, 3), padding=(1, 1)),
    _Layer(256, (3, 3), padding=(1, 1), pool=(2, 2)),
    _Layer(512, (5, 4)),
)
_PICTURE = (
    _Layer(96, (5, 7, 7), 2, pool=(1, 2, 2)),
    _Layer(256, (1, 5, 5), 2, padding=(0, 1, 1), pool=(1, 2, 2), pool_padding=(0, 1, 1)),
    _Layer(256, (1, 3, 3), padding=(0, 1, 1)),
    _Layer(256, (1, 3, 3), padding=(0, 1, 1)),
    _Layer(256, (1, 3, 3), padding=(0, 1, 1), pool=(1, 2, 2)),
    _Layer(512, (1, 6, 6)),
)


class SyncNet(nn.Module):
    """Embeds pictures ``(B, 3, 5, 224, 224)`` BGR 0..255 and MFCCs ``(B, 1, 13, 20)`` as ``(B, 1024)`` each."""

    def __init__(self) -> None:
        super().__init__()
        self.netcnnaud = _tower(1, _SOUND)
        self.netfcaud = _head()
        self.netfclip = _head()
        self.netcnnlip = _tower(3, _PICTURE)

    def pictures(self, stack: Tensor) -> Tensor:
        out: Tensor = self.netfclip(self.netcnnlip(stack).flatten(1))
        return out  # (B, 1024)

    def sound(self, mfcc: Tensor) -> Tensor:
        out: Tensor = self.netfcaud(self.netcnnaud(mfcc).flatten(1))
        return out  # (B, 1024)


def load_syncnet(path: Path) -> SyncNet:
    """Loads the network with the user's weights, ready to measure.

    Raises UnreadableError where there is no such file, WeightsError where it holds something else.
    """
    if not path.is_file():
        raise UnreadableError(f"{path}: no such file (need SyncNet's weights, syncnet_v2.model)")
    try:
        stored = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        raise WeightsError(f"{path}: not a file of weights (need syncnet_v2.model)") from error
    network = SyncNet()
    own = network.state_dict()
    for name, tensor in own.items():
        if name.endswith("num_batches_tracked"):
            continue
        found = stored.get(name) if isinstance(stored, dict) else None
        if found is None or found.shape != tensor.shape:
            has = "is missing" if found is None else f"is {tuple(found.shape)}"
            raise WeightsError(f"{path}: tensor {name} {has} (SyncNet has {tuple(tensor.shape)})")
    network.load_state_dict({name: stored.get(name, tensor) for name, tensor in own.items()})
    return network.eval()


def _tower(channels: int, layers: tuple[_Layer, ...]) -> nn.Sequential:
    flat = len(layers[0].kernel) == 2
    convolution, norm, pooling = (
        (nn.Conv2d, nn.BatchNorm2d, nn.MaxPool2d) if flat else (nn.Conv3d, nn.BatchNorm3d, nn.MaxPool3d)
    )
    modules: list[nn.Module] = []
    for layer in layers:
        stride = (layer.stride,) * 2 if flat else (1, layer.stride, layer.stride)
        padding = layer.padding or (0,) * len(layer.kernel)
        modules += [
            convolution(channels, layer.width, layer.kernel, stride=stride, padding=padding),  # type: ignore[arg-type]
            norm(layer.width),
            nn.ReLU(inplace=True),
        ]
        if layer.pool is not None and set(layer.pool) == {1}:
            modules.append(nn.Identity())
        elif layer.pool is not None:
            window = (3, 3) if flat else (1, 3, 3)
            modules.append(pooling(window, stride=layer.pool, padding=layer.pool_padding or 0))
        channels = layer.width
    return nn.Sequential(*modules)


def _head() -> nn.Sequential:
    return nn.Sequential(nn.Linear(512, 512), nn.BatchNorm1d(512), nn.ReLU(), nn.Linear(512, EMBEDDING))
