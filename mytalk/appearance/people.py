"""Renders the mouths of the people of one session, each from their own bank, or with the look of other mouths."""

from __future__ import annotations

from collections.abc import Sequence

from mytalk.appearance.interfaces import Appearance
from mytalk.appearance.look import Look, mixed
from mytalk.appearance.mesh import Points
from mytalk.appearance.renderer import MouthRenderer
from mytalk.face.pose import HeadPose
from mytalk.picture import Picture

MAX_LOOKS = 4
"""Renderers with other looks that are kept: two people, and a change for each."""


class PeopleRenderer:
    """Holds a renderer for each person, those seen last, and for each look that somebody was given."""

    def __init__(self, appearance: Appearance | None, most: int, *, still: bool, reuse_residual: bool) -> None:
        """``most``: people that are kept; ``reuse_residual``: as of `MouthRenderer`."""
        self.refinement = True
        self._appearance, self._most = appearance, most
        self._still, self._reuse_residual = still, reuse_residual
        self._own: dict[int, MouthRenderer] = {}  # by person, the last one seen at the end
        self._worn: list[tuple[int, Look, MouthRenderer]] = []  # person and look, the last one asked for at the end

    def observe(self, person: int, picture: Picture, pose: HeadPose, points: Points) -> None:
        """Adds a person's mouth to their bank: see `MouthRenderer.observe`."""
        self._renderer_of(person).observe(picture, pose, points)

    def render(
        self,
        person: int,
        picture: Picture,
        pose: HeadPose,
        source: Points,
        target: Points,
        opacity: float,
        face: Points,
        looks: Sequence[tuple[Look, float]],
    ) -> Picture:
        """Renders as `MouthRenderer.render` does, with each of ``looks`` by its share, all of them 1 together; an empty
        look is the person's own."""
        made: Picture | None = None
        total = 0.0
        for look, share in looks:
            renderer = self._worn_by(person, look) if look else self._renderer_of(person)
            one = renderer.render(picture, pose, source, target, opacity, face=face)
            total += share
            made = one if made is None else mixed(made, one, share / total)
        return picture if made is None else made

    def _renderer_of(self, person: int) -> MouthRenderer:
        """Returns the renderer that holds this person's mouths."""
        renderer = self._own.pop(person, None) or self._new(None)
        renderer.refinement = self.refinement
        self._own[person] = renderer
        if len(self._own) > self._most:
            del self._own[next(iter(self._own))]
        return renderer

    def _worn_by(self, person: int, look: Look) -> MouthRenderer:
        """Returns the renderer that gives this person a look."""
        known = next((one for one in self._worn if one[0] == person and one[1] is look), None)
        if known is None:
            known = person, look, self._new(look)
        else:
            self._worn.remove(known)
        self._worn = [*self._worn, known][-MAX_LOOKS:]
        known[2].refinement = self.refinement
        return known[2]

    def _new(self, look: Look | None) -> MouthRenderer:
        renderer = MouthRenderer(self._appearance, still=self._still, look=look)
        renderer.reuse_residual = self._reuse_residual
        return renderer
