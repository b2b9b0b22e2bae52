"""Reads the figures of one server when Prometheus asks for them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from streamer.clock import SECOND_NS
from streamer.engine.engine import Engine
from streamer.engine.overload import Rung
from streamer.http.listener import ConnectionLimit
from streamer.session.registry import SessionRegistry
from streamer.telemetry.loop_watchdog import LoopWatchdog

STATES = ("new", "live", "draining")

Served = Counter[tuple[str, str, int]]
"""Answers by method, route and status."""


class MetricsCollector(Collector):
    """Collects from the engine, the sessions and the HTTP side of one server. Called on the event loop."""

    def __init__(
        self,
        engine: Engine,
        sessions: SessionRegistry,
        served: Served,
        listener: ConnectionLimit,
        watchdog: LoopWatchdog,
    ) -> None:
        self._engine = engine
        self._sessions = sessions
        self._served = served
        self._listener = listener
        self._watchdog = watchdog

    def collect(self) -> Iterator[Metric]:
        """Yields every metric, in the order in which they are written."""
        yield from self._of_sessions()
        yield from self._of_media()
        yield from self._of_engine()
        yield from self._of_http()
        yield from self._of_loop()

    def _of_sessions(self) -> Iterator[Metric]:
        sessions = self._sessions
        now = sessions.all()
        states = Counter[str](session.state for session in now)
        rungs = Counter(session.figures.rung for session in now)
        yield _gauge("mytalk_ready", "1 while new sessions may come", sessions.condition == "ready")
        yield _gauge("mytalk_draining", "1 while the server is stopping", sessions.draining)
        yield _gauges("mytalk_sessions", "Sessions by state", "state", {state: states[state] for state in STATES})
        resting = sum(session.resting for session in now)
        yield _gauge("mytalk_sessions_resting", "Live sessions that nobody watches or publishes to", resting)
        yield _counters("mytalk_sessions_ended", "Sessions that ended, by reason", "reason", sessions.ended)
        given_up = {rung.name.lower(): rungs[rung] for rung in Rung}
        yield _gauges("mytalk_rungs", "Sessions by what they gave up under overload", "rung", given_up)
        yield _counters("mytalk_events", "Events of sessions, by type", "type", sessions.events())
        viewers = sum(len(session.connections.viewers) for session in now)
        yield _gauge("mytalk_viewers", "Viewers by WHEP", viewers)

    def _of_media(self) -> Iterator[Metric]:
        sessions = self._sessions
        outcomes = sessions.pictures()
        yield _counters("mytalk_pictures", "Pictures by what became of them", "outcome", outcomes)
        yield from sessions.skew.collect()
        queues = sessions.queues()
        yield _gauges("mytalk_queue_items", "Items that wait in queues of all sessions", "queue", queues)
        yield _counter("mytalk_viewer_packets", "RTP packets sent to viewers", sessions.viewer_packets())
        traffic = sessions.traffic() + Counter({("http", way): size for way, size in self._listener.traffic.items()})
        carried = CounterMetricFamily("mytalk_bytes", "Bytes of media, messages and HTTP", labels=("via", "direction"))
        for (via, direction), size in sorted(traffic.items()):
            carried.add_metric((via, direction), size)
        yield carried
        refused = "Datagrams of WebRTC that were not taken or not answered, by reason"
        yield _counters("mytalk_datagrams_refused", refused, "reason", sessions.refusals())
        streams = sessions.streams()
        yield _gauges("mytalk_streams", "Streams by WebSocket: open, or cut and to be resumed", "state", streams)
        speech = sessions.speech_waiting_ms() / 1000
        yield _gauge("mytalk_speech_waiting_seconds", "Streamed speech that waits to be said", speech)

    def _of_engine(self) -> Iterator[Metric]:
        engine, work = self._engine, self._engine.load
        yield _counter("mytalk_engine_jobs", "Jobs done by the engine's threads", work.jobs)
        busy = work.busy_ns / SECOND_NS
        yield _counter("mytalk_engine_busy_seconds", "Time in them, the sum over all threads", busy)
        threads = engine.threads._asdict()
        yield _gauges("mytalk_engine_threads", "The engine's threads, by what they do", "kind", threads)
        yield from work.job_seconds.collect()
        yield from work.step_seconds.collect()
        yield _counter("mytalk_engine_windows", "Motion windows sampled", work.windows)
        yield _counter("mytalk_engine_batches", "Batches they were sampled in", work.batches)
        yield _counter("mytalk_engine_failures", "Times that the engine failed", engine.failures)
        yield _gauges("mytalk_engine_load", "Share of their threads' time that is work", "kind", engine.loads)
        yield _gauge("mytalk_engine_seats", "Streams held by the engine", engine.slots)

    def _of_http(self) -> Iterator[Metric]:
        answers = CounterMetricFamily("mytalk_http_requests", "Requests answered", labels=("method", "route", "status"))
        for (method, route, status), count in sorted(self._served.items()):
            answers.add_metric((method, route, str(status)), count)
        yield answers
        yield _gauge("mytalk_http_connections", "TCP connections", self._listener.inside)
        refused = self._listener.refused
        yield _counter("mytalk_http_refused", "TCP connections closed at the server's limit", refused)

    def _of_loop(self) -> Iterator[Metric]:
        meaning = "Times that the event loop was held for more than 0.02 s, by the function that held it"
        yield _counters("mytalk_loop_stalls", meaning, "place", self._watchdog.stalls)
        yield from self._watchdog.seconds.collect()


def _gauge(name: str, meaning: str, value: float) -> Metric:
    return GaugeMetricFamily(name, meaning, value=value)


def _counter(name: str, meaning: str, value: float) -> Metric:
    """Makes a counter, whose samples are named ``name`` and ``_total``."""
    return CounterMetricFamily(name, meaning, value=value)


def _gauges(name: str, meaning: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(name, meaning, labels=(label,))
    for key, value in sorted(values.items()):
        family.add_metric((key,), value)
    return family


def _counters(name: str, meaning: str, label: str, values: Mapping[str, float]) -> Metric:
    """Makes a counter, whose samples are named ``name`` and ``_total``."""
    family = CounterMetricFamily(name, meaning, labels=(label,))
    for key, value in sorted(values.items()):
        family.add_metric((key,), value)
    return family
