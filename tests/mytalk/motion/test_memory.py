"""Final motion remembered as keys and values: a hop gives what the whole window gives, in bounded memory."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from mytalk.motion.conditions import Conditions
from mytalk.motion.memory import MAX_REWIND, MotionMemory, Past
from mytalk.motion.model import Denoiser
from mytalk.presets import PRESETS, WINDOW_FRAMES

FRAMES = WINDOW_FRAMES + 60
NEW = 5
T = torch.tensor([700])


@pytest.fixture(scope="module")
def denoiser() -> Denoiser:
    torch.manual_seed(2)
    edge = PRESETS["edge"]
    return Denoiser(replace(edge, motion=replace(edge.motion, layers=2, width=32, ffn=64, own_conditions=True))).eval()


@pytest.fixture(scope="module")
def session(denoiser: Denoiser) -> Conditions:
    """All that a session is generated from; ``known`` is filled in window by window."""
    generator = torch.Generator().manual_seed(4)
    return Conditions(
        torch.randn(1, FRAMES, denoiser.speech_width, generator=generator),
        torch.zeros(1, FRAMES, 38, 2),
        torch.randn(1, denoiser.identity_width, generator=generator),
        torch.randn(1, FRAMES, denoiser.coefficients, generator=generator),
        torch.zeros(1, FRAMES, dtype=torch.bool),
    )


@pytest.fixture(scope="module")
def noise(denoiser: Denoiser) -> Tensor:
    return torch.randn(1, FRAMES, denoiser.coefficients, generator=torch.Generator().manual_seed(5))


def rows(session: Conditions, first: int, final: int, new: int = NEW) -> Conditions:
    """Rows ``first`` up to ``final``, known, and ``new`` more."""
    part = slice(first, final + new)
    return replace(
        session,
        speech=session.speech[:, part],
        upper=session.upper[:, part],
        history=session.history[:, part],
        known=(torch.arange(first, final + new) < final)[None],
    )


def past(memory: MotionMemory, first: int) -> Past:
    """One session's past as a batch of one."""
    keys, values, convolved, end, frames = memory.past(first)
    return Past(keys, values, convolved, torch.tensor([end]), torch.tensor([frames]))


@torch.inference_mode()
def whole(denoiser: Denoiser, session: Conditions, noise: Tensor, final: int) -> Tensor:
    return denoiser(noise[:, : final + NEW], T, rows(session, 0, final))[:, final:]


@torch.inference_mode()
def hop(
    denoiser: Denoiser, memory: MotionMemory, session: Conditions, noise: Tensor, final: int, new: int = NEW
) -> Tensor:
    """One window: the rows that are final and not remembered yet, and new ones; remembers the former."""
    first = memory.end
    given = replace(rows(session, first, final, new), past=past(memory, first))
    x0, frames = denoiser.denoise(noise[:, first : final + new], T, given)
    memory.remember(first, frames.of(0, final - first))
    return x0[:, final - first :]


def memory_of(denoiser: Denoiser) -> MotionMemory:
    return MotionMemory.empty(denoiser.preset, torch.zeros)


@pytest.mark.parametrize("step", [1, 2, 7, 50, 250])
def test_a_hop_is_what_the_whole_window_is(denoiser: Denoiser, session: Conditions, noise: Tensor, step: int) -> None:
    memory, compared = memory_of(denoiser), 0
    for final in range(0, FRAMES - NEW, step):
        made = hop(denoiser, memory, session, noise, final)
        if final % 50 == 0 or final > WINDOW_FRAMES + 40:
            assert_close(made, whole(denoiser, session, noise, final), rtol=0, atol=1e-5)
            compared += 1
    assert compared >= 2


def test_a_window_sees_nothing_further_back(denoiser: Denoiser, session: Conditions, noise: Tensor) -> None:
    """Each layer looks a window back, so two of them see two windows; the convolutions a few frames more."""
    shallow = Denoiser(replace(PRESETS["edge"], motion=replace(denoiser.preset, layers=1, window=16))).eval()
    reach, final = 16 + denoiser.preset.kernel, 100
    made = whole(shallow, session, noise, final)
    history = session.history.clone()
    history[:, : final - reach] += 1
    assert torch.equal(whole(shallow, replace(session, history=history), noise, final), made)
    history[:, final - 4] += 1
    assert not torch.equal(whole(shallow, replace(session, history=history), noise, final), made)


