"""What was sent and not yet taken in can be sent again; nothing is lost, nothing comes twice, and memory is bounded."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.client_stream.replay_buffer import KEPT, KEPT_BYTES, LATE, MOST_UNSENT, ReplayBuffer
from streamer.clock import SECOND_NS
from streamer.errors import ProtocolError


def send(tape: ReplayBuffer, now: int = 0) -> list[str | bytes]:
    sent = []
    while (data := tape.next(now)) is not None:
        sent.append(data)
    return sent


@given(st.lists(st.tuples(st.sampled_from("psac"), st.integers(0, 5)), max_size=60))
def test_through_any_cuts_the_client_gets_every_message_once_and_in_order(steps: list[tuple[str, int]]) -> None:
    tape, put, got = ReplayBuffer(), 0, []
    flying: list[str | bytes] = []  # sent, and not yet there
    for what, count in steps:
        if what == "p":
            for _ in range(count):
                tape.put(str(put), 0)
                put += 1
        elif what == "s" and (data := tape.next(0)) is not None:
            flying.append(data)
        elif what == "a":
            got += [flying.pop(0) for _ in range(min(count, len(flying)))]
            tape.acknowledge(len(got))
        elif what == "c":
            got += [flying.pop(0) for _ in range(min(count, len(flying)))]
            flying.clear()
            tape.rewind(len(got), 0)
    tape.rewind(len(got), 0)
    got += send(tape)
    assert got == [str(number) for number in range(put)]


def test_a_client_that_never_acknowledges_is_kept_ten_seconds_of() -> None:
    tape = ReplayBuffer()
    for tick in range(50 * 60):
        now = tick * SECOND_NS // 50
        tape.put(b"x" * 1000, now)
        assert tape.next(now)
    assert len(tape._messages) <= KEPT * 50 // SECOND_NS + 1
    tape.rewind(50 * 60 - 400, now)
    assert len(send(tape, now)) == 400
    with pytest.raises(ProtocolError, match="begin anew") as refused:
        tape.rewind(50 * 50 - 10, now)
    assert (refused.value.code, refused.value.fatal) == ("cannot_resume", True)


@pytest.mark.parametrize("received", [4, 1 << 53])
def test_what_was_never_sent_cannot_have_been_received(received: int) -> None:
    tape = ReplayBuffer()
    for _ in range(3):
        tape.put("x", 0)
    assert send(tape) == ["x"] * 3
    with pytest.raises(ProtocolError):
        tape.acknowledge(received)
    with pytest.raises(ProtocolError):
        tape.rewind(received, 0)


def test_it_is_late_when_the_connection_is_slow_and_not_because_of_a_cut() -> None:
    tape = ReplayBuffer()
    tape.put("a", 0)
    assert not tape.late(LATE)
    assert tape.late(LATE + 1)
    tape.next(LATE)
    assert not tape.late(LATE + 1)
    tape.put("b", LATE)
    tape.rewind(0, 9 * SECOND_NS)  # "a" has waited for 9 s
    assert not tape.late(9 * SECOND_NS + LATE)
    assert tape.late(9 * SECOND_NS + LATE + 1)
    assert send(tape, 9 * SECOND_NS) == ["a", "b"]
    tape.put("c", 10 * SECOND_NS)
    assert not tape.late(10 * SECOND_NS)
    assert tape.late(10 * SECOND_NS + LATE + 1)  # what the cut had added was caught up


def test_bytes_are_bounded_whatever_their_age() -> None:
    tape = ReplayBuffer()
    for _ in range(100):
        tape.put(bytes(1 << 20), 0)
    assert tape.late(0)
    send(tape)
    assert sum(len(message.data) for message in tape._messages) <= KEPT_BYTES
    assert not tape.late(0)


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
    tape = ReplayBuffer()
    tape.put("sent before", 0)
    tape.next(0)
    tape.cut()
    for now in range(0, 9 * SECOND_NS, SECOND_NS // 25):
        assert not tape.late(now)
        tape.put(bytes(1000), now)
    tape.put(bytes(KEPT_BYTES), 9 * SECOND_NS)
    assert tape.late(9 * SECOND_NS)
    tape.rewind(1, 9 * SECOND_NS)
    send(tape, 9 * SECOND_NS)
    assert not tape.late(9 * SECOND_NS)
    tape.put("after", 9 * SECOND_NS)
    assert not tape.late(9 * SECOND_NS + LATE)
    assert tape.late(9 * SECOND_NS + LATE + 1)
