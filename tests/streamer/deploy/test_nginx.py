"""The example of a proxy, run by nginx itself: sessions, pages and the WebSocket go through it, with TLS."""

from __future__ import annotations

import asyncio
import io
import json
import re
import shutil
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest

from streamer.config.server_config import ServerConfig
from streamer.http.server import Running
from tests.streamer.support.ffmpeg_publisher import write_certificate
from tests.streamer.support.ports import free_port, listening

NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin:/sbin:/usr/local/sbin:/usr/local/bin")
EXAMPLE = Path(__file__).parents[3] / "streamer" / "deploy" / "nginx.conf"

pytestmark = pytest.mark.skipif(NGINX is None, reason="no nginx on this machine (install the package nginx-light)")


def configuration(folder: Path, port: int, server: str) -> Path:
    """The example as it stands, but for its port, its certificate, and the server's address."""
    certificate = write_certificate(folder)
    example = EXAMPLE.read_text().replace("listen 443", f"listen 127.0.0.1:{port}")
    example = example.replace("http://127.0.0.1:8080", server.rstrip("/"))
    example = re.sub(r"(ssl_certificate +)\S+;", rf"\1{certificate['cert_file']};", example)
    example = re.sub(r"(ssl_certificate_key +)\S+;", rf"\1{certificate['key_file']};", example)
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    folders = "\n".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
    path = folder / "nginx.conf"
    path.write_text(
        f"daemon off;\npid {folder}/pid;\nerror_log {folder}/error.log;\nevents {{}}\n"
        f"http {{\naccess_log off;\n{folders}\n{example}\n}}\n"
    )
    return path


@pytest.fixture
def config(config: ServerConfig) -> ServerConfig:
    return replace(config, requests_per_minute=0)


@pytest.fixture
async def proxy(server: Running, tmp_path: Path) -> AsyncIterator[str]:
    """The address of nginx in front of the server."""
    assert NGINX is not None
    port = free_port()
    path = configuration(tmp_path, port, server.url)
    process = await asyncio.create_subprocess_exec(NGINX, "-e", str(tmp_path / "error.log"), "-c", str(path))
    try:
        await listening(port, "tcp")
        yield f"https://localhost:{port}"
    finally:
        process.terminate()
        await process.wait()


async def test_a_session_and_its_stream_go_through_the_proxy(proxy: str) -> None:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=False)) as http:
        async with http.get(f"{proxy}/") as page:
            assert page.status == 200
        asked = {"source": "portrait", "speech": "stream"}
        async with http.post(f"{proxy}/v1/sessions", json=asked, headers={"Origin": proxy}) as answer:
            assert answer.status == 201, await answer.text()
            session = await answer.json()
        headers = {"Authorization": f"Bearer {session['token']}", "Origin": proxy}
        async with http.ws_connect(
            proxy + session["urls"]["stream"], protocols=["mytalk.v1"], headers=headers
        ) as stream:
            first = json.loads(await stream.receive_str())
        assert first["type"] == "session.created"
        async with http.post(f"{proxy}/v1/sessions", json=asked, headers={"Origin": "https://evil.example"}) as answer:
            assert answer.status == 403
        async with http.post(f"{proxy}/v1/sessions", data=io.BytesIO(bytes(10 << 20))) as answer:
            assert answer.status == 413
