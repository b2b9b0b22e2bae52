"""Streams motion: takes packets of speech and tracked faces, emits one lower-face shape a motion frame.

It owns the session's state of stage 1: speech features, rest shape and identity, the window plan, the motion so far
(history), and the tentative tail that is faded into the next window. All of it is bounded by the window's length and by
what a barge-in may take back.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mytalk.errors import EngineError
from mytalk.face.landmarks import LOWER_FACE, aperture
from mytalk.media_time import FRAME_SAMPLES
from mytalk.motion.batch import MotionBackend, sample_together
from mytalk.motion.closure import close_lips
from mytalk.motion.conditions import Conditions, MotionRequest, SampledMotion
from mytalk.motion.faces import FaceTrack
from mytalk.motion.memory import MAX_REWIND
from mytalk.motion.own_speech import Correction, OwnSpeech
from mytalk.motion.person import Person
from mytalk.motion.sampler import frame_noise
from mytalk.motion.silence_gate import SilenceGate
from mytalk.motion.windows import Window, WindowPlanner
from mytalk.presets import Profile
from mytalk.speech.stream import EncodedSpeech, ReadoutEstimate, SpeechStream

MAX_AHEAD = 60 * 25
"""Motion frames of speech that may wait for their pictures."""

CROSSFADE = 0.6
"""Share of a window's own motion in its first frame; the rest is the tentative tail of the window before."""

MAX_COEFFICIENT = 3.5  # standard deviations that a coefficient may leave rest by: what mouths do
LIVELINESS = 1.4
"""Factor by which motion is spread about its own mean. A model unsure of a mouth stays near the mean of what it
might do, which moves less than a mouth does, and neither closes nor opens as far."""

_MEAN_PRIOR = 25  # motion frames at rest that the mean begins with


@dataclass(frozen=True, slots=True)
class MotionFrame:
    """Holds the mouth wanted at media time ``640 * index``."""

    index: int
    lower: NDArray[np.float32]  # (169, 3) canonical
    rest: NDArray[np.float32]  # of the person, likewise
    voice: float = 1.0  # 0 where nobody speaks and the mouth rests, 1 where somebody does, between them for some frames


