"""Missing packets that a publisher is asked for: a bounded list, whatever its sequence numbers do."""

from __future__ import annotations

from aiortc.rtp import RtpPacket

from streamer.webrtc.aiortc_internals.nacks import MOST_MISSING, BoundedNacks


class Asked:
    def __init__(self) -> None:
        self.keyframes = 0
        self.nacks = BoundedNacks(self.ask)
        self.most = 0

    def ask(self) -> None:
        self.keyframes += 1

    def came(self, number: int) -> list[int]:
        """Returns the packets that are newly asked for after a packet."""
        missed = self.nacks.add(RtpPacket(sequence_number=number % 65_536))
        self.most = max(self.most, len(self.nacks.missing))
        return sorted(self.nacks.missing) if missed else []


def test_packets_that_are_missing_are_asked_for_until_they_come() -> None:
    asked = Asked()
    assert [asked.came(number) for number in (65_533, 65_534, 2)] == [[], [], [0, 1, 65_535]]
    assert asked.came(0) == []
    assert asked.came(4) == [1, 3, 65_535]
    assert asked.keyframes == 0


def test_a_jump_gives_up_what_is_missing_and_asks_for_a_keyframe() -> None:
    asked = Asked()
    asked.came(0)
    assert len(asked.came(MOST_MISSING + 1)) == MOST_MISSING
    assert asked.came(MOST_MISSING + 3) == []
    assert (asked.keyframes, asked.nacks.missing) == (1, set())
    assert asked.came(MOST_MISSING + 5) == [MOST_MISSING + 4]


def test_jumps_of_half_the_range_cost_a_step_each() -> None:
    asked = Asked()
    for step in range(2000):  # of 32 767 steps each, where nothing bounds them
        asked.came(32_767 * step)
    assert asked.most <= MOST_MISSING
    assert asked.keyframes == 1999
