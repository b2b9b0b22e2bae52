"""The server's figures in Prometheus' text format (version 0.0.4)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from streamer.clock import SECOND_NS
from streamer.engine.engine import Engine
from streamer.engine.overload import Rung
from streamer.http.listener import ConnectionLimit
from streamer.session.registry import SessionRegistry
from streamer.telemetry.histogram import Histogram

STATES = ("new", "live", "draining")

Served = Counter[tuple[str, str, int]]
"""Answers by method, route and status."""


def prometheus_text(engine: Engine, sessions: SessionRegistry, served: Served, door: ConnectionLimit) -> str:
    """All figures of one server."""
    lines = [*_of_sessions(sessions), *_of_media(sessions, door), *_of_engine(engine), *_of_http(served, door)]
    return "\n".join(lines) + "\n"


def _of_sessions(sessions: SessionRegistry) -> Iterator[str]:
    now = sessions.all()
    states = Counter[str](session.state for session in now)
    rungs = Counter(session.rung for session in now)
    ready = sessions.condition == "ready"
    yield from _metric("mytalk_ready", "gauge", "1 while new sessions may come", [("", ready)])
    yield from _metric("mytalk_draining", "gauge", "1 while the server is stopping", [("", sessions.draining)])
    yield from _metric(
        "mytalk_sessions", "gauge", "Sessions by state", _labelled("state", {s: states[s] for s in STATES})
    )
    resting = [("", sum(session.resting for session in now))]
    yield from _metric("mytalk_sessions_resting", "gauge", "Live sessions that nobody is there for", resting)
    ended = _labelled("reason", sessions.ended)
    yield from _metric("mytalk_sessions_ended_total", "counter", "Sessions that ended, by reason", ended)
    given_up = _labelled("rung", {rung.name.lower(): rungs[rung] for rung in Rung})
    yield from _metric("mytalk_rungs", "gauge", "Sessions by what they gave up under overload", given_up)
    events = _labelled("type", sessions.events())
    yield from _metric("mytalk_events_total", "counter", "Events of sessions, by type", events)
    viewers = [("", sum(len(session.connections.viewers) for session in now))]
    yield from _metric("mytalk_viewers", "gauge", "Viewers by WHEP", viewers)


def _of_media(sessions: SessionRegistry, door: ConnectionLimit) -> Iterator[str]:
    outcomes = _labelled("outcome", sessions.pictures())
    yield from _metric("mytalk_pictures_total", "counter", "Pictures by what became of them", outcomes)
    meaning = "Seconds that a picture left later than its sound"
    yield from _histogram("mytalk_skew_seconds", meaning, sessions.skew())
    waiting = _labelled("queue", sessions.queues())
    yield from _metric("mytalk_queue_items", "gauge", "Items that wait in queues of all sessions", waiting)
    packets = [("", sessions.viewer_packets())]
    yield from _metric("mytalk_viewer_packets_total", "counter", "RTP packets sent to viewers", packets)
    traffic = sessions.traffic() + Counter({("http", way): size for way, size in door.traffic.items()})
    carried = [(f'{{via="{via}",direction="{way}"}}', size) for (via, way), size in sorted(traffic.items())]
    yield from _metric("mytalk_bytes_total", "counter", "Bytes of media, messages and HTTP", carried)
    streams = _labelled("state", sessions.streams())
    yield from _metric("mytalk_streams", "gauge", "Streams by WebSocket: open, or cut and to be resumed", streams)
    speech = [("", sessions.speech_waiting_ms() / 1000)]
    yield from _metric("mytalk_speech_waiting_seconds", "gauge", "Streamed speech that waits to be said", speech)


def _of_engine(engine: Engine) -> Iterator[str]:
    work, threads = engine.work, _labelled("kind", engine.threads._asdict())
    yield from _metric("mytalk_engine_jobs_total", "counter", "Jobs done by the engine's threads", [("", work.jobs)])
    busy = [("", work.busy_ns / SECOND_NS)]
    yield from _metric("mytalk_engine_busy_seconds_total", "counter", "Time in them, of all threads together", busy)
    yield from _metric("mytalk_engine_threads", "gauge", "The engine's threads, by what they do", threads)
    yield from _histogram("mytalk_engine_job_seconds", "Motion, where it is due, and one picture", work.job_seconds)
    yield from _histogram("mytalk_engine_step_seconds", "One batch of motion windows, all steps", work.step_seconds)
    yield from _metric("mytalk_engine_windows_total", "counter", "Motion windows sampled", [("", work.windows)])
    yield from _metric("mytalk_engine_batches_total", "counter", "Batches they were sampled in", [("", work.batches)])
    yield from _metric(
        "mytalk_engine_failures_total", "counter", "Times that the engine failed", [("", engine.failures)]
    )
    loads = [(f'{{kind="{kind}"}}', share) for kind, share in engine.loads.items()]
    yield from _metric("mytalk_engine_load", "gauge", "Share of their threads' time that is work", loads)
    yield from _metric("mytalk_engine_seats", "gauge", "Streams held by the engine", [("", engine.seats)])


def _of_http(served: Served, door: ConnectionLimit) -> Iterator[str]:
    answers = [
        (f'{{method="{method}",route="{route}",status="{status}"}}', count)
        for (method, route, status), count in sorted(served.items())
    ]
    yield from _metric("mytalk_http_requests_total", "counter", "Requests answered", answers)
    yield from _metric("mytalk_http_connections", "gauge", "TCP connections", [("", door.inside)])
    yield from _metric(
        "mytalk_http_refused_total", "counter", "TCP connections that found no place", [("", door.refused)]
    )


def _labelled(label: str, values: dict[str, int]) -> list[tuple[str, float]]:
    return [(f'{{{label}="{name}"}}', value) for name, value in sorted(values.items())]


def _metric(name: str, kind: str, meaning: str, values: Iterable[tuple[str, float]]) -> list[str]:
    samples = [f"{name}{labels} {float(value):.12g}" for labels, value in values]
    return [f"# HELP {name} {meaning}", f"# TYPE {name} {kind}", *samples]


def _histogram(name: str, meaning: str, histogram: Histogram) -> list[str]:
    samples = [f"{line} {float(value):.12g}" for line, value in histogram.samples(name)]
    return [f"# HELP {name} {meaning}", f"# TYPE {name} histogram", *samples]
