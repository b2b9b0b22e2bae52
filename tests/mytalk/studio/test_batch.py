from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from mytalk.errors import OutputError
from mytalk.studio.batch import Outcome, run_batch
from mytalk.studio.journal import FOLDER, Journal
from mytalk.studio.manifest import Film
from tests.mytalk.support.fake_films import PATIENCE, FakeStart, Watched, write_films

ROOT = Path(__file__).parents[3]


def _run(
    folder: Path, films: list[Film], *, jobs: int = 2, settings: str = "", force: bool = False
) -> tuple[list[Outcome], Watched]:
    watched, journal = Watched(), Journal(folder / "out")
    try:
        start = FakeStart(folder / "log", folder / "gate")
        outcomes = run_batch(films, journal, start, settings, jobs=jobs, force=force, watcher=watched)
    finally:
        journal.close()
    return outcomes, watched


def _made(folder: Path) -> Counter[str]:
    """How often each film was made."""
    log = folder / "log"
    lines = log.read_text().splitlines() if log.exists() else []
    return Counter(line.split()[1] for line in lines if line.startswith("made"))


def test_one_broken_film_harms_no_other(tmp_path: Path) -> None:
    films = write_films(tmp_path / "in", ["one", "broken", "deadly", "two", "three"])
    outcomes, watched = _run(tmp_path, films)
    assert [one.state for one in outcomes] == ["made", "failed", "failed", "made", "made"]
    assert outcomes[1].error == f"{films[1].picture}: no face found"
    assert outcomes[2].error == f"{films[2].picture}: its process ended (signal 9)"
    assert outcomes[0].figures == {"frames": 2}
    assert {one.film.output for one in watched.ended} == {film.output for film in films}
    assert ("two.mp4", 2, 2) in watched.moved
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [FOLDER, "one.mp4", "three.mp4", "two.mp4"]
    assert sorted(path.name for path in (tmp_path / "out" / FOLDER).iterdir()) == ["films.jsonl", "lock"]


def test_films_are_made_again_only_where_something_changed(tmp_path: Path) -> None:
    films = write_films(tmp_path / "in", ["same", "respoken", "lost", "touched"])
    _run(tmp_path, films)
    films[1].speech.write_text("another speech")
    (tmp_path / "out" / "lost.mp4").unlink()
    (tmp_path / "out" / "touched.mp4").write_text("cut by hand")
    outcomes, _ = _run(tmp_path, films)
    assert [one.state for one in outcomes] == ["whole", "made", "made", "failed"]
    assert "--force replaces it" in str(outcomes[3].error)
    assert (tmp_path / "out" / "respoken.mp4").read_text() == "another speech"
    assert (tmp_path / "out" / "touched.mp4").read_text() == "cut by hand"
    outcomes, _ = _run(tmp_path, films, settings="another codec")
    assert [one.state for one in outcomes] == ["made", "made", "made", "failed"]
    outcomes, _ = _run(tmp_path, films, settings="another codec", force=True)
    assert [one.state for one in outcomes] == ["made"] * 4


def test_a_batch_that_was_killed_goes_on_with_no_film_twice_and_none_broken(tmp_path: Path) -> None:
    names = ["a", "b", "c", "held1", "held2", "d", "e"]
    films = write_films(tmp_path / "in", names)
    program = (
        "import sys; from pathlib import Path; from mytalk.studio.batch import run_batch\n"
        "from mytalk.studio.journal import Journal; from mytalk.studio.manifest import read_films\n"
        "from tests.mytalk.support.fake_films import FakeStart, Watched\n"
        "if __name__ == '__main__':\n"
        "    folder = Path(sys.argv[1]); start = FakeStart(folder / 'log', folder / 'gate')\n"
        "    films = sorted(read_films(folder / 'in'), key=lambda film: sys.argv[2:].index(film.picture.stem))\n"
        "    run_batch(films, Journal(folder / 'out'), start, '', jobs=2, force=False, watcher=Watched())\n"
    )
    script = tmp_path / "batch.py"
    script.write_text(program)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, script, tmp_path, *names], env=environment) as process:
        _wait_for(lambda: (tmp_path / "log").exists() and (tmp_path / "log").read_text().count("waits") == 2)
        with pytest.raises(OutputError, match="another mytalk writes films there"):
            Journal(tmp_path / "out")
        process.send_signal(signal.SIGKILL)
        process.wait(PATIENCE)
    workers = {int(line.split()[2]) for line in (tmp_path / "log").read_text().splitlines()}
    _wait_for(lambda: not any(_runs(worker) for worker in workers))
    assert sorted(path.name for path in (tmp_path / "out").glob("*.mp4")) == ["a.mp4", "b.mp4", "c.mp4"]

    (tmp_path / "gate").touch()
    outcomes, _ = _run(tmp_path, films)
    assert [one.state for one in outcomes] == ["whole", "whole", "whole", "made", "made", "made", "made"]
    assert _made(tmp_path) == {f"{name}.mp4": 1 for name in names}
    for film in films:
        assert (tmp_path / "out" / film.output).read_bytes() == film.speech.read_bytes()


def test_a_film_that_was_recorded_and_not_moved_is_moved_by_the_next_run(tmp_path: Path) -> None:
    films = write_films(tmp_path / "in", ["a"])
    _run(tmp_path, films)
    (tmp_path / "out" / "a.mp4").rename(tmp_path / "out" / FOLDER / "a.mp4")
    with (tmp_path / "out" / FOLDER / "films.jsonl").open("a") as journal:
        journal.write('{"output": "b.mp4", "finger')  # broke off
    outcomes, _ = _run(tmp_path, films)
    assert outcomes[0].state == "whole"
    assert _made(tmp_path) == {"a.mp4": 1}
    films += write_films(tmp_path / "in", ["b"])
    _run(tmp_path, films)
    assert [one.state for one in _run(tmp_path, films)[0]] == ["whole", "whole"]


def _wait_for(happened: object) -> None:
    assert callable(happened)
    end = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.01)


def _runs(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False
