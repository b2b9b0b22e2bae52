"""The files under ``streamer/deploy`` say nothing that the server does not know."""

from __future__ import annotations

import json
import re
import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml

from streamer.auth.api_keys import SCOPES
from streamer.config.server_config import ServerConfig
from streamer.config.sources import PREFIX, read_settings
from tests.streamer.support.http_client import Client, ask

DEPLOY = Path(__file__).parents[3] / "streamer" / "deploy"
ROOT = DEPLOY.parents[1]
OPERATIONS = DEPLOY.parent / "docs" / "OPERATIONS.md"


def compose() -> dict[str, Any]:
    return dict(yaml.safe_load((DEPLOY / "compose.yaml").read_text()))


async def test_every_figure_of_the_board_is_one_that_the_server_gives(client: Client) -> None:
    board = json.loads((DEPLOY / "grafana" / "board.json").read_text())
    await client.create()
    text = (await ask(client, "GET", "/metrics", None)).text
    types = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))
    given = {name for name, kind in types.items() if kind != "histogram"}
    given |= {
        f"{name}_{part}" for name, kind in types.items() if kind == "histogram" for part in ("bucket", "sum", "count")
    }
    labels = set(re.findall(r'[{,]([a-z]+)="', text))
    used: set[str] = set()
    for panel in board["panels"]:
        for target in panel["targets"]:
            names = set(re.findall(r"mytalk_\w+", target["expr"]))
            assert names, panel["title"]
            assert names <= given, panel["title"]
            used |= names
    assert set(re.findall(r"`(mytalk_\w+)`", OPERATIONS.read_text())) <= given | set(types)
    wanted = "sessions engine_step_seconds_bucket pictures_total skew_seconds_bucket queue_items rungs bytes_total"
    assert {f"mytalk_{name}" for name in wanted.split()} <= used
    assert labels >= {"state", "queue", "rung", "le", "method", "route", "status"}
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in board["panels"]]
    assert len(set(places)) == len(places)
    assert len({panel["id"] for panel in board["panels"]}) == len(places)


def test_settings_in_the_image_and_in_compose_are_settings_of_the_server() -> None:
    dockerfile = (DEPLOY / "Dockerfile").read_text()
    environment = {name: value for name, value in re.findall(r"(MYTALK_SERVE_\w+)=(\S+)", dockerfile)}
    assert {"MYTALK_SERVE_HOST", "MYTALK_SERVE_DEVICE"} <= set(environment)
    read_settings({}, environment)
    service = compose()["services"]["mytalk"]["environment"]
    filled = {name: re.sub(r"\$\{\w+(?::-([^}]*)|:\?[^}]*)?\}", r"\1", str(value)) for name, value in service.items()}
    filled[PREFIX + "ICE_SERVERS"] = service[PREFIX + "ICE_SERVERS"].replace("${TURN_SECRET:?a long random word}", "pw")
    filled[PREFIX + "ICE_SERVERS"] = re.sub(r"\$\{TURN_HOST[^}]*\}", "turn.example", filled[PREFIX + "ICE_SERVERS"])
    config = read_settings({}, filled).config
    assert [(server.url, server.secret) for server in config.ice_servers] == [
        ("turn:turn.example:3478?transport=udp", "pw")
    ]
    assert config.keys is not None


def test_the_page_for_operators_names_every_option_of_the_server_and_no_other() -> None:
    known = {f"--{field.name.replace('_', '-')}" for field in fields(ServerConfig)} | {"--config"}
    repeatable = {"--ice-servers": "--ice-server", "--allow-origins": "--allow-origin"}
    known = known - set(repeatable) | set(repeatable.values())
    named = set(re.findall(r"[ `](--[a-z-]+)", OPERATIONS.read_text()))
    elsewhere = {
        "--print-config",
        "--no-watermark",  # the opposite of an option
        "--help",
        "--name",
        "--scope",
        "--sessions",
        "--seconds",
        "--requests",
        "--url",
        "--record",
        "--ulimit",
    }
    assert named - elsewhere == known


def test_the_gpu_profile_is_the_same_server_with_a_gpu() -> None:
    services = compose()["services"]
    cpu, gpu = services["mytalk"], services["mytalk-gpu"]
    assert (cpu["profiles"], gpu["profiles"]) == (["cpu"], ["gpu"])
    assert (cpu["build"]["target"], gpu["build"]["target"]) == ("cpu", "cuda")
    [device] = gpu["deploy"]["resources"]["reservations"]["devices"]
    assert (device["driver"], "gpu" in device["capabilities"]) == ("nvidia", True)
    own = {"profiles", "build", "image", "deploy"}
    assert {name: value for name, value in cpu.items() if name not in own} == {
        name: value for name, value in gpu.items() if name not in own
    }
    mounts = {mount.split(":")[1] for mount in cpu["volumes"]}
    environment = cpu["environment"]
    assert environment[PREFIX + "RECORDINGS"] in mounts
    assert str(Path(environment[PREFIX + "USAGE"]).parent) in mounts


def test_the_image_copies_what_it_installs_and_no_secret() -> None:
    dockerfile = (DEPLOY / "Dockerfile").read_text()
    copied = [word for line in re.findall(r"^COPY (.*)$", dockerfile, re.MULTILINE) for word in line.split()[:-1]]
    assert all((ROOT / name).exists() for name in copied)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert {project["project"]["readme"], *project["project"]["license-files"]} <= set(copied)
    assert re.findall(r"^FROM \S+ AS (\w+)$", dockerfile, re.MULTILINE) == ["base", "cpu", "cuda"]
    assert re.findall(r"^RUN pip install '?(\.\S*?)'? ", dockerfile, re.MULTILINE) == [".", ".[gpu,paper]"]
    assert {"gpu", "paper"} <= set(project["project"]["optional-dependencies"])
    assert dockerfile.count("USER mytalk") == 2
    grace = int(compose()["services"]["mytalk"]["stop_grace_period"].rstrip("s"))
    assert grace >= ServerConfig().drain_seconds + 8


def test_mounted_files_are_there_and_prometheus_asks_where_the_server_is() -> None:
    made_by_the_operator = ("./secrets", "./state", "./recordings")
    for service in compose()["services"].values():
        for mount in service.get("volumes", []):
            source = mount.split(":")[0]
            if source.startswith("./") and not source.startswith(made_by_the_operator):
                assert (DEPLOY / source).is_file(), source
    prometheus = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())
    [job] = prometheus["scrape_configs"]
    assert job["static_configs"][0]["targets"] == [f"127.0.0.1:{ServerConfig().port}"]
    assert job.get("metrics_path", "/metrics") == "/metrics"
    datasource = yaml.safe_load((DEPLOY / "grafana" / "datasource.yaml").read_text())["datasources"][0]
    board = json.loads((DEPLOY / "grafana" / "board.json").read_text())
    assert {panel["datasource"]["uid"] for panel in board["panels"]} == {datasource["uid"]}
    made = set(re.findall(r"--scope (\w+)", (DEPLOY / "README.md").read_text()))
    assert made == {"publish", "metrics"}
    assert set(re.findall(r"--scope (\w+)", OPERATIONS.read_text())) == set(SCOPES)
