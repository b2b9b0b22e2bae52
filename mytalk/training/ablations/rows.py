"""Lists the paper's ablations as data: which rows there are, what each changes, and how the tables are printed."""

from __future__ import annotations

import dataclasses
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

from mytalk.training.run.config import Config, override


@dataclass(frozen=True, slots=True)
class Column:
    """Describes a figure of a table: its key in ``Row.paper`` and in what was measured, and how it is written."""

    key: str
    title: str
    digits: int = 3


SYNC_DISTANCE, ID_SIMILARITY = Column("sync_dist", "Sync_dist"), Column("id_sim", "ID_sim")
MOTION_COLUMNS = (
    SYNC_DISTANCE,
    ID_SIMILARITY,
    Column("landmark_id", "landm. ID", 4),
    Column("correlation", "aperture r"),
    Column("range_ratio", "range"),
    Column("mouth_lmd", "mouth LMD", 4),
)
"""The paper's two, which want weights that we have not; and ours, which want none. ``landmark_id``: the
same cosine, of our identity extractor on landmarks."""

APPEARANCE_COLUMNS = (Column("psnr", "PSNR", 2), Column("fid", "FID", 2), Column("mouth_psnr", "PSNR, lips", 2))

TITLES = {
    5: ("Table 5: how the motion model learns who speaks", MOTION_COLUMNS),
    6: ("Table 6: weight of the identity loss", MOTION_COLUMNS),
    7: ("Table 7: references of the appearance model (true landmarks)", APPEARANCE_COLUMNS),
}


@dataclass(frozen=True, slots=True)
class Row:
    """Describes one row of one table. ``sizes`` changes the preset, ``motion`` the options of the motion trainer."""

    table: int
    name: str
    paper: Mapping[str, float] = field(default_factory=dict)
    sizes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    motion: Mapping[str, Any] = field(default_factory=dict)

    @property
    def run(self) -> str:
        """Returns the run's folder: rows that change the same share it."""
        trained = "appearance" if self.table == 7 else "motion"
        values = [*(value for part in self.sizes.values() for value in part.values()), *self.motion.values()]
        return "-".join([trained, *(re.sub(r"[^a-z0-9.]+", "_", str(value).lower()) for value in values)])

    def config(self, base: Config) -> Config:
        """Applies this row's changes to the base config. Raises OptionError where the preset has no such size."""
        preset = override(base.preset, self.sizes, f"{self.name}: [sizes]")
        tables = {**base.tables, "motion": {**base.tables.get("motion", {}), **self.motion}}
        return dataclasses.replace(base, preset=preset, tables=tables)


def read_rows() -> list[Row]:
    """Reads the rows of ``ablations.toml``, in the tables' order."""
    document = tomllib.loads((files("mytalk.training.ablations") / "ablations.toml").read_text())
    return [Row(**row) for row in document["row"]]


def render(rows: Sequence[Row], measured: Mapping[str, Mapping[str, float]]) -> str:
    """Formats the tables as text, ours beside the paper's. ``measured``: run -> figures; one that is missing is a
    dash."""
    blocks = []
    for table in sorted({row.table for row in rows}):
        title, columns = TITLES[table]
        heads = [
            f"{column.title:>10}{'(paper)':>9}" if _of_paper(column) else f"{column.title:>11}" for column in columns
        ]
        lines = [title, f"{'':38}" + "".join(heads)]
        for row in rows:
            if row.table == table:
                figures = measured.get(row.run, {})
                lines.append(f"{row.name:38}" + "".join(_cell(column, figures, row.paper) for column in columns))
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def _of_paper(column: Column) -> bool:
    return column.key in ("sync_dist", "id_sim", "psnr", "fid")


def _cell(column: Column, figures: Mapping[str, float], paper: Mapping[str, float]) -> str:
    ours = _number(figures.get(column.key), column.digits)
    if not _of_paper(column):
        return f"{ours:>11}"
    return f"{ours:>10}{_number(paper.get(column.key), column.digits):>9}"


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None or value != value else f"{value:.{digits}f}"
