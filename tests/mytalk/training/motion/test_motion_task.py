"""The motion trainer draws windows as live sessions have them, learns, and follows each of its options."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mytalk.checkpoint import read_speech_model
from mytalk.errors import DataError, OptionError, WeightsError
from mytalk.face.landmarks import LOWER_COUNT, LOWER_FACE, aperture
from mytalk.motion.model import MotionModel
from mytalk.presets import SpeechPreset
from mytalk.speech.mel import LogMel
from mytalk.speech.wav2vec_loader import import_transformers
from mytalk.torch_checkpoint import load_into, read_tensors
from mytalk.training.data.people import fit_space, sample_people
from mytalk.training.data.sequences import ClipSequences
from mytalk.training.data.store import ClipStore
from mytalk.training.motion.examples import UNHEARD, MotionExamples, MotionOptions
from mytalk.training.motion.identity import IdentityOptions, IdentityTask
from mytalk.training.motion.task import MotionLosses, MotionSources, MotionTask, motion_task
from mytalk.training.run.config import read_config
from mytalk.training.run.logbook import read_curve
from mytalk.training.run.loop import fit
from mytalk.training.voices.phones import CLASSES
from tests.mytalk.support.small_store import make_store

CONFIG = read_config("tiny")
OPTIONS = CONFIG.options("motion", MotionOptions, steps=100, warm_up=10, frames=40, log_every=10)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_store(tmp_path_factory.mktemp("motion_data"), clips=2)


@pytest.fixture(scope="module")
def identity(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("identity_run")
    options = CONFIG.options("identity", IdentityOptions, steps=3, batch=8)
    fit(IdentityTask(CONFIG.preset, options, [data]), options, run, device="cpu")
    return run


@pytest.fixture(scope="module")
def tts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tts")
    rng = np.random.default_rng(1)
    lengths = np.array([60, 50])
    controls = rng.uniform(0, 0.1, (110, 4)).astype(np.float32)
    sound = rng.uniform(-0.1, 0.1, 110 * 640).astype(np.float32)
    phones = np.repeat(np.arange(110, dtype=np.uint8)[:, None] % len(CLASSES), 4, axis=1)
    np.savez(folder / "voice.npz", sound=sound, controls=controls, lengths=lengths, phones=phones)
    return folder


def test_the_basis_holds_the_mouths_it_was_made_from(data: Path) -> None:
    store = ClipStore(data)
    space = fit_space(sample_people(store, seed=1), 8)
    lower = store.landmarks(0).canonical[:, list(LOWER_FACE)]
    moved = torch.from_numpy(lower - lower[0])
    assert (space.decode(space.encode(moved)) - moved).abs().max() < 0.02
    assert float(aperture(space.opening.numpy().reshape(LOWER_COUNT, 3))) == pytest.approx(1, abs=0.05)


def test_windows_are_those_of_live_sessions(data: Path) -> None:
    options = replace(OPTIONS, frames=60, history=(0, 40), hop=(1, 5), lookahead=(2, 3), history_dropped=0.0)
    store = ClipStore(data)
    space = fit_space(sample_people(store, seed=1), 8)
    examples = MotionExamples(options, store, space, front=LogMel(), steps=1)
    rows = [examples.draw(0, row) for row in range(200)]
    whole = [row for row in rows if not row["known"].any()]
    assert 40 < len(whole) < 100
    assert any(len(row["motion"]) == 60 for row in whole)
    for row in rows:
        history, length = int(row["known"].sum()), len(row["motion"])
        assert row["known"][:history].all()
        assert history <= 40
        assert row["features"].shape == (4 * length, 80)
        assert not row["known"].any() or 3 <= length - history <= 8
    histories = {int(row["known"].sum()) for row in rows}
    assert len(histories) > 25


def test_the_same_row_is_the_same_whenever_it_is_drawn(data: Path) -> None:
    options = replace(OPTIONS, augment=True)
    space = fit_space(sample_people(ClipStore(data), seed=1), 8)
    first, second = (MotionExamples(options, ClipStore(data), space, front=LogMel(), steps=9) for _ in range(2))
    second.draw(1, 1)
    for name, value in first.draw(5, 3).items():
        again = second.draw(5, 3)[name]
        assert value == again if isinstance(value, str | int) else np.array_equal(np.asarray(value), np.asarray(again))


def test_motion_is_learned_and_taken_along_by_the_model(data: Path, identity: Path, tmp_path: Path) -> None:
    options = replace(OPTIONS, steps=60, hold_out=("person1-1",), validate_every=30, pictures_every=30)
    task = motion_task(CONFIG.preset, options, MotionSources([data], identity), tmp_path)
    fit(task, options, tmp_path, device="cpu")
    curve = read_curve(tmp_path)
    losses = [line["aperture"] for line in curve if "aperture" in line]
    assert losses[-1] < 0.5 * losses[0]
    assert curve[-1]["held_out/landmarks"] < 0.05
    assert {picture.shape for picture in task.pictures().values()} == {(192, 8 * 96, 3)}
    model = MotionModel(CONFIG.preset)
    load_into(MotionLosses(model, options), tmp_path / "weights", "motion")
    load_into(model.identity, tmp_path / "weights", "identity")


def test_a_run_that_goes_on_keeps_its_space_and_its_curve(data: Path, identity: Path, tmp_path: Path) -> None:
    options = replace(OPTIONS, steps=6, augment=True, log_every=1, schedule="constant", cool_down=0.0)
    sources = MotionSources([data], identity)
    for steps in (3, 6):
        some = replace(options, steps=steps)
        fit(motion_task(CONFIG.preset, some, sources, tmp_path / "two"), some, tmp_path / "two", device="cpu")
    fit(motion_task(CONFIG.preset, options, sources, tmp_path / "one"), options, tmp_path / "one", device="cpu")
    two, one = ([line["loss"] for line in read_curve(tmp_path / name)] for name in ("two", "one"))
    assert two == one


def test_synthetic_speech_comes_first_and_then_now_and_again(
    data: Path, identity: Path, tts: Path, tmp_path: Path
) -> None:
    options = replace(OPTIONS, tts_first=0.5, tts_later=0.2)
    task = motion_task(CONFIG.preset, options, MotionSources([data], identity, tts=tts), tmp_path)
    early, late = ([task.examples.draw(step, row)["key"] for row in range(100)] for step in (10, 60))
    assert all(key.startswith("voice") for key in early)
    assert 5 < sum(key.startswith("voice") for key in late) < 40


def test_padding_and_company_change_no_loss(data: Path, identity: Path, tmp_path: Path) -> None:
    options = replace(OPTIONS, history=(0, 30), hop=(1, 9), lookahead=(2, 2))
    task = motion_task(CONFIG.preset, options, MotionSources([data], identity), tmp_path)
    task.losses.eval()
    rows = [task.examples.draw(3, row) for row in range(6)]
    assert len({len(row["motion"]) for row in rows}) > 1
    together = task.examples.collate([dict(row) for row in rows])
    apart = [task.examples.collate([dict(row)]) for row in rows]
    with torch.no_grad():
        whole = task.losses(together)["loss"]
        weights = [task.weight(batch) for batch in apart]
        parts = sum(task.losses(batch)["loss"] * weight for batch, weight in zip(apart, weights, strict=True))
    torch.testing.assert_close(parts / task.weight(together), whole, rtol=1e-4, atol=1e-5)


def test_a_front_in_the_training_step_hears_samples(data: Path) -> None:
    options = replace(OPTIONS, augment=True)
    space = fit_space(sample_people(ClipStore(data), seed=1), 8)
    examples = MotionExamples(options, ClipStore(data), space, front=None, steps=1)
    batch = examples.collate([examples.draw(0, row) for row in range(4)])
    assert batch["features"].shape == (4, 640 * batch["motion"].shape[1])
    assert 0 < float(batch["features"].abs().max()) <= 1


def test_a_preset_that_hears_through_wav2vec_trains_and_says_through_which(
    data: Path, identity: Path, tmp_path: Path
) -> None:
    network = _small_wav2vec(tmp_path / "wav2vec")
    speech = SpeechPreset(
        width=16, front="wav2vec2", features=32, hidden=16, layers=1, heads=2, ffn=32, lookback=25, kernel=3
    )
    preset = replace(CONFIG.preset, speech=speech)
    options = replace(OPTIONS, steps=2, batch=2, augment=True)
    sources = MotionSources([data], identity, speech_model=str(network))
    task = motion_task(preset, options, sources, tmp_path / "run")
    fit(task, options, tmp_path / "run", device="cpu")
    assert np.isfinite(read_curve(tmp_path / "run")[-1]["x0"])
    assert read_speech_model(tmp_path / "run" / "weights") is not None
    assert not any("front" in name for name in read_tensors(tmp_path / "run" / "weights", "motion"))
    other = replace(sources, speech_model=str(_small_wav2vec(tmp_path / "other", seed=6)))
    with pytest.raises(WeightsError, match="other"):
        motion_task(preset, options, other, tmp_path / "run")


def _small_wav2vec(folder: Path, seed: int = 5) -> Path:
    transformers = import_transformers()

    torch.manual_seed(seed)
    config = transformers.Wav2Vec2Config(
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        conv_dim=(8,) * 7,
        feat_extract_norm="layer",
        do_stable_layer_norm=True,
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=4,
    )
    transformers.Wav2Vec2Model(config).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("name", ["aperture_weight", "velocity_weight", "identity_weight", "x0_weight"])
def test_every_loss_counts_by_its_weight(data: Path, identity: Path, tmp_path: Path, name: str) -> None:
    none = {"aperture_weight": 0.0, "velocity_weight": 0.0, "identity_weight": 0.0, "x0_weight": 0.0}
    task = motion_task(CONFIG.preset, replace(OPTIONS, **none | {name: 2.0}), MotionSources([data], identity), tmp_path)
    losses = task.losses(task.examples.collate([task.examples.draw(0, row) for row in range(4)]))
    torch.testing.assert_close(losses["loss"], 2 * losses[name.removesuffix("_weight")])


def test_losses_are_the_same_in_mixed_precision(data: Path, identity: Path, tmp_path: Path) -> None:
    task = motion_task(CONFIG.preset, OPTIONS, MotionSources([data], identity), tmp_path)
    batch = task.examples.collate([task.examples.draw(0, row) for row in range(4)])
    x0 = batch["motion"] + 0.01 * batch["noise"]
    with torch.no_grad():
        whole = task.losses.losses(x0, batch)
        with torch.autocast("cpu", torch.bfloat16):
            mixed = task.losses.losses(x0, batch)
    assert all(torch.equal(whole[name], mixed[name]) for name in whole)


def test_the_identity_extractor_stays_as_it_was(data: Path, identity: Path, tmp_path: Path) -> None:
    task = motion_task(CONFIG.preset, replace(OPTIONS, steps=2), MotionSources([data], identity), tmp_path)
    before = {name: tensor.clone() for name, tensor in task.model.identity.state_dict().items()}
    fit(task, replace(OPTIONS, steps=2), tmp_path, device="cpu")
    assert isinstance(task, MotionTask)
    assert all(torch.equal(before[name], tensor) for name, tensor in task.model.identity.state_dict().items())


def test_a_run_may_begin_from_weights_that_are_there(data: Path, identity: Path, tmp_path: Path) -> None:
    options = replace(OPTIONS, steps=1)
    fit(motion_task(CONFIG.preset, options, MotionSources([data], identity), tmp_path), options, tmp_path, device="cpu")
    sources = MotionSources([data], identity, start=tmp_path)
    begun = motion_task(CONFIG.preset, replace(options, seed=9), sources, tmp_path / "begun").losses.state_dict()
    there = read_tensors(tmp_path / "weights", "motion")
    assert all(torch.equal(begun[name], there[name]) for name in there)
    wider = replace(CONFIG.preset, motion=replace(CONFIG.preset.motion, ffn=2 * CONFIG.preset.motion.ffn))
    with pytest.raises(WeightsError, match="another preset"):
        motion_task(wider, options, sources, tmp_path / "wider")


def test_an_identity_of_another_preset_is_refused(data: Path, identity: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="tensor"):
        motion_task(read_config("edge").preset, OPTIONS, MotionSources([data], identity), tmp_path)


def test_nothing_to_hear_or_to_hold_out_is_named(data: Path, identity: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no synthetic speech"):
        motion_task(CONFIG.preset, OPTIONS, MotionSources([data], identity, tts=tmp_path), tmp_path)
    with pytest.raises(DataError, match="nobody"):
        motion_task(CONFIG.preset, replace(OPTIONS, hold_out=("nobody",)), MotionSources([data], identity), tmp_path)


@pytest.mark.parametrize("given", [{"frames": 251}, {"hop": (0, 3)}, {"history": (9, 3)}])
def test_windows_that_cannot_be_are_refused(given: dict[str, object]) -> None:
    with pytest.raises(OptionError, match="need"):
        CONFIG.options("motion", MotionOptions, **given)


def test_phones_are_heard_at_the_moment_their_sound_is_played(
    data: Path, identity: Path, tts: Path, tmp_path: Path
) -> None:
    options = replace(OPTIONS, tts_first=1.0, augment=True, frames=30)
    examples = motion_task(CONFIG.preset, options, MotionSources([data], identity, tts), tmp_path).examples
    for row in (examples.draw(0, number) for number in range(40)):
        phones = row["phones"].numpy()
        assert len(phones) == len(row["features"]) == 4 * len(row["motion"])
        assert phones.min() >= 0
        steps = np.diff(phones) % len(CLASSES)  # a frame each, in their order, however fast they are played
        assert steps.max() <= 1
        assert steps.sum() >= 0.8 * len(row["motion"]) - 2


def test_naming_phones_is_learned_and_not_shipped(data: Path, identity: Path, tts: Path, tmp_path: Path) -> None:
    options = replace(OPTIONS, steps=40, tts_first=1.0, phone_weight=1.0, augment=False)
    task = motion_task(CONFIG.preset, options, MotionSources([data], identity, tts), tmp_path)
    fit(task, options, tmp_path, device="cpu")
    losses = [line["phones"] for line in read_curve(tmp_path) if "phones" in line]
    assert losses[-1] < 0.9 * losses[0]
    assert not [name for name in read_tensors(tmp_path / "weights", "motion") if name.startswith("phones")]
    model = MotionModel(CONFIG.preset)
    load_into(MotionLosses(model, replace(options, phone_weight=0.0)), tmp_path / "weights", "motion")


def test_clips_without_phones_say_so(data: Path) -> None:
    space = fit_space(sample_people(ClipStore(data), seed=1), 8)
    row = MotionExamples(OPTIONS, ClipStore(data), space, front=LogMel(), steps=1).draw(0, 0)
    assert set(row["phones"].tolist()) == {UNHEARD}


def test_people_are_brought_to_the_usual_range(tmp_path: Path) -> None:
    store = ClipStore(make_store(tmp_path, opening=3.5))
    people = sample_people(store, seed=1)
    space = fit_space(people, 8)
    asis, even = (ClipSequences(store, space, front=LogMel(), evenness=amount) for amount in (0.0, 1.0))
    openness = float(np.clip(people[0].openness(space), 0.8, 1.6))
    assert openness != 1
    torch.testing.assert_close(even[0].motion * openness, asis[0].motion)
