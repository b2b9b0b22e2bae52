"""Measures wav2vec 2.0 live: how far chunks, running norms and the bounded past move its features, and what a frame
costs.

    python -m benchmarks.models.speech [--wav2vec FOLDER_OR_NAME] [--speech FILE] [--device cpu|cuda] [--no-time]
        [--json FILE]

Differences are root mean squares over those of the features, in per cent, after the first second unless said otherwise:

- chunks: one motion frame, or three, at a time, against a whole recording. Rounding only.
- bf16: the network in bfloat16 against float32, both whole.
- norm over time (group-norm networks): running moments, which training, files and live sessions all have, against
  moments of the whole recording, which no live session can have. All else the same.
- published: against the network as published, whole recording and both directions, same input level.

Without ``--wav2vec`` the networks are small ones with random weights: chunks and bf16 mean what they say, the last two
only that the norms differ, for a random network answers to its norm alone. Times are of a network of wav2vec2-base's
size (12 layers of 768, random weights, 4 s of past) and the paper's audio encoder behind it, one session.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.models.timing import clock, machine, synchronise
from mytalk.media import SpeechReader
from mytalk.media_time import FRAME_SAMPLES
from mytalk.presets import PRESETS
from mytalk.speech.conformer import ConformerEncoder
from mytalk.speech.running_stats import Moments
from mytalk.speech.wav2vec import Wav2Vec2
from mytalk.speech.wav2vec_loader import import_transformers, load_wav2vec

SPEECH = Path(__file__).parent.parent / "mytalk" / "assets" / "demo_speech.flac"
LOOKBACK = PRESETS["paper"].speech.lookback
SECOND = 50  # tokens
WARM_UP, RUNS = 3, 15


@dataclass(frozen=True, slots=True)
class Moved:
    """Holds how far one thing moves the features of one network, in per cent of them."""

    network: str
    what: str
    percent: float
    most: float  # largest absolute difference
    note: str = ""


@dataclass(frozen=True, slots=True)
class Cost:
    """Holds what live speech costs a session."""

    what: str
    frames: int  # motion frames a call
    ms: float  # a motion frame


class WholeRecordingNorm(Wav2Vec2):
    """Runs the same network, its first norm over the whole recording, as published."""

    def _norm_over_time(self, x: Tensor, norm: nn.GroupNorm, moments: Moments, frames: int | None) -> Tensor:
        return norm(x) if frames else super()._norm_over_time(x, norm, moments, frames)


def small(folder: Path, norm: str) -> Path:
    """Saves a small network with random weights, as the hub saves them."""
    transformers = import_transformers()
    torch.manual_seed(0)
    config = transformers.Wav2Vec2Config(
        hidden_size=64,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=128,
        conv_dim=(32,) * 7,
        conv_bias=norm == "layer",
        feat_extract_norm=norm,
        do_stable_layer_norm=norm == "layer",
        num_conv_pos_embeddings=32,
        num_conv_pos_embedding_groups=4,
    )
    transformers.Wav2Vec2Model(config).save_pretrained(folder)
    return folder


def streamed(front: Wav2Vec2, sound: Tensor, frames: int) -> Tensor:
    state = front.start(len(sound))
    return torch.cat([front.stream(part, state) for part in sound.split(frames * FRAME_SAMPLES, dim=1)], dim=1)


def published(front: Wav2Vec2, sound: Tensor) -> Tensor:
    """Runs the network's own forward pass, both directions, with the 80 zeros that align its tokens with ours."""
    level = (sound - sound.mean()) / sound.std() if front.normalise else sound
    made: Tensor = front.model(F.pad(level, (front.model.config.conv_kernel[0] * 8, 0))).last_hidden_state
    return made


def apart(network: str, what: str, made: Tensor, wanted: Tensor, first: int = SECOND, note: str = "") -> Moved:
    difference = made.float() - wanted.float()
    late = difference[:, first:].square().mean().sqrt() / wanted.float()[:, first:].square().mean().sqrt()
    return Moved(network, what, 100 * float(late), float(difference.abs().max()), note)


@torch.inference_mode()
def differences(source: Path | str, name: str, sound: Tensor, device: torch.device) -> list[Moved]:
    front = load_wav2vec(source, lookback=LOOKBACK).to(device)
    whole = front.offline(sound)
    moved = [apart(name, f"chunks of {frames}", streamed(front, sound, frames), whole, 0) for frames in (1, 3)]
    if front.model.config.feat_extract_norm == "group":
        arguments = {"lookback": LOOKBACK, "normalise": front.normalise, "source": "", "sha256": ""}
        other = WholeRecordingNorm(front.model, **arguments).to(device)
        over_all = other.stream(sound, other.start())
        moved.append(apart(name, "norm over time", whole, over_all))
        for start in (0, 1, 2, 4, 8):
            span = slice(start * SECOND, max(1, 2 * start) * SECOND)
            if whole.shape[1] > span.start:
                note = f"{start} to {max(1, 2 * start)} s"
                moved.append(apart(name, "norm over time", whole[:, span], over_all[:, span], 0, note))
    moved.append(apart(name, "published", whole, published(front, sound)))
    half = load_wav2vec(source, lookback=LOOKBACK).to(device, torch.bfloat16)
    return [*moved, apart(name, "bf16", half.offline(sound), whole)]


