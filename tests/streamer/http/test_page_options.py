"""The page offers no more than a server with default options takes."""

from __future__ import annotations

import re
from importlib.resources import files

from streamer.config.server_config import ServerConfig


def test_the_steps_slider_ends_at_the_servers_default_maximum() -> None:
    panel = (files("streamer") / "page" / "control_panel.js").read_text(encoding="utf-8")
    [most] = re.findall(r"^const MOST_STEPS = (\d+);", panel, re.MULTILINE)
    assert int(most) == ServerConfig().max_steps
