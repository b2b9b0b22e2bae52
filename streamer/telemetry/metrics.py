"""Instruments that count while work is done, and the registry and text format that Prometheus reads.

Nothing here is global: an instrument belongs to what it measures, a registry to one server.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Histogram, disable_created_metrics, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
"""The ``Content-Type`` of :func:`exposition`."""

SKEW_BUCKETS = (-0.125, -0.045, -0.02, 0.0, 0.02, 0.045, 0.08, 0.125, 0.25, 0.5, 1.0)
"""Seconds. People notice skew from -0.045 and 0.125 on (ITU-R BT.1359)."""

WORK_BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28)
"""Seconds. A frame has 0.04."""

STALL_BUCKETS = (0.03, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 15.0, 60.0)
"""Seconds. Stalls begin at 0.02."""


def skew_histogram() -> Histogram:
    """Seconds that a picture left later than its sound. Its buckets begin below 0, so it has no ``_sum``."""
    meaning = "Seconds that a picture left later than its sound"
    return Histogram("mytalk_skew_seconds", meaning, buckets=SKEW_BUCKETS, registry=None)


def job_histogram() -> Histogram:
    """Seconds that an engine thread takes for one job."""
    meaning = "Motion, where it is due, and one picture"
    return Histogram("mytalk_engine_job_seconds", meaning, buckets=WORK_BUCKETS, registry=None)


def step_histogram() -> Histogram:
    """Seconds that one batch of motion windows takes."""
    meaning = "One batch of motion windows, all steps"
    return Histogram("mytalk_engine_step_seconds", meaning, buckets=WORK_BUCKETS, registry=None)


def stall_histogram() -> Histogram:
    """Seconds that the event loop was held."""
    meaning = "Stalls of the event loop of more than 0.02 s"
    return Histogram("mytalk_loop_stall_seconds", meaning, buckets=STALL_BUCKETS, registry=None)


def registry_of(collector: Collector) -> CollectorRegistry:
    """A registry of one server, which asks ``collector`` at each scrape. There are no ``_created`` series."""
    disable_created_metrics()
    registry = CollectorRegistry()
    registry.register(collector)
    return registry


def exposition(registry: CollectorRegistry) -> bytes:
    """All metrics of a registry in Prometheus' text format."""
    return generate_latest(registry)
