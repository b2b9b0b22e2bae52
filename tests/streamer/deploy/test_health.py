"""The health check of the images: it asks where the server listens, with TLS where the server has it."""

from __future__ import annotations

import asyncio
import urllib.error
from dataclasses import replace
from pathlib import Path

import pytest

from streamer.commands.health import address_of, main, options_of
from streamer.config.server_config import ServerConfig
from streamer.http.server import running
from tests.streamer.support.fake_models import FakeModels
from tests.streamer.support.ffmpeg_publisher import write_certificate
from tests.streamer.support.ports import free_port


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    options = write_certificate(tmp_path)
    return Path(options["cert_file"]), Path(options["key_file"])


@pytest.mark.parametrize("tls", [False, True])
async def test_a_server_that_answers_is_healthy_and_one_that_is_gone_is_not(
    tls: bool,
    certificate: tuple[Path, Path],
    config: ServerConfig,
    models: FakeModels,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    port = free_port()
    options = ["--port", str(port)]
    config = replace(config, port=port)
    if tls:
        config = replace(config, tls_cert=certificate[0], tls_key=certificate[1])
        monkeypatch.setenv("MYTALK_SERVE_TLS_CERT", str(certificate[0]))
        options += ["--tls-key", str(certificate[1])]
    async with running(config, lambda: models):
        assert await asyncio.to_thread(main, options) == 0
    with pytest.raises(urllib.error.URLError):
        await asyncio.to_thread(main, options)


def test_the_address_is_where_this_machine_reaches_the_server() -> None:
    hosts = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "localhost": "localhost", "10.0.0.5": "10.0.0.5"}
    keys = Path("keys.json")
    for host, reached in hosts.items():
        assert address_of(ServerConfig(host=host, keys=keys)) == f"http://{reached}:8080/healthz"


def test_options_are_those_of_the_server_that_runs(tmp_path: Path) -> None:
    (tmp_path / "cmdline").write_bytes(b"python\0/usr/bin/mytalk\0serve\0--port\x009000\0--keys=k\0")
    assert options_of(tmp_path)[:3] == ["--port", "9000", "--keys=k"]
    (tmp_path / "cmdline").write_bytes(b"/sbin/init\0")
    assert options_of(tmp_path) == []
    assert options_of(tmp_path / "gone") == []
