"""Defines layers that encoders, FusionNet and decoder share: the ResNet block of latent diffusion's autoencoders."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

_HEAD = 64  # channels of an attention head


def norm(channels: int, groups: int) -> nn.Module:
    """Returns GroupNorm, or an identity where ``groups`` is 0."""
    return nn.GroupNorm(groups, channels, eps=1e-6) if groups else nn.Identity()


class ResnetBlock(nn.Module):
    """Applies two 3x3 convolutions and a shortcut. Esser et al. 2021 (VQGAN), without time embedding."""

    def __init__(self, inputs: int, outputs: int, groups: int) -> None:
        super().__init__()
        self.norm1 = norm(inputs, groups)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.norm2 = norm(outputs, groups)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.shortcut = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:  # (B, inputs, H, W) -> (B, outputs, H, W)
        hidden = self.conv1(functional.silu(self.norm1(x)))
        hidden = self.conv2(functional.silu(self.norm2(hidden)))
        return torch.add(self.shortcut(x), hidden)


class Attention(nn.Module):
    """Attends over all cells of a feature map; heads are 64 wide, which fused kernels take."""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.heads = 1 if channels % _HEAD else channels // _HEAD
        self.norm = norm(channels, groups)
        self.query_key_value = nn.Conv2d(channels, 3 * channels, 1)
        self.out = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:  # (B, C, H, W)
        flat = self.query_key_value(self.norm(x)).flatten(2).transpose(1, 2)  # (B, H W, 3 C)
        query, key, value = flat.unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)  # (B, heads, H W, C / heads)
        seen = functional.scaled_dot_product_attention(query, key, value)
        return torch.add(x, self.out(seen.transpose(2, 3).reshape(x.shape)))


def middle(channels: int, groups: int) -> nn.Sequential:
    """Builds block, attention, block for the lowest resolution."""
    return nn.Sequential(
        ResnetBlock(channels, channels, groups), Attention(channels, groups), ResnetBlock(channels, channels, groups)
    )


def wide_middle(channels: int, blocks: int, groups: int) -> nn.Sequential:
    """Builds several blocks with attention around each."""
    layers: list[nn.Module] = [Attention(channels, groups)]
    for _ in range(blocks):
        layers += [ResnetBlock(channels, channels, groups), Attention(channels, groups)]
    return nn.Sequential(*layers)