def test_memory_does_not_grow(denoiser: Denoiser, session: Conditions, noise: Tensor) -> None:
    memory = memory_of(denoiser)
    size = memory.keys.nbytes + memory.values.nbytes + memory.convolved.nbytes
    for final in range(0, FRAMES - NEW, 20):
        hop(denoiser, memory, session, noise, final)
    assert memory.frames == WINDOW_FRAMES + MAX_REWIND
    assert memory.keys.nbytes + memory.values.nbytes + memory.convolved.nbytes == size


@pytest.mark.parametrize("reached", [40, WINDOW_FRAMES + 40])
def test_what_a_barge_in_takes_back_was_never_there(
    denoiser: Denoiser, session: Conditions, noise: Tensor, reached: int
) -> None:
    kept, other = reached - MAX_REWIND, replace(session, history=session.history.clone())
    other.history[:, kept:] += 1
    memory, never = memory_of(denoiser), memory_of(denoiser)
    for final in range(4, kept + 1, 4):
        hop(denoiser, memory, session, noise, final)
        hop(denoiser, never, session, noise, final)
    hop(denoiser, memory, other, noise, reached)
    memory.rewind(kept)
    for final in (kept, kept + 3):
        made = hop(denoiser, memory, session, noise, final)
        assert_close(made, hop(denoiser, never, session, noise, final), rtol=0, atol=1e-5)


def test_after_a_gap_nothing_is_remembered(denoiser: Denoiser, session: Conditions, noise: Tensor) -> None:
    memory, fresh = memory_of(denoiser), memory_of(denoiser)
    hop(denoiser, memory, session, noise, 60)
    for one in (memory, fresh):
        given = replace(rows(session, 80, 90), past=past(one, 80))
        with torch.inference_mode():
            x0, frames = denoiser.denoise(noise[:, 80:95], T, given)
        one.remember(80, frames.of(0, 10))
        assert (one.end, one.frames) == (90, 10)
        assert_close(x0, denoiser(noise[:, 80:95], T, rows(session, 80, 90)), rtol=0, atol=1e-5)


def test_sessions_of_different_age_share_a_batch(denoiser: Denoiser, session: Conditions, noise: Tensor) -> None:
    memories = [memory_of(denoiser) for _ in range(3)]
    ages = (0, 30, WINDOW_FRAMES + 30)
    for memory, age in zip(memories, ages, strict=True):
        for final in range(10, age + 1, 10):
            hop(denoiser, memory, session, noise, final)
    given = [rows(session, age, age + 3) for age in ages]
    parts = [noise[:, age : age + 8] for age in ages]
    together = Conditions(
        *(
            torch.cat([getattr(one, name) for one in given])
            for name in ("speech", "upper", "identity", "history", "known")
        ),
        past=Past(*(torch.cat(one) for one in zip(*map(past, memories, ages), strict=True))),
    )
    with torch.inference_mode():
        made = denoiser(torch.cat(parts), T.expand(3), together)
        for row, (memory, age) in enumerate(zip(memories, ages, strict=True)):
            alone = denoiser(parts[row], T, replace(given[row], past=past(memory, age)))
            assert_close(made[row : row + 1], alone, rtol=0, atol=1e-5)


def test_a_session_of_a_year_is_as_exact_as_a_new_one(denoiser: Denoiser, session: Conditions, noise: Tensor) -> None:
    late, new = memory_of(denoiser), memory_of(denoiser)
    late.end = 25 * 3600 * 24 * 365 // late.keys.shape[-1] * late.keys.shape[-1]
    start = late.end
    for final in range(0, 60, 6):
        made = hop(denoiser, new, session, noise, final)
        part = rows(session, late.end - start, final)
        with torch.inference_mode():
            x0, frames = denoiser.denoise(
                noise[:, late.end - start : final + NEW], T, replace(part, past=past(late, late.end))
            )
        again = x0[:, final - (late.end - start) :]
        late.remember(late.end, frames.of(0, final - (late.end - start)))
        assert_close(again, made, rtol=0, atol=1e-5)
