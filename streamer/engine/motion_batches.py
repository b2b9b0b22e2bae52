"""Samples the motion windows that several slots have ready, in one batch."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from streamer.clock import Clock
from streamer.engine.batch_scheduler import BatchScheduler
from streamer.engine.interfaces import Models
from streamer.engine.load import LoadMeter
from streamer.engine.slot import EngineSlot
from streamer.engine.worker_pool import WorkerPool

if TYPE_CHECKING:
    from mytalk.motion.conditions import MotionRequest

log = logging.getLogger(__name__)


class MotionBatches:
    """Gathers windows from the slots of ``pool`` and has them sampled, on any of its ``threads`` threads.

    ``lock`` is the pool's; it guards the scheduler of the batches too.
    """

    def __init__(self, pool: WorkerPool, load: LoadMeter, clock: Clock, lock: threading.Lock, threads: int) -> None:
        self._pool = pool
        self._load = load
        self._clock = clock
        self._lock = lock
        self._threads = threads
        self._scheduler = BatchScheduler()

    def sample(self, models: Models, slot: EngineSlot, request: MotionRequest) -> None:
        """Samples a slot's window, and those that other slots have ready in the same batch."""
        windows = self._gather(slot, request)
        with self._lock:
            batch = self._scheduler.schedule([asked.steps for _, asked in windows])
        chosen = [windows[place] for place in batch.places]
        for other, _ in (window for place, window in enumerate(windows) if place not in batch.places):
            self._pool.give_back(other)
        began = self._clock.now()
        try:
            motion = models.sample([asked for _, asked in chosen])
        except Exception:  # the device's memory, or one session's window
            log.exception("a batch of %d windows could not be sampled: each is sampled alone", len(chosen))
            motion = None  # each slot's own next job does it, and fails that slot alone
        with self._lock:
            self._scheduler.update(batch, fitted=motion is not None)
        if motion is not None:
            self._load.sampled(len(chosen), request.steps, began)
            share = (self._clock.now() - began) / len(chosen)
            for (one, asked), rows in zip(chosen, motion, strict=True):
                one.sampling_ns += share
                one.accept(asked, rows)
        for other, _ in chosen[1:]:
            self._pool.give_back(other)

    def _gather(self, slot: EngineSlot, request: MotionRequest) -> list[tuple[EngineSlot, MotionRequest]]:
        """Takes a slot's window, and those that are ready at slots which no other thread works on: this thread's share
        of the slots at most, so that the others have work meanwhile."""
        windows, tried = [(slot, request)], {slot}
        share = -(-len(self._pool.slots) // self._threads)

        def untried(one: EngineSlot) -> bool:
            return one not in tried and one.is_open and one.has_job

        while len(windows) < share and (other := self._pool.take_beside(untried)) is not None:
            tried.add(other)
            if (asked := other.take_in()) is not None:
                windows.append((other, asked))
            else:
                self._pool.give_back(other)
        return windows
