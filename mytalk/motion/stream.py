"""Streaming motion: packets of speech and tracked faces in, one lower-face shape a motion frame out.

It owns the session's state of stage 1: speech features, rest shape and identity, the window plan, the motion so far
(history), and the tentative tail that is faded into the next window. All of it is bounded by the window's length and
by what a barge-in may take back.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from mytalk.errors import EngineError
from mytalk.face.landmarks import UPPER_COUNT, UPPER_FACE, aperture
from mytalk.media_time import FRAME_SAMPLES
from mytalk.motion.batch import MotionRequest, sample_together
from mytalk.motion.conditions import Conditions
from mytalk.motion.model import MotionModel
from mytalk.motion.person import Person
from mytalk.motion.sampler import frame_noise
from mytalk.motion.silence_gate import ANTICIPATION, SilenceGate
from mytalk.motion.space import RestShape
from mytalk.motion.windows import Window, WindowPlanner
from mytalk.presets import Profile
from mytalk.runtime.cuda_graphs import to_device
from mytalk.speech.stream import EncodedSpeech, Guess, SpeechStream

MAX_AHEAD = 60 * 25
"""Motion frames of speech that may wait for their picture."""

FADE = 0.6
"""Share of a window's own motion in its first frame."""

REACH = 3.5  # standard deviations that a coefficient may leave rest by: what mouths do
LIVELINESS = 1.4
"""How far motion is spread about its own mean: a model unsure of a mouth stays near the mean of what it might do, which
moves less than a mouth does, and neither closes nor opens as far."""

_MEAN_PRIOR = 25  # motion frames at rest that the mean begins with

REWIND = 12
"""Motion frames that `MotionStream.clear` can take back: pictures are made so much ahead of leaving."""

PEOPLE = 4
"""Whose faces are remembered, where a session changes from one to another; then the one of longest ago is forgotten."""

_REST_EVERY = 25  # motion frames between two looks at the rest shape


@dataclass(frozen=True, slots=True)
class MotionFrame:
    """The mouth wanted at media time ``640 * index``."""

    index: int
    lower: NDArray[np.float32]  # (169, 3) canonical
    voice: float = 1.0  # 0 where nobody speaks and the mouth rests, 1 where somebody does, between them for some frames


