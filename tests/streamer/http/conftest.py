"""The tests of HTTP run on the event loop that ``mytalk serve`` has."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import pytest
import uvloop

BOTH = ("test_listener.py",)
"""Files whose tests run on asyncio's own loop as well."""


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    plain = {"asyncio": asyncio.new_event_loop} if item.path.name in BOTH else {}
    return {"uvloop": uvloop.new_event_loop} | plain
