"""The server's figures in Prometheus' text format (version 0.0.4)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from streamer.clock import SECOND_NS
from streamer.engine import Engine
from streamer.ladder import Rung
from streamer.sessions import Sessions

STATES = ("new", "live", "draining")


def prometheus_text(engine: Engine, sessions: Sessions) -> str:
    """All figures of one server."""
    now = sessions.all()
    states = Counter[str](session.state for session in now)
    rungs = Counter(session.rung for session in now)
    lines = [
        *_metric("mytalk_ready", "gauge", "1 while the engine runs", [("", int(engine.state == "ready"))]),
        *_metric(
            "mytalk_sessions",
            "gauge",
            "Sessions by state",
            [(f'{{state="{state}"}}', states[state]) for state in STATES],
        ),
        *_metric(
            "mytalk_sessions_ended_total",
            "counter",
            "Sessions that ended, by reason",
            [(f'{{reason="{reason}"}}', count) for reason, count in sorted(sessions.ended.items())],
        ),
        *_metric(
            "mytalk_pictures_total",
            "counter",
            "Pictures by what became of them",
            [(f'{{outcome="{outcome}"}}', count) for outcome, count in sorted(sessions.pictures().items())],
        ),
        *_metric(
            "mytalk_rungs",
            "gauge",
            "Sessions by what they gave up under overload",
            [(f'{{rung="{rung.name.lower()}"}}', rungs[rung]) for rung in Rung],
        ),
        *_metric(
            "mytalk_events_total",
            "counter",
            "Events of sessions, by type",
            [(f'{{type="{name}"}}', count) for name, count in sorted(sessions.events().items())],
        ),
        *_metric("mytalk_viewers", "gauge", "Viewers by WHEP", [("", sum(len(one.viewers) for one in now))]),
        *_metric(
            "mytalk_viewer_packets_total", "counter", "RTP packets sent to them", [("", sessions.viewer_packets())]
        ),
        *_metric("mytalk_engine_jobs_total", "counter", "Jobs done by the engine and its tracker", [("", engine.jobs)]),
        *_metric("mytalk_engine_busy_seconds_total", "counter", "Time in them", [("", engine.busy_ns / SECOND_NS)]),
        *_metric("mytalk_engine_windows_total", "counter", "Motion windows sampled", [("", engine.windows)]),
        *_metric("mytalk_engine_batches_total", "counter", "Batches they were sampled in", [("", engine.batches)]),
        *_metric("mytalk_engine_failures_total", "counter", "Times that the engine failed", [("", engine.failures)]),
        *_metric("mytalk_engine_load", "gauge", "Share of the engine thread's time that is work", [("", engine.load)]),
        *_metric("mytalk_engine_seats", "gauge", "Streams held by the engine", [("", engine.seats)]),
    ]
    return "\n".join(lines) + "\n"


def _metric(name: str, kind: str, meaning: str, values: Iterable[tuple[str, float]]) -> list[str]:
    samples = [f"{name}{labels} {value}" for labels, value in values]
    return [f"# HELP {name} {meaning}", f"# TYPE {name} {kind}", *samples]
