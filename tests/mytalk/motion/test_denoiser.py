"""The denoiser: padding changes nothing, history comes back, every condition is listened to."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

from mytalk.motion.conditions import Conditions
from mytalk.motion.conformer import CrossAttention
from mytalk.motion.model import MotionModel
from mytalk.motion.sampler import DDIM
from mytalk.presets import PRESETS


@pytest.fixture(scope="module")
def model() -> MotionModel:
    torch.manual_seed(2)
    return MotionModel(PRESETS["edge"]).eval()


def conditions(rows: int, history: int) -> Conditions:
    generator = torch.Generator().manual_seed(4)
    preset = PRESETS["edge"]
    return Conditions(
        torch.randn(1, rows, preset.speech.width, generator=generator),
        torch.randn(1, rows, 38, 2, generator=generator) * 0.02,
        torch.randn(1, preset.identity.embedding, generator=generator),
        torch.randn(1, rows, preset.motion.coefficients, generator=generator),
        (torch.arange(rows) < history)[None],
    )


def sample(model: MotionModel, noise: torch.Tensor, given: Conditions, sampler: DDIM) -> torch.Tensor:
    return model.sample(noise, given, sampler)[0]


def padded(given: Conditions, extra: int) -> Conditions:
    def pad(rows: torch.Tensor) -> torch.Tensor:
        return torch.cat([rows, torch.ones(1, extra, *rows.shape[2:], dtype=rows.dtype)], dim=1)

    rows = given.speech.shape[1]
    valid = (torch.arange(rows + extra) < rows)[None]
    known = torch.cat([given.known, torch.zeros(1, extra, dtype=torch.bool)], dim=1)
    return Conditions(pad(given.speech), pad(given.upper), given.identity, pad(given.history), known, valid)


def test_padding_does_not_change_a_short_window(model: MotionModel) -> None:
    given, noise = conditions(40, 30), torch.randn(1, 40, 24)
    wide = torch.cat([noise, torch.randn(1, 210, 24)], dim=1)
    with torch.inference_mode():
        short = model.denoiser(noise, torch.tensor([700]), given)
        long = model.denoiser(wide, torch.tensor([700]), padded(given, 210))
    assert_close(long[:, :40], short, rtol=1e-4, atol=1e-5)


def test_known_history_comes_back_as_given(model: MotionModel) -> None:
    given = conditions(40, 30)
    motion = sample(model, torch.randn(1, 40, 24), given, DDIM(2))
    assert torch.equal(motion[:, :30], given.history[:, :30])


def listens(model: MotionModel, name: str) -> bool:
    given, noise = conditions(40, 30), torch.randn(1, 40, 24)
    other = replace(given, **{name: getattr(given, name) + 0.5})
    return not torch.allclose(
        sample(model, noise, given, DDIM(1))[:, 30:], sample(model, noise, other, DDIM(1))[:, 30:]
    )


@pytest.mark.parametrize("name", ["speech", "identity", "history"])
def test_every_condition_is_listened_to(model: MotionModel, name: str) -> None:
    assert listens(model, name)


@pytest.mark.parametrize("shown", [False, True])
def test_the_upper_face_counts_only_where_the_preset_shows_it(shown: bool) -> None:
    torch.manual_seed(2)
    edge = PRESETS["edge"]
    model = MotionModel(replace(edge, motion=replace(edge.motion, upper_face=shown))).eval()
    assert listens(model, "upper") is shown


def test_the_same_noise_gives_the_same_motion(model: MotionModel) -> None:
    given, noise = conditions(40, 30), torch.randn(1, 40, 24)
    assert torch.equal(sample(model, noise, given, DDIM(4)), sample(model, noise, given, DDIM(4)))


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("conditioning", ["cross", "concat", "add"])
@pytest.mark.parametrize("identity_as", ["embedding", "landmarks"])
def test_the_person_is_listened_to_however_it_is_given(own: bool, conditioning: str, identity_as: str) -> None:
    torch.manual_seed(2)
    edge = PRESETS["edge"]
    sizes = replace(edge.motion, own_conditions=own, conditioning=conditioning, identity_as=identity_as, layers=2)
    model = MotionModel(replace(edge, motion=sizes)).eval()
    people = torch.randn(2, 169, 3) * 0.1, torch.randn(2, 38, 3) * 0.1
    with torch.no_grad():
        one, other = model.person(*people)
        given, noise = replace(conditions(20, 5), identity=one[None]), torch.randn(1, 20, 24)
        made = sample(model, noise, given, DDIM(1))
        assert not torch.allclose(made, sample(model, noise, replace(given, identity=other[None]), DDIM(1)))
    trained = {name: weight for name, weight in model.denoiser.named_parameters()}
    model.train().denoiser(noise, torch.tensor([500]), given).sum().backward()
    assert all(weight.grad is not None for weight in trained.values())  # else several processes cannot train it


def test_attending_to_one_token_without_asking_it_is_attention() -> None:
    torch.manual_seed(0)
    attention = CrossAttention(64, 4, dropout=0.0)
    x, token = torch.randn(2, 9, 64), torch.randn(2, 1, 64)
    with torch.no_grad():
        asked = attention.train()(x, token)
        assert_close(attention.eval()(x, token).expand_as(asked), asked)


def test_a_bf16_denoiser_samples_in_float32(model: MotionModel) -> None:
    given, noise = conditions(40, 30), torch.randn(1, 40, 24)
    exact = sample(model, noise, given, DDIM(2))
    half = copy.deepcopy(model)
    half.denoiser.bfloat16()
    made = sample(half, noise, given, DDIM(2))
    assert made.dtype == torch.float32
    assert torch.equal(made[:, :30], given.history[:, :30])
    assert 0 < (made - exact).abs().max() < 0.1


def test_padding_of_the_papers_own_projections_changes_nothing() -> None:
    torch.manual_seed(2)
    edge = PRESETS["edge"]
    model = MotionModel(replace(edge, motion=replace(edge.motion, own_conditions=True, layers=2))).eval()
    test_padding_does_not_change_a_short_window(model)
