"""The window planner: every frame once, in order, whatever the packets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mytalk.motion.windows import Window, WindowPlanner
from mytalk.presets import PROFILES, WINDOW_FRAMES, Profile


def plan(profile: Profile, progress: list[int], total: int) -> list[Window]:
    planner = WindowPlanner(profile)
    windows = [window for frames in progress for window in planner.advance(frames)]
    return windows + list(planner.finish(total))


@given(st.sampled_from(sorted(PROFILES)), st.integers(1, 700), st.lists(st.integers(0, 700), max_size=30))
def test_each_frame_leaves_once_and_in_order(name: str, total: int, progress: list[int]) -> None:
    progress = sorted(min(frames, total) for frames in progress)
    windows = plan(PROFILES[name], progress, total)
    assert [frame for window in windows for frame in window.emit] == list(range(total))


@given(st.sampled_from(sorted(PROFILES)), st.integers(1, 700), st.lists(st.integers(0, 700), max_size=30))
def test_packets_do_not_change_the_plan(name: str, total: int, progress: list[int]) -> None:
    progress = sorted(min(frames, total) for frames in progress)
    assert plan(PROFILES[name], progress, total) == plan(PROFILES[name], [], total)


@pytest.mark.parametrize("name", sorted(PROFILES))
def test_a_window_holds_history_emission_and_lookahead(name: str) -> None:
    profile = PROFILES[name]
    for window in WindowPlanner(profile).advance(600):
        assert window.rows <= WINDOW_FRAMES
        assert window.first + window.history == window.emit.start
        assert len(window.emit) == profile.hop
        assert len(window.tentative) == profile.lookahead
        assert window.first == max(0, window.emit.stop + profile.lookahead - WINDOW_FRAMES)


@pytest.mark.parametrize("name", sorted(PROFILES))
def test_output_starts_with_the_first_hop(name: str) -> None:
    profile = PROFILES[name]
    planner = WindowPlanner(profile)
    assert not list(planner.advance(profile.hop + profile.lookahead - 1))
    assert [w.emit for w in planner.advance(profile.hop + profile.lookahead)] == [range(profile.hop)]


def test_clear_makes_older_windows_stale() -> None:
    planner = WindowPlanner(Profile(hop=3, lookahead=3))
    (before,) = planner.advance(6)
    planner.clear(3, generation=2)
    (after,) = planner.advance(9)
    assert (before.generation, after.generation, planner.generation) == (0, 2, 2)


@given(st.sampled_from(sorted(PROFILES)), st.integers(20, 700), st.integers(0, 12))
def test_frames_taken_back_are_planned_again_and_nothing_else_is(name: str, heard: int, back: int) -> None:
    planner = WindowPlanner(PROFILES[name])
    emitted = [frame for window in planner.advance(heard) for frame in window.emit]
    kept = max(0, len(emitted) - back)
    planner.clear(kept, generation=1)
    assert planner.emitted == kept
    windows = list(planner.advance(heard + 50))
    again = [frame for window in windows for frame in window.emit]
    assert again == list(range(kept, again[-1] + 1))
    assert all(window.first + window.history == window.emit.start for window in windows)


def test_a_profile_larger_than_the_window_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot hold"):
        WindowPlanner(Profile(hop=200, lookahead=51))
