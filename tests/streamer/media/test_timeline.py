"""Two tracks on one media timeline."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.clock import MILLISECOND_NS, SECOND_NS
from streamer.media.audio import CHUNK, CHUNK_TIME, SpeechChunk
from streamer.media.sender_report import SenderReport, picture_offset
from streamer.media.timeline import PictureTimeline, SpeechTimeline

PACKET_NS = 20 * MILLISECOND_NS
TICKS = Fraction(1, 90_000)


def packet(index: int, count: int = CHUNK) -> np.ndarray:
    """Samples that say where they belong."""
    return np.repeat((np.arange(index, index + count) % 30_000).astype(np.int16)[:, None], 2, axis=1)


def joined(chunks: list[SpeechChunk]) -> np.ndarray:
    assert [chunk.at for chunk in chunks] == [i * CHUNK_TIME for i in range(len(chunks))]
    return np.concatenate([chunk.samples for chunk in chunks])[:, 0]


def test_steady_speech_passes_as_it_is() -> None:
    timeline = SpeechTimeline(origin=0)
    chunks = [c for i in range(100) for c in timeline.accept(i * CHUNK, packet(i * CHUNK), (i + 1) * PACKET_NS)]
    assert np.array_equal(joined(chunks), packet(0, 100 * CHUNK)[:, 0])
    assert (timeline.late, timeline.filled) == (0, 0)


@given(st.lists(st.integers(1, 4000), min_size=1, max_size=60))
def test_packet_sizes_do_not_change_speech(sizes: list[int]) -> None:
    timeline = SpeechTimeline(origin=0)
    position, chunks = 0, []
    for size in sizes:
        now = (position + size) * SECOND_NS // 48_000
        chunks += timeline.accept(position, packet(position, size), now)
        position += size
    whole = position // CHUNK * CHUNK
    assert np.array_equal(joined(chunks) if chunks else np.zeros(0), packet(0, position)[:whole, 0])


def test_a_packet_stays_with_just_its_own_samples() -> None:
    timeline = SpeechTimeline(origin=0)
    chunks = []
    for i in [0, 1, 3, 4]:
        chunks += timeline.accept(i * CHUNK, packet(i * CHUNK), (i + 1) * PACKET_NS, b"%d" % i)
    assert [chunk.packet for chunk in chunks] == [b"0", b"1", None, b"3", b"4"]
    shifted = timeline.accept(4 * CHUNK + 480, packet(4 * CHUNK + 480), 6 * PACKET_NS, b"half late")
    assert [chunk.packet for chunk in shifted] == []
    shifted = timeline.accept(5 * CHUNK + 480, packet(5 * CHUNK + 480), 7 * PACKET_NS, b"across two chunks")
    assert [chunk.packet for chunk in shifted] == [None]


def test_a_lost_packet_is_silence_of_its_own_length() -> None:
    timeline = SpeechTimeline(origin=0)
    chunks = []
    for i in [0, 1, 2, 4, 5]:
        chunks += timeline.accept(i * CHUNK, packet(i * CHUNK), (i + 1) * PACKET_NS)
    heard = joined(chunks)
    assert not heard[3 * CHUNK : 4 * CHUNK].any()
    assert np.array_equal(heard[4 * CHUNK :], packet(4 * CHUNK, 2 * CHUNK)[:, 0])
    assert timeline.filled == CHUNK


def test_media_time_goes_on_where_speech_stalls_and_late_speech_is_counted() -> None:
    timeline = SpeechTimeline(origin=0)
    chunks = timeline.accept(0, packet(0), PACKET_NS)
    for i in range(1, 50):
        chunks += timeline.advance((i + 1) * PACKET_NS)
    assert 38 * CHUNK_TIME <= timeline.at <= 42 * CHUNK_TIME
    now = 51 * PACKET_NS
    for i in range(1, 51):  # everything that was stuck comes at once
        chunks += timeline.accept(i * CHUNK, packet(i * CHUNK), now)
    heard = joined(chunks)
    assert timeline.late > 0
    filled = timeline.filled
    assert not heard[CHUNK : CHUNK + filled].any()
    assert np.array_equal(heard[CHUNK + filled :], packet(CHUNK + filled, len(heard) - CHUNK - filled)[:, 0])


@pytest.mark.parametrize("ppm", [-400, 400])
def test_a_sender_whose_clock_runs_differently_stays_within_60_ms(ppm: int) -> None:
    timeline = SpeechTimeline(origin=0)
    for i in range(50 * 600):  # ten minutes
        now = (i + 1) * PACKET_NS * 1_000_000 // (1_000_000 + ppm)
        timeline.advance(now)
        timeline.accept(i * CHUNK, packet(0), now)
        if i % 50 == 0:
            assert abs(now * 16 // MILLISECOND_NS - timeline.at) < 70 * 16
    drifted = 600 * 48_000 * abs(ppm) // 1_000_000
    assert timeline.late + timeline.filled < 2 * drifted + 4 * CHUNK


@pytest.mark.parametrize("ppm", [-200, 200])
def test_drift_is_absorbed_without_a_click_and_without_a_loss(ppm: int) -> None:
    """Twenty minutes of syllables and pauses from a sender whose clock differs; its packets jitter by 15 ms."""
    minutes, rng = 20, np.random.default_rng(4)
    moments = np.arange(10 * 48_000) / 48_000
    loudness = np.clip(np.sin(2 * np.pi * 2.3 * moments) + 0.6, 0, 1) * (moments % 5 < 4)
    turns = np.cumsum(140 + 40 * np.sin(2 * np.pi * moments)) / 48_000
    said = (9_000 * loudness * np.sin(2 * np.pi * turns)).astype(int)
    speech = np.repeat(said.astype(np.int16)[:, None], 2, axis=1)
    jitter = rng.integers(0, 15 * MILLISECOND_NS, 50 * 60 * minutes).tolist()
    timeline = SpeechTimeline(origin=0)
    steps, behind, last, count = [], [], np.int16(0), 0
    for i, late in enumerate(jitter):
        now = (i + 1) * PACKET_NS * 1_000_000 // (1_000_000 + ppm) + late
        place = i * CHUNK % len(speech)
        for chunk in timeline.accept(i * CHUNK, speech[place : place + CHUNK], now, b"as it came"):
            assert chunk.at == count * CHUNK_TIME
            count += 1
            steps.append(int(np.abs(np.diff(chunk.samples[:, 0].astype(int), prepend=int(last))).max()))
            last = chunk.samples[-1, 0]
        behind.append(now * 16 // MILLISECOND_NS - timeline.at)
    assert max(steps) <= 1.05 * np.abs(np.diff(said)).max()
    assert max(behind) - min(behind) < 100 * 16
    assert (timeline.late, timeline.filled) == (0, CHUNK)  # before the first packet, which came late
    assert abs(timeline.stretched - minutes * 60 * 48_000 * 200 // 1_000_000) <= 2 * CHUNK + 0.04 * 48_000


def test_speech_that_is_made_shorter_survives_a_packet_that_is_lost_right_then() -> None:
    timeline = SpeechTimeline(origin=0)
    chunks, i = [], 0
    while timeline._joining is None and i < 2000:
        chunks += timeline.accept(i * CHUNK, packet(0), (i + 1) * PACKET_NS - (i > 0) * 60 * MILLISECOND_NS)
        i += 1
    for n in range(i + 1, i + 50):  # packet i is lost
        chunks += timeline.accept(n * CHUNK, packet(0), (n + 1) * PACKET_NS - 60 * MILLISECOND_NS)
    assert joined(chunks).size
    assert timeline.filled == CHUNK
    assert timeline.stretched >= CHUNK


@pytest.mark.parametrize("stall", [1, 3, 10])
def test_after_a_stall_of_the_server_speech_is_back_in_its_place_at_once(stall: int) -> None:
    """No packet is taken in for seconds; then 50, all that the queue held, come at once."""
    timeline = SpeechTimeline(origin=0)
    missed = stall * 50
    for i in range(100):
        timeline.accept(i * CHUNK, packet(0), (i + 1) * PACKET_NS)
    now = (100 + missed) * PACKET_NS
    timeline.advance(now)
    for i in range(100 + missed - 50, 100 + missed):
        timeline.accept(i * CHUNK, packet(0), now)
    for i in range(100 + missed, 600 + missed):
        timeline.accept(i * CHUNK, packet(0), (i + 1) * PACKET_NS)
        assert timeline.at == (i + 1) * CHUNK_TIME


@pytest.mark.parametrize("jump", [-50_000, 50_000])
def test_a_track_whose_timestamps_jumped_is_heard_again_within_two_seconds(jump: int) -> None:
    timeline = SpeechTimeline(origin=0)
    for i in range(100):
        timeline.accept(5_000 * CHUNK + i * CHUNK, packet(1), (i + 1) * PACKET_NS)
    heard = []
    for i in range(100, 300):
        now = (i + 1) * PACKET_NS
        chunks = timeline.accept((5_000 + i) * CHUNK + jump * 10, packet(1), now) + timeline.advance(now)
        heard += [i] * any(chunk.samples.any() for chunk in chunks)
        assert timeline.at <= (i + 2) * CHUNK_TIME
    assert heard[0] < 200
    assert heard[-50:] == list(range(250, 300))


def test_a_jump_of_the_senders_timestamps_starts_a_new_reckoning() -> None:
    timeline = SpeechTimeline(origin=0)
    chunks = timeline.accept(0, packet(0), PACKET_NS)
    chunks += timeline.accept(900 * 48_000, packet(7), 2 * PACKET_NS)
    assert np.array_equal(joined(chunks)[CHUNK : 2 * CHUNK], packet(7)[:, 0])


def test_pictures_keep_their_intervals_and_always_grow() -> None:
    timeline = PictureTimeline(origin=0)
    late = [3, 8, 1, 15, 2, 9]  # ms of network jitter
    ats = [timeline.place(i * 3003, TICKS, i * 3003 * 100_000 // 9 + late[i % 6] * MILLISECOND_NS) for i in range(90)]
    steps = {b - a for a, b in itertools.pairwise(ats) if a is not None and b is not None}
    assert steps <= {533, 534}
    assert timeline.place(0, TICKS, 90 * PACKET_NS) is None
    assert timeline.late == 1


@pytest.mark.parametrize("ppm", [-200, 200])
def test_a_camera_whose_clock_drifts_is_followed_without_a_jump(ppm: int) -> None:
    timeline = PictureTimeline(origin=0)
    ats, behind = [], []
    for i in range(25 * 1200):  # twenty minutes, without a report
        now = i * 40 * MILLISECOND_NS * 1_000_000 // (1_000_000 + ppm)
        ats.append(timeline.place(i * 3600, TICKS, now))
        behind.append(now * 16 // MILLISECOND_NS - (ats[-1] or 0))
    steps = np.diff(ats)
    assert 640 - 81 <= steps.min() <= steps.max() <= 640 + 81
    assert max(behind) - min(behind) < 60 * 16


def test_pictures_stand_in_for_a_camera_that_left_until_it_returns() -> None:
    timeline = PictureTimeline(origin=0)
    assert timeline.place(0, TICKS, 0) == 0
    stand_ins = [timeline.stand_in(tick * 20 * MILLISECOND_NS, 640) for tick in range(100, 150)]
    ats = [at for at in stand_ins if at is not None]
    assert ats == list(range(ats[0], 149 * 320, 640))
    assert ats[0] >= 2000 * 16 - 640
    assert timeline.place(270_000, TICKS, 3000 * MILLISECOND_NS) == 48_000


def test_sender_reports_move_pictures_to_their_speech_without_a_jump() -> None:
    # The camera's first frame was taken 300 ms after the microphone's first packet, but arrived with it.
    speech = SenderReport(ntp=100 << 32, pts=0, rate=48_000)
    picture = SenderReport(ntp=(100 << 32) + (3 << 32) // 10, pts=0, rate=90_000)
    offset = picture_offset(speech, picture, speech_offset=0)
    assert abs(offset - 4800) <= 1
    timeline = PictureTimeline(origin=0)
    ats = []
    for i in range(100):
        ats.append(timeline.place(i * 3600, TICKS, i * 40 * MILLISECOND_NS))
        timeline.align(offset)
    assert ats[-1] == 99 * 640 + offset
    steps = [b - a for a, b in itertools.pairwise(ats)]
    assert max(steps) <= 640 + 80


def syllables(seconds: int) -> np.ndarray:
    """Speech that pauses for a fifth of the time."""
    moments = np.arange(seconds * 48_000) / 48_000
    loudness = np.clip(np.sin(2 * np.pi * 2.3 * moments) + 0.6, 0, 1) * (moments % 5 < 4)
    noise = np.random.default_rng(3).normal(0, 3_000, len(moments))
    return np.repeat((loudness * noise).astype(np.int16)[:, None], 2, axis=1)


@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize("backlog", [25, 50, 90])
def test_a_publisher_that_begins_with_a_backlog_loses_none_of_it(size: int, backlog: int) -> None:
    """Packets of ``size`` chunks: those of the backlog come at once, the others in time."""
    timeline, speech, chunks, behind = SpeechTimeline(origin=0), syllables(60), [], []
    for end in range(size, 3000, size):
        now = max(0, end - backlog) * PACKET_NS + PACKET_NS * size
        part = speech[(end - size) * CHUNK : end * CHUNK]
        chunks += timeline.accept((end - size) * CHUNK, part, now)
        timeline.advance(now)
        behind.append(timeline.at - now * 16 // MILLISECOND_NS)
    assert (timeline.late, timeline.filled) == (0, 0)
    assert max(behind) >= (backlog - size) * CHUNK_TIME
    assert abs(behind[-1]) <= 100 * 16
    heard = {chunk.samples.tobytes() for chunk in chunks}
    said = [speech[n * CHUNK : (n + 1) * CHUNK] for n in range(2900)]
    loud = [chunk for chunk in said if np.ptp(chunk) > 300]
    assert np.mean([chunk.tobytes() in heard for chunk in loud]) > 0.98
    assert np.mean([chunk.tobytes() in heard for chunk in loud[:backlog]]) > 0.98


def test_pictures_beside_speech_that_is_a_second_early_never_jump() -> None:
    timeline, ats = PictureTimeline(origin=0), []
    for i in range(500):
        at = timeline.place(i * 3600, TICKS, i * 40 * MILLISECOND_NS)
        timeline.align(16_000)
        assert at is not None
        assert 0 <= at - i * 640 <= 4800
        ats.append(at)
    assert ats[-1] - 499 * 640 == 4800
    assert np.diff(ats).max() <= 640 + 80
