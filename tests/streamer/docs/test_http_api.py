"""HTTP_API.md has every route, every error code and every limit that the server has."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import streamer.errors
from mytalk.errors import MyTalkError
from streamer.clock import FakeClock
from streamer.config.server_config import ServerConfig
from streamer.http.body import BODY_WAIT, MAX_BODY
from streamer.http.listener import HANDSHAKE_WAIT
from streamer.http.routes import ROUTES, Routes
from streamer.http.server import HEAD_WAIT, LINGER
from streamer.http.upload import TIMEOUT, UPLOADS
from streamer.protocol.codec import TOKEN_PREFIX
from streamer.session.picture_header import MAX_BYTES, MAX_PIXELS, MAX_SCANS, MAX_SIDE
from streamer.session.portrait_decoder import SECONDS

PAGE = (Path(__file__).parents[3] / "streamer" / "docs" / "HTTP_API.md").read_text()


def section(title: str) -> str:
    return PAGE.partition(f"## {title}\n")[2].partition("\n## ")[0]


def routes() -> set[str]:
    """``METHOD /path`` of a server, without preflights and the page's files."""
    nothing = cast(Any, SimpleNamespace(clock=FakeClock(), middleware=None))
    router = Routes(nothing, nothing, ServerConfig(), nothing, nothing, nothing).app().router
    pairs = {(route.method, route.resource.canonical) for route in router.routes() if route.resource is not None}
    return {f"{method} {path}" for method, path in pairs if method not in ("HEAD", "OPTIONS") and "." not in path}


def test_every_route_is_in_the_table_and_no_other() -> None:
    named = set(re.findall(r"`((?:GET|POST|PATCH|DELETE) /[^`]*)`", section("Routes")))
    assert named - {"GET /watch.html"} == routes()


def test_the_parts_of_urls_are_named() -> None:
    row = next(line for line in PAGE.splitlines() if line.startswith("| `urls` |"))
    assert set(re.findall(r"`(\w+)`", row)) - {"urls"} == {"session", *ROUTES}


def test_every_error_code_is_in_the_table_beside_its_status() -> None:
    lines = [line.split("|") for line in section("Errors").splitlines() if line.startswith("| ")]
    documented = {
        (int(status), code)
        for _, statuses, codes, *_ in lines
        for status in re.findall(r"\d{3}", statuses)
        for code in re.findall(r"`(\w+)`", codes)
    }
    for name in streamer.errors.__all__:
        error = getattr(streamer.errors, name)
        assert issubclass(error, MyTalkError)
        if "code" in vars(error):
            assert (error.http_status, error.code) in documented, name


def test_limits_are_those_of_the_server() -> None:
    assert f"{MAX_BODY >> 10} KiB within {BODY_WAIT:.0f} s" in section("Limits")
    assert f"{MAX_BYTES >> 20} MiB within {TIMEOUT:.0f} s" in section("Limits")
    assert f"| {HEAD_WAIT:.0f} s |" in section("Limits")
    assert f"| TLS handshake | {HANDSHAKE_WAIT:.0f} s |" in section("Limits")
    assert f"| uploads at a time | {UPLOADS} |" in section("Limits")
    assert f"dropped for {LINGER:.0f} s" in section("Limits")
    size = f"{MAX_BYTES >> 20} MiB, {MAX_SIDE} pixels a side and {MAX_PIXELS // 10**6} million in all"
    assert f"{size}; a JPEG of at most {MAX_SCANS} scans" in " ".join(PAGE.split())
    assert f"a process of its own, for at most {SECONDS:.0f} s" in PAGE
    assert f"`{TOKEN_PREFIX}BEARER`" in PAGE
