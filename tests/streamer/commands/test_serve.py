"""``mytalk serve`` as a user runs it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.streamer.support.waiting import LIMIT_S

COMMAND = [sys.executable, "-m", "streamer.cli", "serve"]


@contextmanager
def serving(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server with the embedded models, and the page's address that it printed."""
    process = subprocess.Popen(
        [*COMMAND, "--port", "0", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stderr is not None
        if "json" in arguments:
            line = process.stderr.readline()
            assert json.loads(line)["message"] == "serving", line
            yield process, json.loads(line)["url"]
        else:
            line = process.stdout.readline()
            assert line.startswith("Serving at http://localhost:"), process.communicate()[1]
            yield process, line.split()[2]
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_cleanly_in_bounded_time(number: signal.Signals) -> None:
    with serving() as (process, url):
        with urllib.request.urlopen(f"{url}readyz") as answer:
            assert answer.status == 200
        process.send_signal(number)
        _, errors = process.communicate(timeout=LIMIT_S)
        assert (process.returncode, errors) == (0, "INFO draining sessions=0 seconds=10\n")


def test_all_its_threads_have_the_priority_that_was_asked_for() -> None:
    with serving("--nice", "7") as (process, _):
        threads = [int(path.name) for path in Path(f"/proc/{process.pid}/task").iterdir()]
        assert len(threads) > 3
        assert {os.getpriority(os.PRIO_PROCESS, thread) for thread in threads} == {7}


def test_sigterm_drains_and_the_log_is_json() -> None:
    with serving("--log", "json", "--drain-seconds", "2") as (process, url):
        body = urllib.request.Request(f"{url}v1/sessions", b"{}", {"Content-Type": "application/json"})
        with urllib.request.urlopen(body) as answer:
            session = json.loads(answer.read())
        process.send_signal(signal.SIGTERM)
        statuses = [status_of(f"{url}readyz") for _ in range(5)]
        assert status_of(body) == 503
        _, errors = process.communicate(timeout=LIMIT_S)
    assert (process.returncode, statuses[-1]) == (0, 503)
    lines = [json.loads(line) for line in errors.splitlines()]
    ended = next(line for line in lines if line["message"] == "session ended")
    assert (ended["session"], ended["reason"]) == (session["id"][:8], "the server is stopping")
    assert next(line for line in lines if line["message"] == "draining")["sessions"] == 1
    assert session["token"] not in errors


def status_of(request: str | urllib.request.Request) -> int:
    try:
        with urllib.request.urlopen(request) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def test_a_port_in_use_is_one_line_and_a_non_zero_exit() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = subprocess.run([*COMMAND, "--port", port], capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert done.returncode == 6
    assert done.stderr.count("\n") == 1
    assert f"port {port} of 127.0.0.1 is in use" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--preset", "nonesuch"], "nonesuch"),
        (["--host", "192.0.2.1"], "need --keys FILE"),
        (["--host", "192.0.2.1", "--allow-anyone"], "cannot listen on 192.0.2.1"),
        (["--port", "99999"], "from 0 to 65535"),
        (["--keys", "missing.json"], "missing.json"),
        (["--tls-cert", "missing.pem"], "missing.pem"),
        (["--tls-key", "missing.pem"], "--tls-cert as well"),
        (["--config", "missing.toml"], "missing.toml"),
        (["--device", "abacus"], "abacus"),
        (["--portrait", "missing.png"], "missing.png"),
        (["--recordings", "/dev/null/films"], "need a folder to write into"),
        (["--recordings", "/proc"], "need a folder to write into"),
    ],
)
def test_a_server_that_cannot_start_says_why_in_one_line(arguments: list[str], words: str) -> None:
    given = arguments if "--port" in arguments else ["--port", "0", *arguments]
    done = subprocess.run([*COMMAND, *given], capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert done.returncode != 0
    assert done.stderr.count("\n") == 1, done.stderr
    assert words in done.stderr
