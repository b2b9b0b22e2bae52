"""A file of API keys for a test's server, and sessions made with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from msgspec.structs import replace

from streamer.auth.api_keys import make_key, read_keys, write_keys
from tests.streamer.support.http_client import Client


class Keys:
    """A file of keys and the keys themselves."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.ids: dict[str, str] = {}

    def add(self, *scopes: str, name: str = "key", **limits: int) -> str:
        known = list(read_keys(self.path).values()) if self.path.exists() else []
        key, text = make_key(name, scopes, **limits)
        write_keys(self.path, [*known, key])
        return text

    def limit(self, text: str, seconds: int) -> None:
        known = read_keys(self.path).values()
        write_keys(self.path, [replace(key, seconds=seconds) if key.id in text else key for key in known])

    def revoke(self, text: str) -> None:
        write_keys(self.path, [key for key in read_keys(self.path).values() if key.id != text.split("_")[1]])


async def make(client: Client, key: str | None, **options: object) -> tuple[int, dict[str, Any]]:
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    async with client.http.post(f"{client.url}/v1/sessions", json=options, headers=headers) as response:
        return response.status, dict(await response.json())
