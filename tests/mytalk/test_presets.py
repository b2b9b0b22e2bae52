"""Presets are data: sizes that do not go together are refused where they are written."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mytalk.errors import PresetError
from mytalk.presets import PRESETS

EDGE, PAPER = PRESETS["edge"], PRESETS["paper"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"window": 98}, "98 must be a multiple of one latent cell, 4 pixels"),
        ({"norm_groups": 32}, "must be multiples of norm_groups, 32"),
        ({"references": 0}, "one reference or more: got 0"),
    ],
)
def test_impossible_appearance_sizes_are_refused(change: dict[str, int], message: str) -> None:
    with pytest.raises(PresetError, match=message):
        replace(EDGE.appearance, **change)


def test_heads_must_divide_the_width_into_pairs() -> None:
    with pytest.raises(PresetError, match="multiple of twice the heads, 5"):
        replace(EDGE.motion, heads=5)


@pytest.mark.parametrize("window", [15, 251])
def test_motion_windows_have_a_shortest_and_a_longest_length(window: int) -> None:
    with pytest.raises(PresetError, match=f"motion window {window}: need 16 to 250 frames"):
        replace(EDGE.motion, window=window)


def test_the_paper_sees_the_whole_face_and_the_edge_the_mouth() -> None:
    assert (PAPER.appearance.framing, PAPER.appearance.window) == ("face", 256)
    assert (EDGE.appearance.framing, EDGE.appearance.window) == ("mouth", 96)
