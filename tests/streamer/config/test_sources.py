"""A server's configuration: which place wins, what is refused and where it stood, and what is never shown."""

from __future__ import annotations

import argparse
import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any, Literal, get_type_hints

import pytest

from mytalk.errors import OptionError
from streamer import cli
from streamer.config.ice_servers import IceServer
from streamer.config.server_config import ServerConfig
from streamer.config.sources import Settings, add_options, read_settings


def settings(*arguments: str, environment: dict[str, str] | None = None) -> Settings:
    parser = argparse.ArgumentParser()
    add_options(parser)
    return read_settings(vars(parser.parse_args(arguments)), environment or {})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "server.toml"
    servers = 'ice_servers = ["turn:t.example u s3cret", "turn:a secret=s3cret"]'
    path.write_text(f'port = 1000\nmax_sessions = 3\nhost = "127.0.0.2"\n{servers}\n')
    return path


def test_nothing_given_is_the_defaults() -> None:
    assert settings().config == ServerConfig()


def test_the_file_gives_way_to_the_environment_and_both_to_the_command_line(file: Path) -> None:
    environment = {"MYTALK_SERVE_CONFIG": str(file), "MYTALK_SERVE_PORT": "2000", "MYTALK_SERVE_MAX_SESSIONS": "4"}
    both = settings("--port", "3000", environment=environment)
    assert (both.config.host, both.config.max_sessions, both.config.port) == ("127.0.0.2", 4, 3000)
    assert both.origins["host"] == str(file)
    assert both.origins["max_sessions"] == "MYTALK_SERVE_MAX_SESSIONS"
    assert both.origins["port"] == "--port"
    assert "dtype" not in both.origins


def test_every_field_can_be_set_from_each_of_the_three(tmp_path: Path) -> None:
    values: dict[Any, Any] = {
        str: "bfloat16",
        str | None: "a text",
        Literal["float32", "bfloat16", "float16"]: "bfloat16",
        Literal["text", "json"]: "json",
        tuple[str, ...]: ["https://a.example", "https://b.example"],
        int: 7,
        Path | None: "/a/b",
        tuple[IceServer, ...]: ["stun:a.example", "turn:b.example u p"],
    }
    chosen = {
        name: not getattr(ServerConfig(), name) if kind is bool else values[kind]
        for name, kind in get_type_hints(ServerConfig).items()
    }
    toml = tmp_path / "all.toml"
    toml.write_text(
        "".join(
            f"{name} = {str(value).lower() if isinstance(value, bool) else repr(value)}\n"
            for name, value in chosen.items()
        )
    )
    environment, arguments = {}, []
    for name, value in chosen.items():
        environment[f"MYTALK_SERVE_{name.upper()}"] = ",".join(value) if isinstance(value, list) else str(value)
        singular = {"ice_servers": "ice_server", "allow_origins": "allow_origin"}.get(name, name)
        flag = "--" + singular.replace("_", "-")
        if isinstance(value, bool):
            arguments.append(flag if value else flag.replace("--", "--no-"))
        else:
            arguments += [part for one in (value if isinstance(value, list) else [value]) for part in (flag, str(one))]
    by_file = settings("--config", str(toml)).config
    assert all(getattr(by_file, name) != getattr(ServerConfig(), name) for name in chosen)
    assert settings(environment=environment).config == by_file
    assert settings(*arguments).config == by_file


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("max_session", "3", "not known (known: host, port"),
        ("max_sessions", '"many"', "'many' (need a whole number from 1"),
        ("max_sessions", "0", "from 1"),
        ("max_sessions", "true", "whole number"),
        ("max_sessions", "2.5", "whole number"),
        ("port", "70000", "from 0 to 65535"),
        ("engine_threads", "65", "from 0 to 64"),
        ("tracker_threads", '"two"', "'two' (need a whole number from 0 to 64"),
        ("host", "1", "need a text"),
        ("log", '"xml"', "text, json"),
        ("dtype", '"int8"', "float32"),
        ("allow_anyone", '"perhaps"', "true or false"),
        ("ice_servers", "[1]", "ice_servers[0] is 1 (need a text)"),
        ("ice_servers", "1", "ice_servers is 1 (need a list)"),
        ("ice_servers", '["ftp:x"]', "need 'stun:HOST'"),
    ],
)
def test_what_makes_no_sense_is_refused_and_the_place_is_named(
    tmp_path: Path, name: str, value: str, words: str
) -> None:
    path = tmp_path / "server.toml"
    path.write_text(f"{name} = {value}\n")
    with pytest.raises(OptionError) as refused:
        settings("--config", str(path))
    assert words in str(refused.value)
    if "ftp:" not in value:
        assert f"{path}: {name}" in str(refused.value)


def test_an_unknown_environment_variable_and_an_unreadable_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="MYTALK_SERVE_PROT is not known"):
        settings(environment={"MYTALK_SERVE_PROT": "1"})
    with pytest.raises(OptionError, match="No such file"):
        settings("--config", str(tmp_path / "none.toml"))
    (tmp_path / "bad.toml").write_text("port = \n")
    with pytest.raises(OptionError, match="is not TOML"):
        settings("--config", str(tmp_path / "bad.toml"))


def test_print_config_shows_every_setting_and_its_origin_and_no_secret(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MYTALK_SERVE_IDLE_SECONDS", "60")
    assert cli.main(["serve", "--config", str(file), "--port", "5", "--print-config"]) == 0
    shown = capsys.readouterr().out
    assert "s3cret" not in shown
    written = tomllib.loads(shown)
    assert written["ice_servers"] == ["turn:t.example u ***", "turn:a secret=***"]
    assert (written["port"], written["idle_seconds"], written["host"]) == (5, 60, "127.0.0.2")
    assert "port = 5  # --port;" in shown
    assert "idle_seconds = 60  # MYTALK_SERVE_IDLE_SECONDS;" in shown
    assert all(f"{field.name} = " in shown for field in fields(ServerConfig))


def test_a_configuration_and_its_secrets_are_not_printed_by_accident(file: Path) -> None:
    assert "s3cret" not in repr(settings("--config", str(file)))
