"""Counts how large each component of a preset is, beside table 9 of MyTalk where the preset is the paper's.

    python -m benchmarks.models.parameters [--preset paper] [--json [FILE]]

Counted on the meta device: nothing is allocated. Wav2vec 2.0, which is frozen and comes from elsewhere, is not counted;
the discriminator, which only training has, is. ``--json`` alone prints JSON instead of the table.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import nn

from mytalk.appearance.discriminator import Discriminator
from mytalk.appearance.model import AppearanceModel
from mytalk.checkpoint import read_preset
from mytalk.motion.model import MotionModel
from mytalk.presets import PRESETS, Preset

TABLE_9 = {
    "audio encoder": 24.6e6,
    "audio downsample": 786e3,
    "identity extractor": 4.3e6,
    "Conformer backbone": 188e6,
    "lip appearance encoder": 237e6,
    "non-lip appearance encoder": 237e6,
    "landmark encoder": 237e6,
    "FusionNet": 4.8e6,
    "appearance quant conv": 42,
    "landmark quant conv": 42,
    "appearance-landmark quant conv": 21,
    "post-quant conv": 12,
    "decoder": 280e6,
    "discriminator": 17.5e6,
    "all": 1.23e9,  # table 10
}
"""Parameters of each component in the paper."""


@dataclass(frozen=True, slots=True)
class Row:
    """Holds one component's parameters, here and in the paper; without a paper's figure for another preset."""

    ours: int
    paper: float | None
    difference_percent: float | None


def components(preset: Preset) -> dict[str, nn.Module]:
    """Builds table 9's components of a preset, on the meta device."""
    with torch.device("meta"):
        motion, look = MotionModel(preset), AppearanceModel(preset.appearance)
        patches = Discriminator(preset.appearance)
    encoder = {name: module for name, module in motion.speech.named_children() if name != "downsample"}
    return {
        "audio encoder": nn.ModuleDict(encoder),
        "audio downsample": getattr(motion.speech, "downsample", nn.Identity()),
        "identity extractor": motion.identity,
        "Conformer backbone": motion.denoiser,
        "lip appearance encoder": look.lip_encoder,
        "non-lip appearance encoder": look.non_lip_encoder,
        "landmark encoder": look.landmark_encoder,
        "FusionNet": look.fusion,
        "appearance quant conv": look.appearance_quant,
        "landmark quant conv": look.landmark_quant,
        "appearance-landmark quant conv": look.joint_quant,
        "post-quant conv": look.post_quant,
        "decoder": look.decoder,
        "discriminator": patches,
    }


def parameters(module: nn.Module) -> int:
    return sum(weight.numel() for weight in module.parameters())


def rows(preset: Preset) -> dict[str, Row]:
    """Lists every component and, last, all of them."""
    ours = {name: parameters(module) for name, module in components(preset).items()}
    ours["all"] = sum(ours.values())
    if preset.name != "paper":
        return {name: Row(count, None, None) for name, count in ours.items()}
    return {
        name: Row(count, TABLE_9[name], round(100 * (count / TABLE_9[name] - 1), 2)) for name, count in ours.items()
    }


def table(counted: dict[str, Row]) -> str:
    lines = [f"{'':32} {'ours':>15} {'paper':>15}  difference"]
    for name, row in counted.items():
        line = f"{name:32} {row.ours:15,}"
        if row.paper is not None:
            line += f" {row.paper:15,.0f}  {row.difference_percent:+8.2f} %"
        lines.append(line)
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="paper", help=f"{', '.join(PRESETS)}, or a checkpoint folder")
    parser.add_argument("--json", type=Path, nargs="?", const=Path("-"), default=None)
    arguments = parser.parse_args()
    preset = PRESETS.get(arguments.preset) or read_preset(Path(arguments.preset))
    counted = rows(preset)
    written = json.dumps({"preset": preset.name, "components": {name: asdict(row) for name, row in counted.items()}})
    if arguments.json == Path("-"):
        print(written)
        return
    print(f"preset {preset.name}: parameters, counted on the meta device")
    print(table(counted))
    if arguments.json is not None:
        arguments.json.write_text(written + "\n")


if __name__ == "__main__":
    main()
