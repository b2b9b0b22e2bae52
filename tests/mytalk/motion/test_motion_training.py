"""The trainers of stage 1, on clips made here: they run as the model card says, learn, and go on where they stopped."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from mytalk.checkpoint import read_tensors
from mytalk.face.landmarks import LOWER_COUNT, LOWER_FACE, TEMPLATE, aperture
from mytalk.media_time import FRAME_SAMPLES
from mytalk.training import identity, motion
from mytalk.training.clips import Clip, load_clip, save_clip
from mytalk.training.motion_data import fit_space, load_faces
from mytalk.training.speech_corpus import sentence
from mytalk.training.visemes import controls_of, speak

Run = Callable[..., None]
FRAMES = 80


def talking(name: str, seed: int) -> Clip:
    """A face of its own shape whose jaw drops with the loudness of its sound."""
    rng = np.random.default_rng(seed)
    shape = TEMPLATE * (1 + rng.normal(0, 0.05, 3)).astype(np.float32)
    opening = np.convolve(rng.uniform(0, 0.3, FRAMES + 4), np.ones(5) / 5, "valid").astype(np.float32)
    below = np.clip((TEMPLATE[:, 1] - 1.15) * 4, 0, 1)  # lower lip and chin move, the upper lip does not
    points = np.repeat(shape[None], FRAMES, axis=0)
    points[:, :, 1] += opening[:, None] * below
    pixels = points * 80 + np.array([250, 200, 0], np.float32)
    sound = rng.normal(0, 1, FRAMES * FRAME_SAMPLES) * np.repeat(opening, FRAME_SAMPLES)
    return Clip(
        name, pixels.astype(np.float32), np.arange(FRAMES) * FRAME_SAMPLES, sound.astype(np.float32), (512, 512)
    )


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("people")
    for number in range(3):
        save_clip(talking(f"person{number}", number), folder)
    return folder


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    def call(main: Callable[[], None], *arguments: object) -> None:
        monkeypatch.setattr(sys, "argv", ["train", *map(str, arguments)])
        main()

    return call


@pytest.fixture
def extractor(people: Path, tmp_path: Path, run: Run) -> Path:
    run(identity.main, "--people", people, "--out", tmp_path / "identity", "--steps", 3)
    return tmp_path / "identity"


def test_a_clip_comes_back_as_it_was_saved(people: Path) -> None:
    saved, loaded = talking("person1", 1), load_clip(people / "person1.npz")
    np.testing.assert_array_equal(loaded.points, saved.points)
    np.testing.assert_array_equal(loaded.sound, saved.sound)
    assert loaded.canonical().shape == (FRAMES, 478, 3)


def test_the_basis_holds_the_mouths_it_was_made_from(people: Path) -> None:
    faces = load_faces(sorted(people.glob("*.npz")), [])
    space = fit_space(faces, 8)
    moved = torch.from_numpy(faces[0].lower - faces[0].lower[0])
    assert (space.decode(space.encode(moved)) - moved).abs().max() < 0.02
    assert float(aperture(space.opening.numpy().reshape(LOWER_COUNT, 3))) == pytest.approx(1, abs=0.05)
    assert abs(float(aperture(space.closed(faces[0].lower[10])))) < 1e-4


def test_the_extractor_learns_to_tell_people_apart(people: Path) -> None:
    faces = load_faces(sorted(people.glob("*.npz")), [])
    _, accuracy = identity.train_identity(faces, identity.PRESETS["edge"].identity, steps=150, seed=1)
    assert accuracy > 0.8


def test_motion_training_goes_on_exactly_where_it_stopped(
    people: Path, extractor: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = ("--people", people, "--identity", extractor, "--steps", 4)
    run(motion.main, *given, "--out", tmp_path / "whole")
    step = motion.Trainer.train_step

    def stop_after_two(self: motion.Trainer, sequences: list[motion.Sequence]) -> dict[str, float]:
        losses = step(self, sequences)
        if self.step == 2:
            self.save(tmp_path / "parts" / "resume.pt")
            raise KeyboardInterrupt
        return losses

    monkeypatch.setattr(motion.Trainer, "train_step", stop_after_two)
    with pytest.raises(KeyboardInterrupt):
        run(motion.main, *given, "--out", tmp_path / "parts")
    monkeypatch.setattr(motion.Trainer, "train_step", step)
    run(motion.main, *given, "--out", tmp_path / "parts")
    whole, parts = (read_tensors(tmp_path / name, "motion") for name in ("whole", "parts"))
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def test_motion_training_lowers_its_loss(people: Path, extractor: Path, tmp_path: Path, run: Run) -> None:
    monkey = motion.Recipe(steps=100, warmup=20, batch=4, frames=40)
    faces = load_faces(sorted(people.glob("*.npz")), [])
    model = motion.MotionModel(motion.PRESETS["edge"])
    model.space.load_state_dict(fit_space(faces, 24).state_dict())
    sequences = motion.face_sequences(faces, model.space, motion.LogMel())
    trainer = motion.Trainer(model, monkey, seed=1)
    losses = [trainer.train_step(trainer.draw([], [], [[s] for s in sequences]))["aperture"] for _ in range(100)]
    assert np.mean(losses[-10:]) < 0.5 * np.mean(losses[:10])


def test_a_loss_that_is_not_finite_stops_and_says_at_which_step(
    people: Path, extractor: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(motion.Trainer, "train_step", lambda self, _: {"x0": float("nan")})
    with pytest.raises(FloatingPointError, match="step 0: loss is not finite"):
        run(motion.main, "--people", people, "--identity", extractor, "--steps", 2, "--out", tmp_path / "bad")


def test_visemes_close_for_m_and_open_for_aa() -> None:
    phones = [("pau", 0.3), ("aa", 0.6), ("m", 0.72), ("aa", 1.0), ("pau", 1.4)]
    controls = speak(phones, 1.4, np.random.default_rng(0))
    gap: NDArray[np.float32] = controls[:, 0]
    assert gap[11] > 0.1
    assert gap[16] < 0.35 * gap[11]
    assert gap[0] < 0.03
    assert gap[-1] < 0.03


def test_controls_measure_what_visemes_ask_for() -> None:
    rest = TEMPLATE[list(LOWER_FACE)]
    wide = rest * np.array([1.1, 1, 1], np.float32)
    assert controls_of(wide[None], rest)[0, 1] > 0.05
    np.testing.assert_allclose(controls_of(rest[None], rest), 0, atol=1e-6)


def test_sentences_follow_the_seed() -> None:
    first, again, other = (sentence(np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first == again != other
