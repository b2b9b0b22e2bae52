"""Applies the controls of the mouth, in order."""

from __future__ import annotations

from dataclasses import replace

from mytalk.controls.articulation import with_articulation
from mytalk.controls.emotion import with_emotion
from mytalk.controls.key_motions import with_key_motions
from mytalk.controls.mouth import Lower, Mouth, MouthControl
from mytalk.controls.strength import with_opening, with_strength
from mytalk.controls.values import Controls
from mytalk.face.landmarks import aperture

STAGES: tuple[MouthControl, ...] = (with_strength, with_articulation, with_opening, with_emotion, with_key_motions)
"""The controls of the mouth in the order in which they are applied. A learned one takes the place of a rule here."""


def shaped(mouth: Mouth, controls: Controls) -> Lower:
    """Applies the controls to one mouth; lips that did not cross do not."""
    least = min(0.0, float(aperture(mouth.lower)))
    for stage in STAGES:
        lower = stage(mouth, controls)
        mouth = mouth if lower is mouth.lower else replace(mouth, lower=lower)
    gap = float(aperture(mouth.lower))
    return mouth.lower if gap >= least else mouth.space.opened(mouth.lower, least - gap)
