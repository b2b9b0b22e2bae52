"""Makes and ends sessions over HTTP, with the standard library alone: calls block, and belong on a thread."""

from __future__ import annotations

import json
import logging
import secrets
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from mytalk_client.errors import ClientError, LostError, RefusedError

log = logging.getLogger(__name__)

TIMEOUT = 30.0
"""Seconds that a request may take."""

PATIENCE = 15.0
"""Seconds for which a server that is busy, and says when to come back, is asked again for a session."""

_LEAST_PAUSE = 0.2  # seconds before another try, whatever the server says

Portrait = bytes | str
"""The bytes of a picture of a face, or the name of a file in the server's folder of faces."""

Consent = Mapping[str, str]
"""Of the person on a portrait: ``who``, ``when`` and ``purpose``."""


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """Holds the URLs and tokens of a session. ``urls`` are whole: ``webrtc``, ``whip``, ``whep``, ``stream``..."""

    id: str
    token: str
    urls: Mapping[str, str]
    disclosure: str = ""
    view_token: str = ""
    expires_in: int = 0  # seconds that ``token`` opens connections, from when it was given; 0: for ever

    @property
    def watch_url(self) -> str:
        """Returns the URL of the server's page for viewers, which gives the right to watch the session and no other."""
        base = self.urls["session"].removesuffix(f"/v1/sessions/{self.id}")
        return f"{base}/watch.html#{self.id}/{self.view_token}"


def create_session(
    url: str,
    api_key: str | None = None,
    *,
    portrait: Portrait | None = None,
    consent: Consent | None = None,
    patience: float = PATIENCE,
    **options: object,
) -> SessionInfo:
    """Makes a session with ``options`` and, for a face of your own, the bytes of a picture and its consent.

    ``background`` among the options may be the bytes of an image too.

    A busy server is asked again after its ``Retry-After``, within ``patience`` seconds, with a line in the log.
    Raises ``RefusedError`` or ``LostError``.
    """
    given_up = time.monotonic() + patience
    while True:
        try:
            return ask_for_session(url, api_key, portrait, consent, options)
        except RefusedError as error:
            time.sleep(pause_after(error, given_up - time.monotonic()))


def pause_after(refused: RefusedError, left: float) -> float:
    """Returns the seconds to wait before a session is asked for again. Raises ``refused`` where that does not help, or
    lasts longer than the seconds ``left``."""
    if refused.status not in (429, 503) or refused.retry_after is None:
        raise refused
    pause = max(float(refused.retry_after), _LEAST_PAUSE)
    if pause > left:
        raise refused
    log.warning("%s: asking again in %.1f s", refused, pause)
    return pause


def ask_for_session(
    url: str,
    api_key: str | None,
    portrait: Portrait | None,
    consent: Consent | None,
    options: Mapping[str, object],
) -> SessionInfo:
    """Asks once for a session. Raises ``RefusedError`` or ``LostError``."""
    images: dict[str, bytes] = {}
    asked = dict(options)
    if isinstance(background := asked.get("background"), bytes):
        asked["background"], images["background"] = "image", background
    body, content_type = _body(asked, images, portrait, consent)
    answer = _request("POST", f"{url.rstrip('/')}/v1/sessions", api_key, body, content_type)
    try:
        urls = {name: url.rstrip("/") + path for name, path in answer["urls"].items()}
        texts = (answer.get("disclosure", ""), answer.get("view_token", ""))
        return SessionInfo(answer["id"], answer["token"], urls, *texts, int(answer.get("expires_in", 0)))
    except (KeyError, TypeError, AttributeError) as error:
        raise ClientError(f"{url} does not answer as a MyTalk streamer does (without {error})") from error


def change_face(info: SessionInfo, portrait: Portrait | None = None, consent: Consent | None = None) -> None:
    """Shows another face in a session: your own, with the person's consent, one of the server's by its name, or its
    own portrait. ``face.changed`` follows. Raises ``RefusedError`` or ``LostError``."""
    if "face" not in info.urls:
        raise ClientError("the server cannot change faces (an older one)")
    body, content_type = _body({}, {}, portrait, consent)
    _request("POST", info.urls["face"], info.token, body, content_type)


def session_state(info: SessionInfo) -> str:
    """Returns ``new``, ``live``, ``draining`` or ``closed``. Raises ``RefusedError`` (404: ended) or ``LostError``."""
    return str(_request("GET", info.urls["session"], info.token)["state"])


def renewed(info: SessionInfo) -> SessionInfo:
    """Returns ``info`` with a new token of the same right. Raises ``RefusedError`` (expired) or ``LostError``."""
    body = json.dumps({"right": "own"}).encode()
    answer = _request("POST", info.urls["tokens"], info.token, body, "application/json")
    return replace(info, token=str(answer["token"]), expires_in=int(answer["expires_in"]))


def end_session(info: SessionInfo) -> None:
    """Ends a session. Raises ``RefusedError`` or ``LostError``."""
    _request("DELETE", info.urls["session"], info.token)


def _body(
    asked: dict[str, object], images: dict[str, bytes], portrait: Portrait | None, consent: Consent | None
) -> tuple[bytes, str]:
    """Returns the body of a request that names or brings a face, and its content type."""
    if isinstance(portrait, str):
        asked = asked | {"portrait": portrait}
    elif portrait is not None:
        images = images | {"portrait": portrait}
        asked = asked | ({"consent": dict(consent)} if consent else {})
    return _multipart(asked, images) if images else (json.dumps(asked).encode(), "application/json")


def _multipart(options: Mapping[str, Any], images: Mapping[str, bytes]) -> tuple[bytes, str]:
    """Returns the body and its content type (RFC 7578)."""
    border = secrets.token_hex(16)
    parts = [("session", "application/json", json.dumps(options).encode())]
    parts += [(name, "application/octet-stream", image) for name, image in images.items()]
    body = b"".join(
        f'--{border}\r\nContent-Disposition: form-data; name="{name}"; filename="{name}"\r\n'
        f"Content-Type: {kind}\r\n\r\n".encode()
        + content
        + b"\r\n"
        for name, kind, content in parts
    )
    return body + f"--{border}--\r\n".encode(), f"multipart/form-data; boundary={border}"


def _request(method: str, url: str, token: str | None, body: bytes | None = None, content_type: str = "") -> Any:
    headers = {"Content-Type": content_type} if body is not None else {}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    try:
        request = urllib.request.Request(url, body, headers, method=method)
        with urllib.request.urlopen(request, timeout=TIMEOUT) as response:
            return json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            raise _refused(error) from error
    except (OSError, ValueError) as error:  # no connection, no URL, no JSON
        raise LostError(f"{url}: {getattr(error, 'reason', error)}") from error


def _refused(error: urllib.error.HTTPError) -> RefusedError:
    retry = error.headers.get("Retry-After", "")
    try:
        fault = json.load(error)["error"]
        message, code = str(fault["message"]), str(fault["code"])
    except (ValueError, KeyError, TypeError):
        message, code = str(error.reason), "http"
    return RefusedError(message, code, error.code, int(retry) if retry.isdecimal() else None)
