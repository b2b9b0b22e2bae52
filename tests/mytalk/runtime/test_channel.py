from __future__ import annotations

import threading
import time

import pytest

from mytalk.runtime.channel import Channel, ChannelClosed
from tests.support.limits import LIMIT_S


def test_items_come_in_order_and_a_full_channel_makes_the_giver_wait() -> None:
    channel: Channel[int] = Channel(3)
    conditions: list[int] = []

    def give() -> None:
        for item in range(100):
            channel.put(item)
            conditions.append(item)
        channel.end()

    giver = threading.Thread(target=give)
    giver.start()
    taken = []
    for item in channel:
        taken.append(item)
        time.sleep(0.0005)
        assert len(conditions) <= len(taken) + channel.depth + 1
    giver.join()
    assert taken == list(range(100))


@pytest.mark.parametrize("side", ["giver", "taker"])
def test_closing_wakes_whoever_waits(side: str) -> None:
    channel: Channel[int] = Channel(1)
    woken: list[type[BaseException]] = []

    def wait() -> None:
        try:
            if side == "giver":
                channel.put(1)
                channel.put(2)
            else:
                next(iter(channel))
        except ChannelClosed as signal:
            woken.append(type(signal))

    waiter = threading.Thread(target=wait)
    waiter.start()
    time.sleep(0.02)
    channel.close()
    waiter.join(LIMIT_S)
    assert woken == [ChannelClosed]


def test_items_that_wait_are_still_given_after_the_end() -> None:
    channel: Channel[str] = Channel(4)
    channel.put("a")
    channel.put("b")
    channel.end()
    assert list(channel) == ["a", "b"]
