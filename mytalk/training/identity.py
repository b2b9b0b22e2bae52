"""Trains the identity extractor with ArcFace on landmarks of the people in the data; then it is frozen.

python -m mytalk.training.identity --people DATA/people --corpus DATA/one_person --out DIR --steps 3000 --seed 1
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from mytalk.checkpoint import save_tensors
from mytalk.motion.identity import ArcFace, IdentityExtractor
from mytalk.presets import PRESETS, IdentityPreset
from mytalk.training.motion_data import Face, load_faces


def train_identity(faces: list[Face], preset: IdentityPreset, steps: int, seed: int) -> tuple[IdentityExtractor, float]:
    """The trained extractor and its accuracy on the last tenth of every person's frames, which it never saw."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    people = sorted({face.person for face in faces})
    lower = [np.concatenate([face.lower for face in faces if face.person == person]) for person in people]
    upper = [np.concatenate([face.upper for face in faces if face.person == person]) for person in people]
    seen = [int(len(rows) * 0.9) for rows in lower]
    model, loss_of = IdentityExtractor(preset), ArcFace(preset.embedding, len(people))
    optimiser = torch.optim.Adam([*model.parameters(), *loss_of.parameters()], lr=1e-3)
    for _ in tqdm(range(steps), desc="identity", unit="step"):
        person = rng.integers(len(people), size=128)
        frame = [int(rng.integers(seen[p])) for p in person]
        rows_l = torch.from_numpy(np.stack([lower[p][f] for p, f in zip(person, frame, strict=True)]))
        rows_u = torch.from_numpy(np.stack([upper[p][f] for p, f in zip(person, frame, strict=True)]))
        noise = 0.01
        embedding = model(rows_l + noise * torch.randn_like(rows_l), rows_u + noise * torch.randn_like(rows_u))
        loss = loss_of(embedding, torch.from_numpy(person))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    right = total = 0
    with torch.inference_mode():
        centres = torch.nn.functional.normalize(loss_of.centres, dim=-1)
        for p, rows in enumerate(lower):
            found = (
                model(torch.from_numpy(rows[seen[p] :]), torch.from_numpy(upper[p][seen[p] :])) @ centres.T
            ).argmax(-1)
            right, total = right + int((found == p).sum()), total + len(found)
    return model, right / max(total, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=Path, required=True, help="folder of clips, one person each")
    parser.add_argument("--corpus", type=Path, action="append", default=[], help="folder of clips of one person")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    faces = load_faces(sorted(arguments.people.glob("*.npz")), arguments.corpus, limit=100)
    model, accuracy = train_identity(faces, PRESETS["edge"].identity, arguments.steps, arguments.seed)
    arguments.out.mkdir(parents=True, exist_ok=True)
    save_tensors(arguments.out, "identity", model.state_dict())
    print(f"held-out frames named right: {accuracy:.3f} of {len({face.person for face in faces})} people")


if __name__ == "__main__":
    main()
