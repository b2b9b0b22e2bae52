"""Finds which files of a folder are videos, and names the person in each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mytalk.errors import DataError, OptionError

# fmt: off
VIDEO_ENDINGS = frozenset({
    ".3gp", ".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".ogv", ".ts", ".webm",
    ".wmv",
})
# fmt: on


def find_videos(folder: Path) -> tuple[list[str], int]:
    """Finds videos under a folder, relative to it and in order, and how many files are not named like videos.

    Raises DataError where there is no such folder. Hidden files and folders are left alone.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder (need a folder of videos)")
    videos, others = [], 0
    for path in folder.rglob("*"):
        relative = path.relative_to(folder)
        if any(part.startswith(".") for part in relative.parts) or not path.is_file():
            continue
        if path.suffix.lower() in VIDEO_ENDINGS:
            videos.append(relative.as_posix())
        else:
            others += 1
    return sorted(videos), others


def name_people(videos: Sequence[str], how: str) -> dict[str, str]:
    """Names the person of each video.

    ``by-folder``: the folder it lies in; a video that lies in none is one person. ``by-file``: each is one person.
    Otherwise the path of a table, a line a video: its path, a tab, the person.

    Raises OptionError where the table cannot be read, or does not name every video.
    """
    if how == "by-file":
        return {video: str(Path(video).with_suffix("")) for video in videos}
    if how == "by-folder":
        return {video: _folder_of(video) for video in videos}
    people = _read_table(Path(how))
    unnamed = [video for video in videos if video not in people]
    if unnamed:
        raise OptionError(
            f"{how}: names no person for {unnamed[0]}"
            + (f" and {len(unnamed) - 1} more videos" if len(unnamed) > 1 else "")
            + " (need a line for each: path relative to the folder, a tab, the person)"
        )
    return {video: people[video] for video in videos}


def _folder_of(video: str) -> str:
    folder = Path(video).parent.as_posix()
    return Path(video).stem if folder == "." else folder


def _read_table(path: Path) -> dict[str, str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise OptionError(f"people {path}: need by-folder, by-file or a TSV ({error})") from error
    people = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        video, tab, person = line.partition("\t")
        if not tab or not person.strip():
            raise OptionError(f"{path}: line {number} is not a video's path, a tab, and a person")
        people[Path(video.strip()).as_posix()] = person.split("\t")[0].strip()
    return people
