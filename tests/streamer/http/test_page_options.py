"""The page offers no more than a server with default options takes."""

from __future__ import annotations

import re
from importlib.resources import files

from streamer.config.server_config import ServerConfig


def test_the_steps_slider_ends_at_the_servers_default_maximum() -> None:
    page = (files("streamer") / "page" / "index.html").read_text(encoding="utf-8")
    [slider] = re.findall(r'<input type="range" name="steps"[^>]*>', page)
    assert f'max="{ServerConfig().max_steps}"' in slider
