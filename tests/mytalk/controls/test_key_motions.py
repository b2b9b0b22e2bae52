"""Tests pinned shapes: the mouth passes through them, and speaks as before in between."""

from __future__ import annotations

import numpy as np
import pytest

from mytalk.controls import Controls
from mytalk.controls.key_motions import RAMP, pinned
from mytalk.controls.pins import MAX_PINS, SHAPES, KeyMotion, decode_pins, encode_pins
from mytalk.controls.stages import shaped
from mytalk.controls.values import CONTROL
from mytalk.errors import OptionError
from mytalk.face.landmarks import aperture
from mytalk.media_time import FRAME_SAMPLES
from tests.mytalk.controls.mouths import mouth_of, spoken, width


@pytest.mark.parametrize("shape", [*SHAPES, "0.2/12=0.5,18=0.3"])
def test_the_mouth_passes_through_a_pinned_shape_while_it_is_held(shape: str) -> None:
    controls = Controls(key_motions=(KeyMotion(20 * FRAME_SAMPLES, shape, 5 * FRAME_SAMPLES),))
    for mouth in spoken()[20:26]:
        np.testing.assert_allclose(shaped(mouth, controls), pinned(mouth, shape), atol=1e-6)


def test_speech_is_untouched_beyond_the_ramps_and_keeps_its_timing_within() -> None:
    controls = Controls(key_motions=decode_pins("1:open:0.2"))
    first, last = FRAME_SAMPLES * 25 - RAMP, FRAME_SAMPLES * 30 + RAMP
    for mouth in spoken():
        if mouth.at <= first or mouth.at >= last:
            assert shaped(mouth, controls) is mouth.lower
    moves = np.diff([float(aperture(shaped(mouth, controls))) for mouth in spoken()])
    assert np.abs(moves).max() < 0.2


def test_shapes_are_what_their_names_say() -> None:
    mouth = mouth_of(0.1)
    shapes = {name: pinned(mouth, name) for name in SHAPES}
    assert float(aperture(shapes["closed"])) == pytest.approx(0, abs=1e-5)
    assert float(aperture(shapes["open"])) == pytest.approx(0.3, abs=1e-4)
    assert width(shapes["round"]) < width(shapes["closed"]) < width(shapes["wide"])


def test_pins_are_read_in_order_and_written_as_they_are_read() -> None:
    pins = decode_pins("2.5:smile:0.4 1:closed 1.24:0.1/12=0.5:0.04")
    assert [pin.at for pin in pins] == [16_000, 19_840, 40_000]
    assert decode_pins(encode_pins(pins)) == pins
    assert decode_pins(encode_pins(())) == decode_pins("") == ()


@pytest.mark.parametrize(
    "text", ["1", "1:whistle", "1:open:-1", "x:open", "1:open:1:1", "1:0.9", "1:0.1/77=1", "1:open " * (MAX_PINS + 1)]
)
def test_what_is_no_list_of_pins_is_refused_with_what_would_be(text: str) -> None:
    with pytest.raises(OptionError, match="TIME:SHAPE:HOLD"):
        CONTROL["key_motions"].read(text)
