"""Sound and picture of equal media time leave together."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from mytalk.picture import Picture, VideoFrame
from streamer.clock import MILLISECOND_NS, SAMPLE_NS, SECOND_NS
from streamer.media.audio import CHUNK_TIME, SpeechChunk
from streamer.media.pacer import MAX_DELAY, Pacer
from streamer.telemetry.metrics import skew_histogram

DELAY = 5440  # 340 ms
PICTURE = Picture.from_rgb(np.zeros((16, 16, 3), np.uint8))
SILENCE = np.zeros((960, 2), np.int16)


def frame(at: int) -> VideoFrame:
    return VideoFrame(PICTURE, at, at, Fraction(1, 16_000))


def due(at: int, delay: int = DELAY) -> int:
    return (at + delay) * SAMPLE_NS


def test_equal_media_times_leave_in_one_release_and_not_before_their_time() -> None:
    pacer = Pacer(0, DELAY, skew_histogram())
    for n in range(10):
        pacer.sound(SpeechChunk(n * CHUNK_TIME, SILENCE))
        if n % 2 == 0:
            pacer.picture(frame(n * CHUNK_TIME), now=0)
    for n in range(10):
        assert pacer.next_due() == due(n * CHUNK_TIME)
        assert not pacer.release(due(n * CHUNK_TIME) - 1).sounds
        released = pacer.release(due(n * CHUNK_TIME))
        assert [chunk.at for chunk in released.sounds] == [n * CHUNK_TIME]
        assert [shown.at for shown in released.pictures] == [n * CHUNK_TIME] * (n % 2 == 0)
    assert pacer.next_due() is None


def test_sound_does_not_wait_for_a_late_picture() -> None:
    pacer = Pacer(0, DELAY, skew_histogram())
    pacer.sound(SpeechChunk(0, SILENCE))
    assert len(pacer.release(due(0)).sounds) == 1
    pacer.picture(frame(0), now=due(0) + 30 * MILLISECOND_NS)
    assert [shown.at for shown in pacer.release(due(0) + 30 * MILLISECOND_NS).pictures] == [0]
    assert (pacer.counts.late, pacer.counts.on_time) == (1, 0)


def test_a_picture_never_leaves_after_a_newer_one() -> None:
    pacer = Pacer(0, DELAY, skew_histogram())
    pacer.picture(frame(640), now=0)
    pacer.release(due(640))
    pacer.picture(frame(0), now=due(640))
    assert not pacer.release(due(640)).pictures
    assert pacer.counts.overtaken == 1


def test_after_a_stall_only_the_newest_picture_leaves() -> None:
    pacer = Pacer(0, DELAY, skew_histogram())
    for n in range(20):
        pacer.picture(frame(640 * n), now=0)
    released = pacer.release(due(640 * 19) + MILLISECOND_NS)
    assert [shown.at // 640 for shown in released.pictures] == [17, 18, 19]
    assert pacer.counts.overtaken == 17


def test_a_silent_engine_shows_the_untouched_pictures() -> None:
    pacer = Pacer(0, DELAY, skew_histogram())
    shown = []
    for n in range(100):
        pacer.expect(frame(640 * n))
        shown += pacer.release(n * 640 * SAMPLE_NS).pictures
    assert shown
    assert shown[0].at * SAMPLE_NS >= SECOND_NS
    assert [one.at for one in shown] == list(range(shown[0].at, shown[-1].at + 1, 640))
    assert pacer.counts.untouched == len(shown)
    pacer.picture(frame(640 * 100), now=100 * 640 * SAMPLE_NS)
    assert [one.at for one in pacer.release(due(640 * 100)).pictures] == [640 * 100]


def test_a_slow_engine_makes_the_delay_grow_and_a_quick_one_shrink_again() -> None:
    pacer = Pacer(0, DELAY, skew_histogram())
    for n in range(50):
        pacer.picture(frame(640 * n), now=due(640 * n) + 50 * MILLISECOND_NS)
    assert pacer.delay == DELAY + 60 * 16
    for n in range(50, 1000):
        pacer.picture(frame(640 * n), now=due(640 * n) - 200 * MILLISECOND_NS)
    assert pacer.delay == DELAY
    for n in range(1000, 3000):
        pacer.picture(frame(640 * n), now=due(640 * n) + 10 * SECOND_NS)
    assert pacer.delay == MAX_DELAY


def test_the_delay_grows_in_a_pause_and_never_within_a_word() -> None:
    pacer = Pacer(0, DELAY, skew_histogram())
    word = np.full((960, 2), 5_000, np.int16)
    word[::2] *= -1
    for n in range(190):
        pacer.sound(SpeechChunk(n * CHUNK_TIME, SILENCE if n >= 150 else word))
        if n % 2 == 0:
            pacer.picture(frame(n * CHUNK_TIME), now=due(n * CHUNK_TIME) + 50 * MILLISECOND_NS)
        left = [chunk.at for chunk in pacer.release(due(n * CHUNK_TIME)).sounds]
        assert left == ([n * CHUNK_TIME] if n < 150 else [(n - 3) * CHUNK_TIME] * (n >= 153))
        assert pacer.delay == DELAY if n < 150 else DELAY + 60 * 16


def test_after_a_barge_in_nothing_that_waited_is_heard_or_seen_and_time_goes_on() -> None:
    pacer = Pacer(0, DELAY, skew_histogram())
    loud = np.full((960, 2), 9_000, np.int16)
    for n in range(20):
        pacer.sound(SpeechChunk(n * CHUNK_TIME, loud, b"packet"))
        pacer.picture(frame(n * CHUNK_TIME), now=0)
    pacer.release(due(4 * CHUNK_TIME))
    assert pacer.played == 5 * CHUNK_TIME
    pacer.clear()
    assert pacer.unshown_from == 4 * CHUNK_TIME + 1
    pacer.picture(frame(5 * CHUNK_TIME), now=0)  # made again
    released = pacer.release(due(19 * CHUNK_TIME))
    assert [chunk.at for chunk in released.sounds] == [n * CHUNK_TIME for n in range(5, 20)]
    assert not any(chunk.samples.any() or chunk.packet for chunk in released.sounds)
    assert [shown.at for shown in released.pictures] == [5 * CHUNK_TIME]
    assert pacer.counts.cleared == 15


def test_the_last_picture_leaves_again_twice_a_second_while_none_comes() -> None:
    pacer, shown = Pacer(0, DELAY, skew_histogram()), []
    for tick in range(500):
        now = tick * 20 * MILLISECOND_NS
        if tick < 50 or tick >= 300:
            pacer.expect(frame(tick * CHUNK_TIME))
            pacer.picture(frame(tick * CHUNK_TIME), now)
        shown += [(one.at, now) for one in pacer.release(now).pictures]
    ats = [at for at, _ in shown]
    assert ats == sorted(set(ats))
    repeats = [at for at in ats if 50 * CHUNK_TIME <= at < 300 * CHUNK_TIME]
    assert repeats == list(range(repeats[0], repeats[-1] + 1, 8000))
    assert len(repeats) == pacer.counts.repeated == 9
    assert all(abs(now - due(at)) < 20 * MILLISECOND_NS for at, now in shown)
    assert pacer.counts.on_time == 250


def test_a_picture_that_the_engine_still_has_is_waited_for() -> None:
    pacer = Pacer(0, DELAY, skew_histogram())
    for n in range(10):
        pacer.expect(frame(640 * n))
    pacer.picture(frame(0), now=0)
    pacer.release(due(0))
    assert not pacer.release(due(640 * 9 + 7999)).pictures
    pacer.picture(frame(640 * 9), now=due(640 * 9 + 7999))
    assert [one.at for one in pacer.release(due(640 * 9 + 7999)).pictures] == [640 * 9]
    assert pacer.counts.repeated == 0


def test_what_is_held_is_bounded() -> None:
    pacer = Pacer(0, DELAY, skew_histogram())
    for n in range(2000):
        pacer.sound(SpeechChunk(n * CHUNK_TIME, SILENCE))
        pacer.picture(frame(n * CHUNK_TIME), now=0)
        pacer.expect(frame(n * CHUNK_TIME))
    assert max(pacer.waiting) <= 240
    assert pacer.counts.overflow > 0
