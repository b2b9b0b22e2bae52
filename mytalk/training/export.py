"""Joins three runs to one preset folder that ``mytalk dub --preset FOLDER`` runs."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import torch

from mytalk.checkpoint import CONFIG, folder_label, read_preset, read_speech_model, save_preset, save_speech_model
from mytalk.errors import OutputExistsError, PresetError, WeightsError
from mytalk.presets import Preset
from mytalk.torch_checkpoint import read_tensors, save_tensors
from mytalk.training.graphs import write_graphs
from mytalk.training.motion.task import PHONES, weights_of
from mytalk.training.run.checkpoints import AVERAGE, is_checkpoint, read_run
from mytalk.training.run.logbook import read_curve

CARD = "MODEL_CARD.md"


def compose(
    identity: Path,
    motion: Path,
    appearance: Path,
    folder: Path,
    *,
    average: Sequence[Path] = (),
    force: bool = False,
) -> Preset:
    """Writes a checkpoint folder from an identity, a motion (or distilled) and an appearance run, and returns its
    preset, named by the folder and a hash of its weights.

    A run gives its newest averaged weights; one of its checkpoints (``RUN/checkpoints/step-00001000``) gives its own.
    ``average`` are further motion runs that began from the same weights as ``motion``: the mean of all of them is
    written (Wortsman et al. 2022, "Model soups").

    Raises OutputExistsError where the folder holds a checkpoint and ``force`` is not given, WeightsError where a
    motion model was trained with another identity extractor or in another motion space, PresetError where the runs are
    of different presets.
    """
    if (folder / CONFIG).exists() and not force:
        raise OutputExistsError(f"{folder}: holds a checkpoint already (--force replaces it)")
    runs = {"identity": identity, "motion": motion, "appearance": appearance}
    runs |= {f"motion {place}": run for place, run in enumerate(average, 2)}
    sources = {part: weights_of(_run_of(run)) for part, run in runs.items()}
    presets = {part: read_preset(source) for part, source in sources.items()}
    names = {preset.name for preset in presets.values()}
    if len(names) > 1:
        raise PresetError(f"runs of different presets, {', '.join(sorted(names))}: need three of one")
    tensors = {part: _tensors(run, sources[part], part.split()[0]) for part, run in runs.items()}
    motions = {part: runs[part] for part in runs if part.startswith("motion")}
    for part, run in motions.items():
        _check_identity(identity, run, tensors["identity"], read_tensors(sources[part], "identity"))
    tensors["motion"] = _mean({run: tensors.pop(part) for part, run in motions.items()})
    preset = dataclasses.replace(presets["motion"], appearance=presets["appearance"].appearance)
    save_preset(folder, preset)
    for part, own in tensors.items():
        save_tensors(folder, part, own)
    speech_model = read_speech_model(sources["motion"])
    if speech_model is not None:
        save_speech_model(folder, **speech_model)
    write_graphs(folder)
    label = folder_label(folder)
    (folder / CARD).write_text(
        _card(label, preset, runs, {part: sum(t.numel() for t in own.values()) for part, own in tensors.items()})
    )
    return dataclasses.replace(preset, name=label)


def _run_of(folder: Path) -> Path:
    """Returns the run that a checkpoint lies in; any other folder is itself."""
    return folder.parent.parent if is_checkpoint(folder) else folder


def _tensors(folder: Path, weights: Path, part: str) -> dict[str, torch.Tensor]:
    """Reads what a run exported, or the averaged weights of one of its checkpoints, named as exported ones."""
    if not is_checkpoint(folder):
        return read_tensors(weights, part)
    prefix = "extractor." if part == "identity" else ""
    average = read_tensors(folder, AVERAGE)
    remaining = {name: tensor for name, tensor in average.items() if not name.startswith(PHONES)}
    return {name.removeprefix(prefix): tensor for name, tensor in remaining.items() if name.startswith(prefix)}


def _mean(motions: dict[Path, dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    """Averages the weights of several motion runs."""
    first, *others = motions
    for other in others:
        for name, tensor in motions[first].items():
            if name not in motions[other] or motions[other][name].shape != tensor.shape:
                raise WeightsError(f"{other}: tensor {name} is missing or of another shape than {first}'s")
            if name.startswith("space.") and not torch.equal(motions[other][name], tensor):
                raise WeightsError(
                    f"{other}: moves in another space than {first}; a mean needs runs that began from the same weights"
                )
    return {
        name: torch.stack([own[name].double() for own in motions.values()]).mean(0).to(tensor.dtype)
        if tensor.is_floating_point()
        else tensor
        for name, tensor in motions[first].items()
    }


def _check_identity(
    identity: Path, motion: Path, given: dict[str, torch.Tensor], used: dict[str, torch.Tensor]
) -> None:
    if given.keys() != used.keys() or any(not torch.equal(given[name], used[name]) for name in given):
        raise WeightsError(
            f"{motion}: was trained with another identity extractor than {identity}; give that one's run"
        )


def _card(label: str, preset: Preset, runs: dict[str, Path], sizes: dict[str, int]) -> str:
    """Writes what is known of the weights by themselves; their trainer knows the rest."""
    lines = [
        f"# Model card: {label}",
        "",
        f"Sizes of preset `{preset.name}`.",
        "",
        "| part | numbers stored | steps | last figures |",
        "|---|---|---|---|",
    ]
    for part, run in runs.items():
        curve = read_curve(_run_of(run))
        if is_checkpoint(run):
            curve = [line for line in curve if line["step"] <= read_run(run).step]
        last = {name: value for line in curve[-3:] for name, value in line.items() if name != "rows_per_second"}
        figures = ", ".join(
            f"{name} {value:.4g}" for name, value in last.items() if name not in ("step", "learning_rate")
        )
        lines.append(f"| {part} | {sizes[part.split()[0]]:,} | {int(last.get('step', 0))} | {figures} |")
    lines += ["", "## Options", "", "```json"]
    options = {part: _options(run) for part, run in runs.items()}
    lines += [
        json.dumps(options, indent=1),
        "```",
        "",
        "## Data, limits, misuse",
        "",
        "To be written by who trained it.",
    ]
    return "\n".join(lines) + "\n"


def _options(run: Path) -> object:
    path = _run_of(run) / "options.json"
    return json.loads(path.read_text())["options"] if path.exists() else {}