class MotionStream:
    """Generates the motion of one session. The same seed, speech and faces give the same motion whatever the packet
    sizes.

    A window runs when both speech and picture have reached its end, so neither can change what the other gave.
    """

    def __init__(
        self,
        model: MotionBackend,
        profile: Profile,
        *,
        steps: int,
        seed: int,
        generation: int = 0,
        own_speech: bool = False,
    ) -> None:
        """``own_speech``: the speech that comes is that of the person who is seen, and adapts the readout to them."""
        self.steps = steps  # of sampling; those of the next windows may be set at any time
        self.seed = seed  # of the noise of frames that no window has asked for yet; likewise
        self.not_finite = 0  # motion frames for which the model gave no numbers: they do not leave
        self._model = model
        self._profile = profile
        self._speech = self._new_speech()
        self._planner = WindowPlanner(profile, model.preset.window, generation)
        self._keep_frames = model.preset.window + MAX_REWIND
        self._gate = SilenceGate()
        self._closures: NDArray[np.float32] = np.zeros(0, np.float32)  # up to the end of the window that runs next
        self._faces = FaceTrack(model, self._keep_frames)
        self._features: deque[NDArray[np.float32]] = deque()  # (D,) a motion frame from _features_first on
        # Those that windows have not come to; ``end`` counts from _speech_first.
        self._estimates: deque[ReadoutEstimate] = deque()
        self._own_speech = OwnSpeech(model.space, profile) if own_speech else None
        self._own_blocks = 0  # of own speech that the corrections are of
        self._corrections: dict[int, Correction] = {}  # by person
        self._any_correction: Correction | None = None  # of whoever has none
        self._speech_first = 0  # motion frame that the speech stream began at
        self._features_first = 0
        self._history: deque[NDArray[np.float32]] = deque(maxlen=self._keep_frames)  # (K,) a frame emitted, newest last
        self._memory = model.memory()  # of the frames emitted, but for the newest
        self._tentative: dict[int, NDArray[np.float32]] = {}
        self._pending: MotionRequest | None = None  # until its motion comes
        self._video_until = 0  # motion frames whose faces are all here

    @property
    def speech_frames(self) -> int:
        """Returns the motion frames of speech encoded so far."""
        return self._features_first + len(self._features)

    @property
    def emitted(self) -> int:
        """Returns the motion frames emitted so far."""
        return self._planner.emitted if self._pending is None else self._pending.window.emit.start

    def enrol(self, points: list[NDArray[np.float32]], person: int = 0) -> None:
        """Learns the rest shape of a person from canonical faces ``(478, 3)``, before the first window."""
        self._faces.enrol(points, person)

    def adapt(self, corrections: Mapping[int, Correction], anybody: Correction | None = None) -> None:
        """Adapts the readout from the next window on, by person; ``anybody`` is for those who are not named."""
        self._corrections, self._any_correction = dict(corrections), anybody

    def push_speech(self, samples: NDArray[np.float32]) -> None:
        """Takes speech at 16 kHz, going on where the last call ended.

        Raises EngineError when a minute of speech already waits for its picture.
        """
        self._check_room()
        self._append_speech(self.encode_speech(samples))

    def encode_speech(self, samples: NDArray[np.float32]) -> EncodedSpeech:
        """Encodes speech for ``push_encoded``, which must take the results in order.

        Another thread may call this, but not while ``clear`` or ``finish`` runs.
        """
        return self._speech.push(samples)

    def push_encoded(self, encoded: EncodedSpeech) -> None:
        """Takes what ``encode_speech`` returned. Raises EngineError as ``push_speech`` does, and can be called again
        then."""
        self._check_room()
        self._append_speech(encoded)

    def push_face(self, at: int, points: NDArray[np.float32] | None, person: int = 0) -> None:
        """Takes the canonical face ``(478, 3)`` of ``person`` in the picture at media time ``at``; None: there is
        none."""
        if points is not None:
            self._faces.push(at, points, person)
        if self._own_speech is not None:
            self._own_speech.see(at, None if points is None else points[list(LOWER_FACE)], person)
        self._video_until = max(self._video_until, at // FRAME_SAMPLES + 1)

    def request(self) -> MotionRequest | None:
        """Returns the next window that speech and pictures allow, to be sampled for ``accept``; the same until then.

        Frames without a face seen so far are skipped. None: nothing can be sampled yet.
        """
        if self._pending is None:
            for window in self._planner.advance(min(self.speech_frames, self._video_until)):
                self._pending = self._prepare(window)
                if self._pending is not None:
                    break
        return self._pending

    def accept(self, request: MotionRequest, sampled: SampledMotion) -> list[MotionFrame]:
        """Takes the motion sampled for a request and emits its frames; none for one from before a barge-in."""
        window, motion = request.window, sampled.motion
        if window.generation != self._planner.generation:
            return []
        self._pending = None
        if not np.isfinite(motion).all():
            self.not_finite += len(window.emit)
            self._skip(window)
            return []
        self._memory.remember(request.first, sampled.final)
        mean = self._mean()
        frames = [self._emit(window, index, motion[index - request.first], mean) for index in window.emit]
        self._tentative = {index: motion[index - request.first] for index in window.tentative}
        self._forget_features(window)
        return frames

    def advance(self) -> Iterator[MotionFrame]:
        """Samples and emits the motion that speech and pictures so far allow."""
        while (request := self.request()) is not None:
            yield from self.accept(request, sample_together(self._model, [request])[0])

    def finish(self) -> Iterator[MotionFrame]:
        """Samples and emits the rest: no more speech comes. Pictures may end before it."""
        self._append_speech(self._speech.finish())
        if self._pending is not None:
            yield from self.accept(self._pending, sample_together(self._model, [self._pending])[0])
        for window in self._planner.finish(self.speech_frames):
            request = self._prepare(window)
            if request is not None:
                yield from self.accept(request, sample_together(self._model, [request])[0])

    def clear(self, frame: int | None = None, generation: int | None = None) -> int:
        """Forgets speech not yet emitted as motion (barge-in); returns the media time from which new speech goes on.

        Motion from ``frame`` on is taken back too, up to :data:`MAX_REWIND` frames: it has been made, but not shown.
        ``generation`` is the number that begins; None: the next one, where nothing else counts barge-ins.
        """
        emitted = self.emitted
        kept = emitted if frame is None else min(emitted, max(frame, emitted - MAX_REWIND, 0))
        self._planner.clear(kept, self._planner.generation + 1 if generation is None else generation)
        self._pending = None
        for _ in range(emitted - kept):
            self._history.pop()
        self._memory.rewind(kept)
        while self.speech_frames > kept:
            self._features.pop()
        self._tentative.clear()
        self._estimates.clear()
        if self._own_speech is not None:
            self._own_speech.forget_waiting()
        self._speech_first = kept
        gate = self._gate
        self._gate = SilenceGate(gate.floor, gate.peak, gate.share, gate.heard)  # nothing heard, nothing held
        self._speech = self._new_speech()
        return kept * FRAME_SAMPLES

    def _new_speech(self) -> SpeechStream:
        """Starts a speech stream that encodes whole hops at a time, which cost little more than one frame.

        The first group is the first window's lookahead beyond a hop, so that no window waits for the rest of one.
        """
        hop, lookahead = self._profile.hop, self._profile.lookahead
        return SpeechStream(self._model.extractor, hop, lookahead % hop, readout_frames=hop + lookahead)

    def _check_room(self) -> None:
        if self.speech_frames - self.emitted > MAX_AHEAD:
            raise EngineError(f"{MAX_AHEAD // 25} s of speech wait for their pictures: push pictures too, or pull")

    def _append_speech(self, encoded: EncodedSpeech) -> None:
        self._features.extend(encoded.features)
        self._estimates.extend(encoded.estimates)
        if self._own_speech is not None:
            self._own_speech.hear(encoded.estimates, self._speech_first)
        self._gate.push_levels(encoded.levels)

    def _emit(self, window: Window, index: int, row: NDArray[np.float32], mean: NDArray[np.float32]) -> MotionFrame:
        """Makes one frame of a window's motion; the first is mixed with the tentative tail of the window before.

        Only the first: the older window has heard less, and a fade over the whole lookahead makes mouths late.
        """
        if index == window.emit.start and index in self._tentative:
            row = _mixed(self._tentative[index], row)
        self._history.append(row)
        voice = self._gate.next(self._profile.lookahead)
        person = self._faces.person_at(index)
        shape = self._shape(mean + LIVELINESS * (row - mean), voice, person)
        left = window.first + window.rows - index
        if left <= len(self._closures):
            shape = close_lips(shape, float(self._closures[-left]), self._model.space)
        assert person.lower is not None
        return MotionFrame(index, shape, person.lower, voice)

    def _skip(self, window: Window) -> None:
        """Passes over frames without motion: to the windows after them, the mouth was at rest."""
        self._history.extend(np.zeros(self._model.preset.coefficients, np.float32) for _ in window.emit)
        for _ in window.emit:
            self._gate.next(self._profile.lookahead)
        self._tentative.clear()
        self._forget_features(window)

    def _forget_features(self, window: Window) -> None:
        """Drops features that neither the next window needs nor one after a barge-in."""
        while self._features_first < window.emit.stop - self._keep_frames:
            self._features.popleft()
            self._features_first += 1

    def _prepare(self, window: Window) -> MotionRequest | None:
        """Collects what a window is sampled from; None where no face was seen yet: its frames pass through."""
        self._faces.advance(window.first + window.rows)
        estimate = self._estimate(window)
        identity = self._faces.person_at(window.emit.start).identity
        if identity is None:
            self._skip(window)
            return None
        first = max(window.first, self._memory.end)
        rows, final = window.first + window.rows - first, window.emit.start - first
        width = self._model.preset.coefficients
        noise, history = np.zeros((rows, width), np.float32), np.zeros((rows, width), np.float32)
        noise[final:] = frame_noise(window.emit.start, rows - final, width, self.seed)
        if final:
            history[:final] = np.stack(list(self._history)[-final:])
        start = first - self._features_first
        speech = np.stack([self._features[start + row] for row in range(rows)])
        conditions = Conditions(
            speech[None],
            self._faces.upper(first, rows)[None],
            identity,
            history[None],
            (np.arange(rows) < final)[None],
            estimate=None if estimate is None else np.pad(estimate, ((rows - len(estimate), 0), (0, 0)))[None],
            past=self._memory.past(first),
        )
        return MotionRequest(window, noise[None], conditions, self.steps)

    def _estimate(self, window: Window) -> NDArray[np.float32] | None:
        """Returns the readout's motion for a window's new frames ``(n, K)``; None without a readout.

        Groups of speech end where windows do. The gate gets their voice here and no sooner: what comes after a window
        must not change it.
        """
        end = window.first + window.rows - self._speech_first
        while self._estimates and self._estimates[0].end < end:
            self._estimates.popleft()
        if not self._estimates:
            self._closures = np.zeros(0, np.float32)
            return None
        self._gate.set_voice(self._estimates[0].end, self._estimates[0].voice)
        one = self._estimates[0]
        self._closures = one.closure
        self._learn(window.emit.start)
        correction = self._corrections.get(self._faces.person_id_at(window.emit.start), self._any_correction)
        motion = one.motion if correction is None else correction(one.motion, one.context)
        return motion[window.history - window.rows :]

    def _learn(self, until: int) -> None:
        """Learns from own speech before a motion frame; a window never depends on what came in after it."""
        own = self._own_speech
        if own is None:
            return
        own.advance(until)
        if own.blocks != self._own_blocks:
            self._own_blocks = own.blocks
            learned = own.learned()
            self._corrections = {who: one.correction for who, one in learned.items() if one.correction is not None}

    def _mean(self) -> NDArray[np.float32]:
        """Averages the mouth's coefficients ``(K,)`` over the history."""
        if not self._history:
            return np.zeros(self._model.preset.coefficients, np.float32)
        return np.asarray(np.stack(self._history).sum(0) / (len(self._history) + _MEAN_PRIOR), np.float32)

    def _shape(self, row: NDArray[np.float32], share: float, person: Person) -> NDArray[np.float32]:
        """Decodes coefficients to landmarks: kept in range, at rest in silence, lips never through each other."""
        assert person.lower is not None
        space = self._model.space
        motion = np.clip(row * np.float32(person.gain), -MAX_COEFFICIENT, MAX_COEFFICIENT) * np.float32(share)
        lower = person.with_manner(person.lower + space.decode(motion), space, share)
        gap = float(aperture(lower))
        return np.asarray(lower if gap >= 0 else space.opened(lower, -gap), np.float32)


def _mixed(before: NDArray[np.float32], now: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mixes a frame of an older window with the same one of the window that replaces it."""
    return np.asarray(before + np.float32(CROSSFADE) * (now - before), np.float32)
