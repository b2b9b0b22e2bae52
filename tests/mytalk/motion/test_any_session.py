"""Stage 1 in whatever session comes: any packets, pictures, pauses and profile, and for as long as it lasts."""

from __future__ import annotations

import itertools
from collections import deque
from dataclasses import dataclass, fields, is_dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mytalk.face.landmarks import TEMPLATE
from mytalk.media_time import FRAME_SAMPLES, MOTION_RATE, SAMPLE_RATE, to_samples
from mytalk.motion.batch import MotionBackend
from mytalk.motion.model import MotionModel
from mytalk.motion.stream import MotionFrame, MotionStream
from mytalk.motion.torch_backend import TorchMotion
from mytalk.motion.windows import WindowPlanner
from mytalk.presets import PRESETS, PROFILES

Samples = NDArray[np.float32]
MOST = 2 * SAMPLE_RATE  # samples of a drawn session
HOURS = 24
RATES = [Fraction(24), Fraction(25), Fraction(30000, 1001), Fraction(30), Fraction(50), Fraction(60)]


@pytest.fixture(scope="module")
def model() -> MotionBackend:
    """Builds one small block with random weights, whose output no test reads."""
    torch.manual_seed(3)
    edge = PRESETS["edge"]
    return TorchMotion(MotionModel(replace(edge, motion=replace(edge.motion, layers=1, width=32, ffn=32))).eval())


@dataclass(frozen=True)
class Script:
    """A session as it might come: what is said, what is seen when, and in what order both arrive."""

    profile: str
    seed: int
    said: int  # samples
    pauses: list[tuple[int, int]]  # first sample and length
    pictures: list[tuple[int, bool]]  # media time, and whether somebody is in it
    arrivals: list[tuple[int, int]]  # samples, pictures

    def speech(self, babble: Samples) -> Samples:
        speech = babble[: self.said].copy()
        for start, length in self.pauses:
            speech[start : start + length] = 0
        return speech


@st.composite
def scripts(draw: st.DrawFn) -> Script:
    said = draw(st.integers(1, MOST))
    places = st.integers(0, MOST)
    rate = draw(st.sampled_from([*RATES, None]))  # None: every interval is another one
    if rate is None:
        ats = list(itertools.accumulate(draw(st.lists(st.integers(100, 8000), max_size=60))))
    else:
        ats = [to_samples(n, 1 / rate) for n in range(int(said * rate / SAMPLE_RATE) + 1)]
    somebody = draw(st.lists(st.sampled_from([True, True, True, False]), min_size=len(ats), max_size=len(ats)))
    return Script(
        draw(st.sampled_from(sorted(PROFILES))),
        draw(st.integers(0, 2**64 - 1)),
        said,
        draw(st.lists(st.tuples(places, places), max_size=3)),
        list(zip(ats, somebody, strict=True)),
        draw(st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 8)), max_size=40)),
    )


def act(model: MotionBackend, script: Script, babble: Samples, arrivals: list[tuple[int, int]]) -> list[MotionFrame]:
    """The script's motion, its speech and pictures arriving so; what is left comes at the end."""
    stream = MotionStream(model, PROFILES[script.profile], steps=1, seed=script.seed)
    speech, pictures = script.speech(babble), deque(script.pictures)
    out: list[MotionFrame] = []
    heard = 0
    for samples, seen in [*arrivals, (len(speech), len(pictures))]:
        stream.push_speech(speech[heard : heard + samples])
        heard = min(len(speech), heard + samples)
        for _ in range(min(seen, len(pictures))):
            at, somebody = pictures.popleft()
            stream.push_face(at, TEMPLATE if somebody else None)
        out += stream.advance()
    return out + list(stream.finish())


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(script=scripts())
def test_any_packets_pictures_and_pauses_give_the_same_landmarks_each_frame_once_in_order(
    model: MotionBackend, babble: Samples, script: Script
) -> None:
    arrived = act(model, script, babble, script.arrivals)
    at_once = act(model, script, babble, [])
    indices = [frame.index for frame in at_once]
    assert indices == sorted(set(indices))
    assert indices in ([], list(range(indices[0] if indices else 0, script.said // FRAME_SAMPLES)))
    assert [frame.index for frame in arrived] == indices
    for one, other in zip(arrived, at_once, strict=True):
        np.testing.assert_array_equal(one.lower, other.lower)


def held(thing: Any) -> int:
    """Bytes of all arrays and tensors that it holds, and 8 for anything else that is in something; networks are shared
    by all sessions and none of it."""
    if isinstance(thing, torch.nn.Module):
        return 0
    if isinstance(thing, np.ndarray | torch.Tensor):
        return thing.nbytes
    if isinstance(thing, dict):
        return sum(held(value) for value in thing.values())
    if isinstance(thing, list | tuple | deque):
        return sum(held(value) for value in thing)
    if is_dataclass(thing):
        return sum(held(getattr(thing, field.name)) for field in fields(thing))
    return sum(held(value) for value in vars(thing).values()) if hasattr(thing, "__dict__") else 8


def test_a_day_is_planned_in_constant_memory() -> None:
    planner = WindowPlanner(PROFILES["quality"])
    emitted, in_order, after_a_minute = 0, True, 0
    for minute in range(1, HOURS * 60 + 1):
        for window in planner.advance(minute * 60 * MOTION_RATE):
            in_order = in_order and window.emit.start == emitted
            emitted = window.emit.stop
        after_a_minute = after_a_minute or held(planner)
    assert in_order
    assert held(planner) == after_a_minute
    assert emitted == HOURS * 3600 * MOTION_RATE - 6


def test_a_session_holds_after_half_a_minute_what_it_held_after_a_window(model: MotionBackend, babble: Samples) -> None:
    stream = MotionStream(model, PROFILES["balanced"], steps=1, seed=1)
    sizes = []
    for second in range(30):
        stream.push_speech(np.roll(babble, 777 * second)[:SAMPLE_RATE])
        for shown in range(MOTION_RATE):
            stream.push_face((second * MOTION_RATE + shown) * FRAME_SAMPLES, TEMPLATE)
        list(stream.advance())
        if second > 12 and second % 3 == 0:
            sizes.append(sum(held(value) for value in vars(stream).values()))
    assert max(sizes[3:]) <= 1.02 * max(sizes[:3])
    assert max(sizes) < 8_000_000