class MotionStream:
    """Stage 1 of one session. The same seed, speech and faces give the same motion whatever the packet sizes.

    A window runs when both speech and picture have reached its end, so neither can change what the other gave.
    """

    def __init__(self, model: MotionModel, profile: Profile, *, steps: int, seed: int, generation: int = 0) -> None:
        self.steps = steps  # of sampling; those of the next windows may be set at any time
        self.seed = seed  # of the noise of frames that no window has asked for yet; likewise
        self.not_finite = 0  # motion frames for which the model gave no numbers: they do not leave
        self._model = model
        self._profile = profile
        self._speech = self._new_speech()
        self._planner = WindowPlanner(profile, model.preset.window, generation)
        self._kept = model.preset.window + REWIND
        self._gate = SilenceGate()
        self._ahead = min(profile.lookahead, ANTICIPATION)
        self._person = Person(RestShape(model.space))
        self._who = 0
        self._people = {self._who: self._person}
        self._faces: deque[tuple[int, NDArray[np.float32], int]] = deque()  # not yet reached by a window
        self._upper: deque[Tensor] = deque(maxlen=self._kept)  # (38, 2) a motion frame, newest last
        self._owners: deque[int] = deque(maxlen=self._kept)  # whose face it is, likewise
        self._features: deque[Tensor] = deque()  # (D,) a motion frame from _features_first on
        self._guesses: deque[Guess] = deque()  # that windows have not come to; ``end`` counts from _speech_first
        self._speech_first = 0  # motion frame that the speech stream began at
        self._features_first = 0
        self._history: deque[Tensor] = deque(maxlen=self._kept)  # (K,) a frame emitted, newest last
        self._tentative: dict[int, Tensor] = {}
        self._asked: MotionRequest | None = None  # until its motion comes
        self._video_until = 0  # motion frames whose faces are all here
        self._upper_until = 0  # motion frames whose upper face is known
        self._last_upper = torch.zeros(UPPER_COUNT, 2)

    @property
    def heard(self) -> int:
        """Motion frames of speech heard so far."""
        return self._features_first + len(self._features)

    @property
    def emitted(self) -> int:
        """Motion frames that have left so far."""
        return self._planner.emitted if self._asked is None else self._asked.window.emit.start

    def enrol(self, points: list[NDArray[np.float32]], person: int = 0) -> None:
        """Canonical faces ``(478, 3)`` of a person, before the first window: a better rest shape from the start."""
        self._meet(person)
        for one in points:
            self._person.observe(one)

    def push_speech(self, samples: NDArray[np.float32]) -> None:
        """Speech at 16 kHz, going on where the last call ended.

        Raises EngineError when a minute of speech already waits for its picture.
        """
        self._check_room()
        self._take_in(self.encode_speech(samples))

    def encode_speech(self, samples: NDArray[np.float32]) -> EncodedSpeech:
        """The same for ``push_encoded``, which has to follow in order. Another thread may call it, but not beside
        ``clear`` or ``finish``."""
        return self._speech.push(samples)

    def push_encoded(self, heard: EncodedSpeech) -> None:
        """What ``encode_speech`` gave. Raises EngineError as ``push_speech`` does, and can be called again then."""
        self._check_room()
        self._take_in(heard)

    def push_face(self, at: int, points: NDArray[np.float32] | None, person: int = 0) -> None:
        """The canonical face ``(478, 3)`` in the picture at media time ``at``, or None where there is none; and whose
        it is.
        """
        if points is not None:
            self._faces.append((at, points, person))
        self._video_until = max(self._video_until, at // FRAME_SAMPLES + 1)

    def request(self) -> MotionRequest | None:
        """The next window that speech and pictures so far allow, to be sampled and given to ``accept``; the same one
        until that is done. Frames of nobody are passed over."""
        if self._asked is None:
            for window in self._planner.advance(min(self.heard, self._video_until)):
                self._asked = self._prepare(window)
                if self._asked is not None:
                    break
        return self._asked

    def accept(self, request: MotionRequest, motion: Tensor) -> list[MotionFrame]:
        """What was sampled for a request, ``(rows, K)``. One from before a barge-in gives nothing."""
        window = request.window
        if window.generation != self._planner.generation:
            return []
        self._asked = None
        if not torch.isfinite(motion).all():
            self.not_finite += len(window.emit)
            self._skip(window)
            return []
        mean = self._mean()
        frames = [self._emit(window, index, motion[index - window.first], mean) for index in window.emit]
        self._tentative = {index: motion[index - window.first] for index in window.tentative}
        self._forget_features(window)
        return frames

    def advance(self) -> Iterator[MotionFrame]:
        """The motion that speech and pictures so far allow."""
        while (request := self.request()) is not None:
            yield from self.accept(request, sample_together(self._model, [request])[0])

    def finish(self) -> Iterator[MotionFrame]:
        """The rest: no more speech comes. Pictures may end before it."""
        self._take_in(self._speech.finish())
        if self._asked is not None:
            yield from self.accept(self._asked, sample_together(self._model, [self._asked])[0])
        for window in self._planner.finish(self.heard):
            request = self._prepare(window)
            if request is not None:
                yield from self.accept(request, sample_together(self._model, [request])[0])

    def clear(self, frame: int | None = None, generation: int | None = None) -> int:
        """Barge-in: forget speech not yet spoken. Gives the media time from which new speech goes on.

        Motion from ``frame`` on is taken back too, as far as :data:`REWIND` allows: it has been made, but not shown.
        ``generation`` is the number that begins; None: the next one, where nobody else counts barge-ins.
        """
        spoken = self.emitted
        kept = spoken if frame is None else min(spoken, max(frame, spoken - REWIND, 0))
        self._planner.clear(kept, self._planner.generation + 1 if generation is None else generation)
        self._asked = None
        for _ in range(spoken - kept):
            self._history.pop()
        while self.heard > kept:
            self._features.pop()
        self._tentative.clear()
        self._guesses.clear()
        self._speech_first = kept
        gate = self._gate
        self._gate = SilenceGate(gate.floor, gate.peak, gate.share, gate.spoken)  # nothing heard, nothing held
        self._speech = self._new_speech()
        return kept * FRAME_SAMPLES

    def _new_speech(self) -> SpeechStream:
        """Whole hops of speech at a time, which cost little more than one frame, after what the first window looks
        ahead beyond its own: so no window ever waits for the rest of one."""
        hop, lookahead = self._profile.hop, self._profile.lookahead
        return SpeechStream(self._model.hearing, hop, lookahead % hop, guessed=hop + lookahead)

    def _check_room(self) -> None:
        if self.heard - self.emitted > MAX_AHEAD:
            raise EngineError(f"{MAX_AHEAD // 25} s of speech wait for their pictures: push pictures too, or pull")

    def _take_in(self, heard: EncodedSpeech) -> None:
        self._features.extend(heard.features)
        self._guesses.extend(heard.guesses)
        self._gate.hear(heard.levels)

    def _emit(self, window: Window, index: int, row: Tensor, mean: Tensor) -> MotionFrame:
        """One frame of a window's motion; the first is mixed with what the window before it had thought of.

        No more than that: the older thought has heard less, and a fade over the whole look-ahead makes mouths late.
        """
        if index == window.emit.start and index in self._tentative:
            row = torch.lerp(self._tentative[index], row, FADE)
        self._history.append(row)
        voice = self._gate.next(self._ahead)
        shape = self._shape(mean + LIVELINESS * (row - mean), voice, self._owner(index))
        return MotionFrame(index, shape, voice)

    def _skip(self, window: Window) -> None:
        """Frames without motion: to the windows after them, the mouth was at rest."""
        self._history.extend(torch.zeros(self._model.denoiser.coefficients) for _ in window.emit)
        for _ in window.emit:
            self._gate.next(self._ahead)
        self._tentative.clear()
        self._forget_features(window)

    def _forget_features(self, window: Window) -> None:
        """Those that neither the next window needs nor one after a barge-in."""
        while self._features_first < window.emit.stop - self._kept:
            self._features.popleft()
            self._features_first += 1

    def _take_faces(self, window: Window) -> None:
        """Bring faces up to the window's end; each motion frame holds the latest face at or before it."""
        end = window.first + window.rows
        have = self._upper_until
        for index in range(have, end):
            while self._faces and self._faces[0][0] <= index * FRAME_SAMPLES:
                _, points, person = self._faces.popleft()
                self._meet(person)
                self._person.observe(points)
                if self._person.lower is None:
                    self._settle()
                moved = points[list(UPPER_FACE)] - self._person.upper
                self._last_upper = torch.from_numpy(np.ascontiguousarray(moved[:, :2], np.float32))
            self._upper.append(self._last_upper)
            self._owners.append(self._who)
            if self._person.seen and index % _REST_EVERY == 0:
                self._settle()
        self._upper_until = max(have, end)

    def _meet(self, who: int) -> None:
        """Another person's rest shape, range and identity take the place of the last one's."""
        if who == self._who:
            return
        self._who = who
        known = self._people.pop(who, None)
        self._person = self._people[who] = known if known is not None else Person(RestShape(self._model.space))
        if len(self._people) > PEOPLE:
            del self._people[next(iter(self._people))]
        if self._person.seen:
            self._settle()

    def _settle(self) -> None:
        self._person.settle()
        lower, upper = torch.from_numpy(self._person.lower), torch.from_numpy(self._person.upper)
        device = self._model.device
        with torch.inference_mode():
            self._person.identity = self._model.person(to_device(lower, device), to_device(upper, device))[None]

    def _owner(self, index: int) -> Person:
        """Whose face a motion frame is for, of those that windows have reached."""
        return self._people.get(self._owners[index - self._upper_until], self._person)

    def _prepare(self, window: Window) -> MotionRequest | None:
        """All that a window is sampled from; None while there is nobody to speak: its frames pass through."""
        self._take_faces(window)
        guess = self._guess(window)
        identity = self._owner(window.emit.start).identity
        if identity is None:
            self._skip(window)
            return None
        width = self._model.denoiser.coefficients
        fresh = window.rows - window.history
        noise = np.zeros((window.rows, width), np.float32)
        noise[window.history :] = frame_noise(window.first + window.history, fresh, width, self.seed)
        history = torch.zeros(window.rows, width)
        if window.history:
            history[: window.history] = torch.stack(list(self._history)[-window.history :])
        start = window.first - self._features_first
        speech = torch.stack([self._features[start + row] for row in range(window.rows)])
        ahead = self._upper_until - window.first - window.rows  # known since before a barge-in
        upper = torch.stack(list(self._upper)[len(self._upper) - window.rows - ahead : len(self._upper) - ahead])
        given = Conditions(
            speech[None],
            upper[None],
            identity,
            history[None],
            (torch.arange(window.rows) < window.history)[None],
            guess=guess,
        )
        return MotionRequest(window, torch.from_numpy(noise)[None], given, self.steps)

    def _guess(self, window: Window) -> Tensor | None:
        """What the readout says of a window's rows ``(1, T, K)``, from the speech up to its end: groups of speech end
        where windows do. Zeros for those of its history. The gate is told of their voice, and no sooner: what comes
        after a window must not change it."""
        end = window.first + window.rows - self._speech_first
        while self._guesses and self._guesses[0].end < end:
            self._guesses.popleft()
        if not self._guesses:
            return None
        self._gate.tell(self._guesses[0].end, self._guesses[0].voice)
        motion = self._guesses[0].motion[-window.rows :]
        return F.pad(motion, (0, 0, window.rows - len(motion), 0))[None]

    def _mean(self) -> Tensor:
        """What the mouth did on average ``(K,)`` over the history."""
        if not self._history:
            return torch.zeros(self._model.denoiser.coefficients)
        mean: Tensor = torch.stack(list(self._history)).sum(0) / (len(self._history) + _MEAN_PRIOR)
        return mean

    def _shape(self, row: Tensor, share: float, person: Person) -> NDArray[np.float32]:
        """Coefficients to landmarks: kept within reach, at rest in silence, lips never through each other."""
        assert person.lower is not None
        space = self._model.space
        motion = (row * person.gain).clamp(-REACH, REACH) * share
        lower = person.carried(person.lower + space.decode(motion).numpy(), space, share)
        gap = float(aperture(lower))
        allowed = 0.0 if self._gate.ready else max(0.0, gap)
        return np.asarray(lower if allowed == gap else space.opened(lower, allowed - gap), np.float32)


def open_by(lower: NDArray[np.float32], amount: float, model: MotionModel) -> NDArray[np.float32]:
    """A shape with its lip aperture multiplied: 0 closes the mouth, 1 leaves it, 2 opens it twice as far."""
    return lower if amount == 1 else model.space.opened(lower, (amount - 1) * max(float(aperture(lower)), 0.0))
