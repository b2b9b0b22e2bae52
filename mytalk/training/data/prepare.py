"""Prepares a data folder from a folder of videos: aligned faces, landmarks and sound of every stretch that can be
used.

The main process hands out parts of videos and alone writes; worker processes make the clips. Nothing is held for
longer than a part takes, and no file is unpacked, so neither memory nor disk grows with the length of a video.
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from av import FFmpegError

from mytalk.errors import DataError, InputError, NoSpeechError, OptionError, TrainingError
from mytalk.media_time import MOTION_RATE
from mytalk.training.data.journal import Done, Journal, Rejection
from mytalk.training.data.part_worker import Job, PartResult, begin, make, reject, use_one_thread
from mytalk.training.data.screening import Limits, Reason
from mytalk.training.data.shards import Entry, ShardWriter, write_manifest
from mytalk.training.data.shots import Part, probe
from mytalk.training.data.videos import VIDEO_ENDINGS, find_videos, name_people
from mytalk.training.run.atomic_write import write_text
from mytalk.training.run.signals import signals_held

REJECTED = "rejected.tsv"
_AHEAD = 2  # parts a process that wait or are made: bounds what is in memory and what an interruption loses


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepareOptions:
    """Holds how a folder is prepared. All but ``shard_mb`` must stay the same when a run goes on."""

    size: int = 256  # side of the aligned face, pixels
    people: str = "by-folder"  # or "by-file", or the path of a TSV: video, person
    limits: Limits = field(default_factory=Limits)
    strict: bool = False  # also reject what is too short, or says too little, to be sure it is in sync
    keep_offset: bool = False  # measure by how much the sound is late, but leave it so
    sync_weights: str = "edge"  # preset or checkpoint folder whose motion model measures it
    licence: str = ""  # a note that every clip carries
    shard_mb: int = 256

    def checked(self) -> PrepareOptions:
        """Checks the options. Raises OptionError."""
        if not 64 <= self.size <= 1024 or self.size % 16:
            raise OptionError(f"size {self.size}: need a multiple of 16 from 64 to 1024")
        if self.shard_mb < 1:
            raise OptionError(f"shard size {self.shard_mb} MB: need 1 or more")
        if self.limits.face_pixels < 48:
            raise OptionError(f"smallest face {self.limits.face_pixels}: need 48 pixels or more, or it is not tracked")
        if not 0 < self.limits.yaw <= 90:
            raise OptionError(f"largest yaw {self.limits.yaw}: need degrees above 0, at most 90")
        return self


@dataclass(frozen=True, slots=True)
class Summary:
    """Says what a folder holds now, and what this run did."""

    clips: int
    people: int
    seconds: float  # of clips
    rejected: Mapping[Reason, tuple[int, float]]  # stretches and their seconds
    done_seconds: float  # of video, in this run
    work_seconds: float  # of processors, in this run
    not_video: int  # files in the folder that are not named like videos

    def table(self) -> str:
        """Formats the reasons, one a line."""
        rows = [f"{reason.value:34} {count:7} {seconds:10.1f} s" for reason, (count, seconds) in self.rejected.items()]
        return "\n".join(rows)


Progress = Callable[[int, int | None], None]


def prepare(
    folder: Path, data: Path, options: PrepareOptions, *, processes: int = 1, progress: Progress | None = None
) -> Summary:
    """Prepares all videos under ``folder`` into ``data``, or goes on with it.

    Raises DataError (no video in the folder, or nothing usable in any), OptionError, OutputError, OutputFullError
    and TrainingError (a worker process was killed). What was finished stays finished after any of them.
    """
    options = options.checked()
    if processes < 1:
        raise OptionError(f"{processes} processes: need 1 or more")
    videos, others = find_videos(folder)
    if not videos:
        raise DataError(f"{folder}: no video in it (need files that end in {', '.join(sorted(VIDEO_ENDINGS))})")
    people = name_people(videos, options.people)
    fixed = {
        "size": options.size,
        "people": options.people,
        "smallest face": options.limits.face_pixels,
        "largest yaw": options.limits.yaw,
        "strict": options.strict,
        "keep offset": options.keep_offset,
        "sync weights": options.sync_weights,
        "licence": options.licence,
    }
    with Journal(data, fixed) as journal:
        before = len(journal.done)
        writer = ShardWriter(data, options.shard_mb * 2**20, journal.entries())
        try:
            _run(_Jobs(folder, people, options, journal), processes, journal, writer, progress)
        finally:
            writer.close()
            _write_tables(data, journal)
        summary = _summary(journal, before, others)
    if not summary.clips:
        reasons = ", ".join(f"{reason.value} {count}" for reason, (count, _) in summary.rejected.items())
        raise DataError(
            f"{folder}: nothing usable in {len(videos)} videos ({reasons}): {data / REJECTED} has the places"
        )
    return summary


def _run(jobs: _Jobs, processes: int, journal: Journal, writer: ShardWriter, progress: Progress | None) -> None:
    with _workers(processes) as submit:
        running: dict[Future[PartResult], Job] = {}
        while True:
            while len(running) < processes * _AHEAD and (job := next(jobs, None)) is not None:
                running[submit(job)] = job
            if not running:
                return
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                _keep(running.pop(future), _result(future), journal, writer)
                if progress is not None:
                    progress(len(journal.done), jobs.total(len(journal.done) + len(running)))


class _Jobs(Iterator[Job]):
    """Yields every part that is not done yet. A video is opened when its turn comes; one that cannot be is done
    with."""

    def __init__(self, folder: Path, people: Mapping[str, str], options: PrepareOptions, journal: Journal) -> None:
        self._folder, self._people, self._options, self._journal = folder, people, options, journal
        done: defaultdict[str, set[int]] = defaultdict(set)
        parts: dict[str, int] = {}
        for one in journal.done:
            done[one.source].add(one.part)
            parts[one.source] = one.parts
        self._done = done
        self._videos = [video for video in people if len(done[video]) < parts.get(video, 1)]
        self._waiting: deque[Job] = deque()

    def total(self, begun: int) -> int:
        """Returns the parts in all, as far as is known: a video that was not opened yet counts as one."""
        return begun + len(self._waiting) + len(self._videos)

    def __next__(self) -> Job:
        while not self._waiting:
            if not self._videos:
                raise StopIteration
            self._open(self._videos.pop(0))
        return self._waiting.popleft()

    def _open(self, video: str) -> None:
        whole = Part(0, 0, None)
        try:
            found = probe(self._folder / video)
        except NoSpeechError as error:
            self._give_up(video, reject(video, whole, Reason.NO_SOUND, str(error)))
            return
        except (InputError, FFmpegError) as error:
            self._give_up(video, reject(video, whole, Reason.UNREADABLE, str(error)))
            return
        parts, options = found.parts(), self._options
        for part in parts:
            if part.number not in self._done[video]:
                self._waiting.append(
                    Job(
                        folder=self._folder,
                        source=video,
                        person=self._people[video],
                        licence=options.licence,
                        probe=found,
                        part=part,
                        parts=len(parts),
                        size=options.size,
                        limits=options.limits,
                        strict=options.strict,
                        keep_offset=options.keep_offset,
                        sync_weights=options.sync_weights,
                    )
                )

    def _give_up(self, video: str, rejection: Rejection) -> None:
        self._journal.add(Done(video, 0, 1, (), (rejection,), 0.0, 0.0))


def _keep(job: Job, made: PartResult, journal: Journal, writer: ShardWriter) -> None:
    """Writes clips first, all the way to the disk; then the line that says so."""
    entries = []
    for clip in made.clips:
        shard, members = writer.add(clip.key, clip.members)
        entries.append(Entry(clip.key, job.person, job.source, clip.start, clip.frames, clip.offset_ms, shard, members))
    writer.flush()
    done = Done(job.source, job.part.number, job.parts, tuple(entries), tuple(made.rejected), made.seconds, made.work)
    journal.add(done)


@contextmanager
def _workers(processes: int) -> Iterator[Callable[[Job], Future[PartResult]]]:
    """Opens what gives a job to a process. One process alone is this one."""
    if processes == 1:
        use_one_thread()
        yield _in_this_process
        return
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    context = get_context("spawn")
    lifeline, ours = context.Pipe(duplex=False)
    pool = ProcessPoolExecutor(processes, context, begin, (lifeline,))
    try:
        yield partial(_submit, pool)
    except BaseException:
        ours.close()  # whatever they are at is for the next run
        raise
    finally:
        pool.shutdown(cancel_futures=True)
        ours.close()
        lifeline.close()


def _submit(pool: ProcessPoolExecutor, job: Job) -> Future[PartResult]:
    """Submits a job. The first call starts the pool, which cannot be shut down again when it was left half started."""
    with signals_held():
        return pool.submit(make, job)


def _in_this_process(job: Job) -> Future[PartResult]:
    future: Future[PartResult] = Future()
    future.set_result(make(job))
    return future


def _result(future: Future[PartResult]) -> PartResult:
    try:
        return future.result()
    except BrokenProcessPool as error:
        raise TrainingError(
            "a process that makes clips was killed; often memory ran out: use fewer processes. "
            "Run again, and it goes on where it stopped"
        ) from error


def _write_tables(data: Path, journal: Journal) -> None:
    """Writes the manifest and the table of what was left out, of all that is done."""
    write_manifest(data, journal.entries())
    rows = sorted(rejection.row() for rejection in journal.rejected())
    write_text(data / REJECTED, "\n".join(["source\tstart\tend\treason\tdetail", *rows, ""]))


def _summary(journal: Journal, before: int, not_video: int) -> Summary:
    entries = list(journal.entries())
    counts: Counter[Reason] = Counter()
    seconds: defaultdict[Reason, float] = defaultdict(float)
    for rejection in journal.rejected():
        counts[rejection.reason] += 1
        seconds[rejection.reason] += rejection.end - rejection.start
    new = journal.done[before:]
    return Summary(
        clips=len(entries),
        people=len({entry.person for entry in entries}),
        seconds=sum(entry.frames for entry in entries) / MOTION_RATE,
        rejected={reason: (counts[reason], seconds[reason]) for reason in Reason if counts[reason]},
        done_seconds=sum(one.seconds for one in new),
        work_seconds=sum(one.work for one in new),
        not_video=not_video,
    )