def median_ms(run: Callable[[], object], device: torch.device) -> float:
    now, times = clock(device), []
    for _ in range(WARM_UP + RUNS):
        synchronise(device)
        start = now()
        run()
        synchronise(device)
        times.append(now() - start)
    return 1e3 * statistics.median(times[WARM_UP:])


@torch.inference_mode()
def costs(device: torch.device) -> tuple[list[Cost], dict[str, float]]:
    transformers = import_transformers()
    model = transformers.Wav2Vec2Model(transformers.Wav2Vec2Config())
    front = Wav2Vec2(model, lookback=LOOKBACK, source="random", sha256="").to(device)
    encoder = ConformerEncoder(PRESETS["paper"].speech).to(device).eval()
    state, after = front.start(), encoder.start()
    made = []
    for frames in (1, 3, 6):
        sound = 0.1 * torch.randn(1, frames * FRAME_SAMPLES, device=device)
        features = front.stream(sound, state)
        made.append(
            Cost("wav2vec 2.0, base size", frames, median_ms(lambda s=sound: front.stream(s, state), device) / frames)
        )
        made.append(Cost("audio encoder", frames, median_ms(lambda f=features: encoder(f, after), device) / frames))
    sizes = {
        "wav2vec_m": sum(weight.numel() for weight in model.parameters()) / 1e6,
        "encoder_m": sum(weight.numel() for weight in encoder.parameters()) / 1e6,
        "session_mb": (nbytes(state) + nbytes(after)) / 1e6,
    }
    return made, sizes


def nbytes(state: Any) -> int:
    """Counts the bytes that one session's state takes."""
    if isinstance(state, Tensor):
        return state.nbytes
    if isinstance(state, list):
        return sum(nbytes(part) for part in state)
    return sum(nbytes(getattr(state, part.name)) for part in fields(state)) if is_dataclass(state) else 0


def report(moved: list[Moved], made: list[Cost], sizes: dict[str, float]) -> str:
    lines = [f"{'network':24} {'what':16} {'span':10} {'moved by':>10} {'at most':>10}"]
    lines += [f"{m.network:24} {m.what:16} {m.note:10} {m.percent:9.4f}% {m.most:10.2e}" for m in moved]
    if made:
        lines += ["", f"{'live':24} {'frames a call':>13} {'ms a motion frame':>18} (40 ms of sound)"]
        lines += [f"{c.what:24} {c.frames:13} {c.ms:18.2f}" for c in made]
        lines.append(
            f"wav2vec 2.0 {sizes['wav2vec_m']:.1f} M, audio encoder with downsampling {sizes['encoder_m']:.1f} M;"
            f" a session keeps {sizes['session_mb']:.1f} MB (float32)"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wav2vec", metavar="FOLDER_OR_NAME", help="a network of your own")
    parser.add_argument(
        "--speech", type=Path, default=SPEECH, help="sound to compare on (default: the embedded speech)"
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--no-time", action="store_true", help="differences only")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    device = torch.device(args.device)
    heard = np.concatenate(list(SpeechReader(args.speech).samples()))
    heard = heard[: len(heard) // FRAME_SAMPLES * FRAME_SAMPLES]
    sound = torch.from_numpy(heard).to(device)[None]
    print(f"{machine(device)}; {args.speech.name}, {len(heard) / 16_000:.1f} s", flush=True)
    moved = []
    with tempfile.TemporaryDirectory() as folder:
        networks = [(args.wav2vec, Path(args.wav2vec).name)] if args.wav2vec else []
        for norm in () if networks else ("layer", "group"):
            networks.append((str(small(Path(folder) / norm, norm)), f"random, {norm} norm"))
        for source, name in networks:
            moved += differences(source, name, sound, device)
    made, sizes = ([], {}) if args.no_time else costs(device)
    print(report(moved, made, sizes))
    if args.json is not None:
        written = {"machine": platform.platform(), "device": machine(device), **sizes}
        rows = {"moved": [asdict(m) for m in moved], "cost": [asdict(c) for c in made]}
        args.json.write_text(json.dumps({**written, **rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
