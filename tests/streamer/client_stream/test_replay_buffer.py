"""Messages not yet acknowledged can be sent again; none is lost or comes twice, and memory is bounded."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.client_stream.replay_buffer import KEPT, KEPT_BYTES, LATE, MOST_UNSENT, ReplayBuffer
from streamer.clock import SECOND_NS
from streamer.errors import ProtocolError


def send(buffer: ReplayBuffer, now: int = 0) -> list[str | bytes]:
    sent = []
    while (data := buffer.next(now)) is not None:
        sent.append(data)
    return sent


@given(st.lists(st.tuples(st.sampled_from("psac"), st.integers(0, 5)), max_size=60))
def test_through_any_cuts_the_client_gets_every_message_once_and_in_order(steps: list[tuple[str, int]]) -> None:
    buffer, put, got = ReplayBuffer(), 0, []
    flying: list[str | bytes] = []  # sent, and not yet there
    for what, count in steps:
        if what == "p":
            for _ in range(count):
                buffer.put(str(put), 0)
                put += 1
        elif what == "s" and (data := buffer.next(0)) is not None:
            flying.append(data)
        elif what == "a":
            got += [flying.pop(0) for _ in range(min(count, len(flying)))]
            buffer.acknowledge(len(got))
        elif what == "c":
            got += [flying.pop(0) for _ in range(min(count, len(flying)))]
            flying.clear()
            buffer.rewind(len(got), 0)
    buffer.rewind(len(got), 0)
    got += send(buffer)
    assert got == [str(number) for number in range(put)]


def test_a_client_that_never_acknowledges_is_kept_ten_seconds_of() -> None:
    buffer = ReplayBuffer()
    for tick in range(50 * 60):
        now = tick * SECOND_NS // 50
        buffer.put(b"x" * 1000, now)
        assert buffer.next(now)
    assert len(buffer._messages) <= KEPT * 50 // SECOND_NS + 1
    buffer.rewind(50 * 60 - 400, now)
    assert len(send(buffer, now)) == 400
    with pytest.raises(ProtocolError, match="begin anew") as refused:
        buffer.rewind(50 * 50 - 10, now)
    assert (refused.value.code, refused.value.fatal) == ("cannot_resume", True)


@pytest.mark.parametrize("received", [4, 1 << 53])
def test_what_was_never_sent_cannot_have_been_received(received: int) -> None:
    buffer = ReplayBuffer()
    for _ in range(3):
        buffer.put("x", 0)
    assert send(buffer) == ["x"] * 3
    with pytest.raises(ProtocolError):
        buffer.acknowledge(received)
    with pytest.raises(ProtocolError):
        buffer.rewind(received, 0)


def test_it_is_late_when_the_connection_is_slow_and_not_because_of_a_cut() -> None:
    buffer = ReplayBuffer()
    buffer.put("a", 0)
    assert not buffer.late(LATE)
    assert buffer.late(LATE + 1)
    buffer.next(LATE)
    assert not buffer.late(LATE + 1)
    buffer.put("b", LATE)
    buffer.rewind(0, 9 * SECOND_NS)  # "a" has waited for 9 s
    assert not buffer.late(9 * SECOND_NS + LATE)
    assert buffer.late(9 * SECOND_NS + LATE + 1)
    assert send(buffer, 9 * SECOND_NS) == ["a", "b"]
    buffer.put("c", 10 * SECOND_NS)
    assert not buffer.late(10 * SECOND_NS)
    assert buffer.late(10 * SECOND_NS + LATE + 1)  # what the cut had added was caught up


def test_bytes_are_bounded_whatever_their_age() -> None:
    buffer = ReplayBuffer()
    for _ in range(100):
        buffer.put(bytes(1 << 20), 0)
    assert buffer.late(0)
    send(buffer)
    assert sum(len(message.data) for message in buffer._messages) <= KEPT_BYTES
    assert not buffer.late(0)


def test_it_is_full_by_count_and_by_bytes_until_some_are_sent() -> None:
    many, large = ReplayBuffer(), ReplayBuffer()
    for number in range(MOST_UNSENT):
        assert not many.full
        many.put(str(number), 0)
    large.put(bytes(KEPT_BYTES + 1), 0)
    assert many.full
    assert large.full
    many.next(0)
    large.next(0)
    assert not many.full
    assert not large.full


def test_a_cut_leaves_out_no_picture_that_there_is_room_for() -> None:
    buffer = ReplayBuffer()
    buffer.put("sent before", 0)
    buffer.next(0)
    buffer.cut()
    for now in range(0, 9 * SECOND_NS, SECOND_NS // 25):
        assert not buffer.late(now)
        buffer.put(bytes(1000), now)
    buffer.put(bytes(KEPT_BYTES), 9 * SECOND_NS)
    assert buffer.late(9 * SECOND_NS)
    buffer.rewind(1, 9 * SECOND_NS)
    send(buffer, 9 * SECOND_NS)
    assert not buffer.late(9 * SECOND_NS)
    buffer.put("after", 9 * SECOND_NS)
    assert not buffer.late(9 * SECOND_NS + LATE)
    assert buffer.late(9 * SECOND_NS + LATE + 1)
