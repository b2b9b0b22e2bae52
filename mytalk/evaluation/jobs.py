"""Lists what is to be scored: our engine on clips, or finished films of any system beside the true ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mytalk.errors import InputError, OptionError, UnreadableError


@dataclass(frozen=True, slots=True)
class Job:
    """Describes one clip. ``generated`` None: our engine makes it. ``voice``: whose speech it says; a film, or only a
    sound."""

    true: Path
    voice: Path
    generated: Path | None = None

    @property
    def paired(self) -> bool:
        """Says whether the filmed mouth says the same as the generated one."""
        return self.voice == self.true

    @property
    def name(self) -> str:
        return (self.generated or self.true).stem


def jobs_of_clips(clips: Sequence[Path], *, unpaired: bool) -> list[Job]:
    """Pairs each clip with its own speech, or with that of the next one (the last with the first's)."""
    if not unpaired:
        return [Job(clip, clip) for clip in clips]
    if len(clips) < 2:
        raise OptionError(f"--unpaired with {len(clips)} clip: need two at least, each takes the next one's speech")
    return [Job(clip, voice) for clip, voice in zip(clips, [*clips[1:], clips[0]], strict=True)]


def jobs_of_table(table: Path) -> list[Job]:
    """Reads a table of ``generated<TAB>true`` and, where the speech is another's, ``<TAB>speech``; paths beside the
    table."""
    try:
        lines = table.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UnreadableError(f"{table}: cannot be read (need lines of generated<TAB>true)") from error
    jobs = []
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        paths = [table.parent / cell.strip() for cell in line.split("\t")]
        if len(paths) not in (2, 3):
            raise OptionError(
                f"{table}:{number}: {len(paths)} cells (need generated<TAB>true, and a speech if another's)"
            )
        jobs.append(Job(paths[1], paths[-1], paths[0]))
    if not jobs:
        raise OptionError(f"{table}: no pairs in it (need lines of generated<TAB>true)")
    return jobs


def jobs_of_folders(generated: Path, true: Path) -> list[Job]:
    """Pairs films of the same name, whatever their suffix. Raises InputError where a generated film has no true one."""
    for folder in (generated, true):
        if not folder.is_dir():
            raise UnreadableError(f"{folder}: no such folder")
    known = {path.stem: path for path in sorted(true.iterdir()) if path.is_file()}
    films = [path for path in sorted(generated.iterdir()) if path.is_file() and not path.name.startswith(".")]
    alone = [path.name for path in films if path.stem not in known]
    if alone or not films:
        what = f"{alone[0]} has no film of its name in {true}" if alone else "no films in it"
        raise InputError(f"{generated}: {what} (need the same names in both folders)")
    return [Job(known[path.stem], known[path.stem], path) for path in films]
