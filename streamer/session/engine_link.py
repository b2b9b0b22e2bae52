"""Links a session to the engine: takes a slot, gives it up under overload, at rest or with a lost engine, and takes
one again."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from mytalk.errors import MyTalkError
from mytalk.media_time import FRAME_SAMPLES
from mytalk.picture import VideoFrame
from mytalk.presets import PROFILES
from mytalk.stream_options import StreamControls
from streamer.clock import SECOND_NS
from streamer.engine.interfaces import LipSync, Models
from streamer.engine.overload import OverloadLadder, Rung, reduced
from streamer.engine.slot import Deliver, EngineSlot, Fail
from streamer.media.audio import CHUNK_TIME, SpeechChunk
from streamer.media.crossfade import Crossfade
from streamer.media.pacer import FOREVER, Pacer
from streamer.media.resample import Downsampler
from streamer.protocol.generation import Cleared
from streamer.session.face_watch import FaceWatch
from streamer.session.media_setup import MediaSetup

if TYPE_CHECKING:
    from mytalk.lipsync_stream import FaceStatus

log = logging.getLogger(__name__)

COMING_WAIT = 3 * SECOND_NS
"""How long a face that comes may take until it is all that is seen; then it replaces the one before at once."""

Changed = Callable[[int], None]
"""Called with the media time from which the face that comes is all that is seen."""


class EngineLink:
    """Passes a session's media to its slot and back. Without a slot, the pacer shows the pictures as they came."""

    def __init__(self, setup: MediaSetup, pacer: Pacer) -> None:
        self.failure: MyTalkError | None = None  # why pictures leave untouched
        self.resting = False  # no one sees the pictures: it has no slot
        self._portrays = False  # the last picture lives on as a portrait
        self._options = setup.options
        self._watermark = setup.watermark
        self._controls = setup.controls
        self._engine = setup.engine
        self._clock = setup.clock
        self._events = setup.events
        self._name = setup.name
        self._pacer = pacer
        self._generation = setup.generation.number  # that the session is in
        self._slot: EngineSlot | None = None
        self._stale: EngineSlot | None = None  # left after a stall; another is taken once the engine has freed it
        self._coming: EngineSlot | None = None  # that of a face that comes, beside the one that goes
        self._coming_until = 0  # ns
        self._fade = Crossfade()  # from the one to the other
        self._changed: Changed = lambda at: None
        self._odd = False  # the picture that came last, among those of two
        self._left_out = 0  # pictures, at half rate
        self._past = Counter[str]()  # pictures, at the slots it had before
        self._lost = asyncio.Event()  # the slot, with the engine
        self._made_until = -1  # media time of the last picture that the engine returned
        self._said = 0  # media time up to which chunks have been said
        self._downsample = Downsampler()
        self._ladder = self._new_ladder()
        self._faces = FaceWatch(setup.events)
        if setup.engine.state == "ready":
            self._take()
        else:
            self._leave()
            self._lost.set()

    @property
    def rung(self) -> Rung:
        """Says what is given up under overload."""
        return self._ladder.rung

    @property
    def lag(self) -> int:
        """Returns the media time by which the engine lags behind what it could have done."""
        return self._slot.lag if self._slot is not None else 0

    @property
    def stats(self) -> dict[str, float]:
        """Returns what the stream counts and measures."""
        return self._slot.stats if self._slot is not None else {}

    @property
    def face_status(self) -> FaceStatus:
        """Returns the status of the face in the newest picture."""
        return self._slot.sight if self._slot is not None else "unknown"

    @property
    def waiting(self) -> dict[str, int]:
        """Counts the items that wait at the slot, by where."""
        return self._slot.waiting if self._slot is not None else {}

    @property
    def counts(self) -> Counter[str]:
        """Counts the pictures that were not dubbed, by why."""
        counts = self._past + Counter(left_out=self._left_out)
        counts.update(self._slot.counts if self._slot is not None else {})
        return counts

    @property
    def next_change(self) -> int:
        """Returns the media time, one hop after the last picture made, from which a change of controls fades in."""
        frames = -(-(self._made_until + 1) // FRAME_SAMPLES)
        return (frames + PROFILES[self._options.profile].hop) * FRAME_SAMPLES

    def say(self, chunk: SpeechChunk) -> None:
        """Takes the next 20 ms of speech."""
        self._said = chunk.at + CHUNK_TIME
        if self._slot is None:
            return
        samples = self._downsample(chunk.samples)
        taken = [slot.speech(samples) for slot in (self._slot, self._coming) if slot is not None]
        if not all(taken):
            log.warning("the engine is 4 s behind: its slot is taken anew")
            self._renew()

    def show(self, frame: VideoFrame) -> None:
        """Takes the next picture, which the pacer has already."""
        self._odd = not self._odd
        if self._slot is not None and self._odd and self.rung >= Rung.HALF_RATE:
            self._left_out += 1
        elif self._slot is not None:
            self._slot.picture(frame)

    def change_face(self, changed: Changed) -> None:
        """Brings another face in, whose pictures come by ``show_coming`` until ``changed`` is called; from then on
        they are those of ``show``. At once where there is no slot, and where the one that there is is lost."""
        self._changed = changed
        if self._slot is None:
            self._end_change(self._said)
            return
        self._fade = Crossfade()
        self._coming_until = self._clock.now() + COMING_WAIT
        self._coming = self._open_slot(self._finished_coming, self._failed_coming)

    def show_coming(self, frame: VideoFrame) -> None:
        """Takes the next picture of the face that comes."""
        if self._coming is not None:
            self._coming.picture(frame)

    def skip_to(self, at: int, now: int) -> None:
        """Goes on at media time ``at`` after a stall, at a slot that knows nothing of what was before."""
        self._said = at
        self._ladder.settle(now)
        if self._slot is not None:
            self._renew()

    def portray(self, still: bool) -> None:
        """Takes the pictures from now on as one portrait that moves a little, or as those of a camera again."""
        if still == self._portrays:
            return
        self._portrays = still
        if self._slot is not None:
            self._renew()

    def no_picture_before(self, at: int) -> None:
        """Says that speech up to media time ``at`` has no picture to wait for."""
        if self._slot is not None:
            self._slot.no_picture_before(at)

    def clear(self, cleared: Cleared) -> None:
        """Takes a barge-in."""
        self._generation = cleared.generation
        if self._slot is not None:
            self._downsample.clear()
            self._slot.clear(cleared)
        if self._coming is not None:
            self._coming.clear(cleared)

    def watch(self, now: int) -> None:
        """Gives up what an overloaded engine cannot do, and takes it back; reports a face that goes and comes back."""
        self._faces.look(self.face_status, now)
        if self._coming is not None and now >= self._coming_until:
            self._promote(self._said)
        if self.resting or self.failure is not None or self._lost.is_set():
            return
        if self._stale is not None:
            self._return(self._stale, now)
            return
        if not self._ladder.observe(self.lag, now):
            return
        rung = self._ladder.rung
        self._events.add("session.updated", rung=rung.name.lower())
        if rung is Rung.UNTOUCHED:
            self._leave()
        elif self._slot is None:
            self._take()

    async def run(self) -> None:
        """Takes a slot again where the engine had failed and has begun anew. A stream's own failure is for good."""
        while True:
            await self._lost.wait()
            await self._engine.ready.wait()
            self._lost.clear()
            self.failure = None
            if not self.resting:
                self._take()
                self._events.add("session.updated", pictures="dubbed")

    def rest(self) -> None:
        """Gives the slot back for as long as no one sees the pictures."""
        if not self.resting:
            self.resting = True
            self._stale = None
            self._leave()
            self._ladder = self._new_ladder()
            self._events.add("session.updated", pictures="untouched")

    def wake(self) -> None:
        """Takes a slot again. A stream that failed has none to take."""
        if not self.resting:
            return
        self.resting = False
        if self.failure is not None or self._lost.is_set():
            return
        self._ladder = self._new_ladder()
        if self._engine.state == "ready":
            self._take()
            self._events.add("session.updated", pictures="dubbed")
        else:
            self._lost.set()

    def close(self) -> None:
        """Gives the slot back."""
        for slot in (self._slot, self._coming):
            if slot is not None:
                slot.close()

    def _take(self) -> None:
        """The engine hears the session from here on; pictures leave untouched until its first one comes."""
        self._downsample = Downsampler()
        self._slot = self._open_slot(self._finished, self._failed)

    def _open_slot(self, deliver: Deliver, fail: Fail) -> EngineSlot:
        return self._engine.open_slot(
            open_stream=partial(self._open_stream, self._generation),
            controls=self._in_force,
            deliver=deliver,
            fail=fail,
            base=self._said,
            generation=self._generation,
            name=self._name,
        )

    def _renew(self) -> None:
        """Leaves the slot, to take another one as soon as an engine thread has freed it. The rung stays."""
        self._stale = self._slot
        self._leave()
        self._events.add("session.updated", pictures="untouched")

    def _return(self, stale: EngineSlot, now: int) -> None:
        if not stale.freed:
            return
        self._stale = None
        self._ladder.settle(now)
        if self._engine.state == "ready":
            self._take()
            self._events.add("session.updated", pictures="dubbed")
        else:
            self._lost.set()

    def _leave(self) -> None:
        """Pictures leave untouched from here on, those that are finished apart."""
        self._pacer.untouched_before = FOREVER
        if self._coming is not None:
            self._coming.close()
            self._coming = None
            self._end_change(self._said)
        self._free_slot()

    def _free_slot(self) -> None:
        if self._slot is not None:
            self._slot.close()
            self._past.update(self._slot.counts)
            self._slot = None

    # --- a face that comes

    def _promote(self, at: int) -> None:
        """Leaves the slot of the face that goes to that of the one that comes."""
        self._free_slot()
        self._slot, self._coming = self._coming, None
        self._end_change(at)

    def _end_change(self, at: int) -> None:
        changed, self._changed = self._changed, lambda at: None
        changed(at)

    def _finished_coming(self, frame: VideoFrame) -> None:
        shown = frame if self._coming is None else self._fade.coming(frame)
        if shown is not None:
            self._deliver(shown)
        if self._coming is not None and self._fade.over:
            self._promote(frame.at)

    def _failed_coming(self, failure: MyTalkError) -> None:
        if self._coming is not None:
            self._promote(self._said)
        self._failed(failure)

    def _new_ladder(self) -> OverloadLadder:
        rungs = [rung for rung in Rung if self._controls.now.steps > 1 or rung is not Rung.FEWER_STEPS]
        return OverloadLadder(rungs, self._clock.now())

    def _open_stream(self, generation: int, models: Models) -> LipSync:
        options = replace(self._options.for_stream(self._in_force(), generation), watermark=self._watermark)
        return models.stream(replace(options, still=True, alive=True) if self._portrays else options)

    def _in_force(self) -> StreamControls:
        """Returns what the session asks for, without what it gives up. For an engine thread."""
        return reduced(self._controls.now, self._ladder.rung)

    def _finished(self, frame: VideoFrame) -> None:
        shown = frame if self._coming is None else self._fade.going(frame)
        if shown is not None:
            self._deliver(shown)

    def _deliver(self, frame: VideoFrame) -> None:
        if self._pacer.untouched_before == FOREVER:
            self._pacer.untouched_before = frame.at
        self._made_until = frame.at
        self._pacer.picture(frame, self._clock.now())

    def _failed(self, failure: MyTalkError) -> None:
        if self._slot is None:
            return
        self.failure = failure
        self._events.add("error", code="engine", message=str(failure), fatal=False)
        log.error("a session goes on with untouched pictures: %s", failure)
        if self._slot.lost:
            self._lost.set()
        self._leave()
