"""Reads which films are to be dubbed: a table of them, or a folder of pairs."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from mytalk.errors import InputError, OptionError
from mytalk.media.writer import FORMATS

SOUND_ENDINGS = frozenset({".wav", ".flac", ".mp3", ".m4a", ".aac", ".ogg", ".opus"})
"""Endings of a folder's files that are speech; the others are films or portraits."""

_DEFAULT_ENDING = ".mp4"


@dataclass(frozen=True, slots=True)
class Film:
    """Names one film to be dubbed, its speech, and what the result is called."""

    picture: Path
    speech: Path
    output: str  # a file name, without a folder


def read_films(source: Path) -> list[Film]:
    """Reads a manifest, or a folder of pairs.

    Raises InputError for a line or a file that names no film, and for two films of one name.
    """
    if not source.is_dir() and source.suffix.lower() != ".tsv":
        raise OptionError(f"{source}: need SPEECH beside it, or a manifest (.tsv) or a folder of many films alone")
    films = _pairs(source) if source.is_dir() else _lines(source)
    if not films:
        raise InputError(f"{source}: names no film (need VIDEO, a tab and SPEECH on each line, or a folder of pairs)")
    seen: dict[str, Film] = {}
    for film in films:
        other = seen.setdefault(film.output.lower(), film)
        if other is not film:
            raise InputError(
                f"{source}: {other.picture.name} and {film.picture.name} would both become {film.output} "
                "(name the output in a third column)"
            )
    return films


def _lines(path: Path) -> list[Film]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as a manifest (need UTF-8 text: VIDEO, a tab, SPEECH)") from error
    films = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        fields = [field.strip() for field in line.split("\t")]
        if len(fields) not in (2, 3) or not all(fields):
            raise InputError(
                f"{path}: line {number} has {len(fields)} columns (need VIDEO, SPEECH, and perhaps OUTPUT)"
            )
        picture, speech = (path.parent / field for field in fields[:2])
        films.append(Film(picture, speech, _output(picture, fields[2] if len(fields) == 3 else None, path, number)))
    return films


def _pairs(folder: Path) -> list[Film]:
    """Pairs each film with the sound of the same name."""
    by_name: defaultdict[str, list[Path]] = defaultdict(list)
    for path in sorted(folder.iterdir()):
        if path.is_file() and not path.name.startswith("."):
            by_name[path.stem].append(path)
    films = []
    for name, paths in by_name.items():
        sounds = [path for path in paths if path.suffix.lower() in SOUND_ENDINGS]
        pictures = [path for path in paths if path not in sounds]
        if len(sounds) != 1 or len(pictures) != 1:
            found = ", ".join(path.name for path in paths)
            raise InputError(f"{folder}: {name} is no pair of a film and a speech (found {found})")
        films.append(Film(pictures[0], sounds[0], _output(pictures[0], None, folder, 0)))
    return films


def _output(picture: Path, name: str | None, source: Path, line: int) -> str:
    if name is None:
        ending = picture.suffix.lower() if picture.suffix.lower() in FORMATS else _DEFAULT_ENDING
        return picture.stem + ending
    if Path(name).name != name or Path(name).suffix.lower() not in FORMATS:
        raise OptionError(f"{source}: line {line}: {name}: need a file name that ends in {', '.join(FORMATS)}")
    return name
