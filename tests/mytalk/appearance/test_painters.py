"""Painters change a mouth that was seen within bounds."""

from __future__ import annotations

from copy import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from mytalk import Picture
from mytalk.appearance.bank import Mouth, ReferenceBank
from mytalk.appearance.interfaces import Job
from mytalk.appearance.mask import mouth_mask, painted_mask
from mytalk.appearance.model import AppearanceModel
from mytalk.appearance.painted_face import TorchRefiner
from mytalk.appearance.preset import EDGE
from mytalk.appearance.renderer import frame_of_picture
from mytalk.appearance.warp import GRID, interior_of
from mytalk.appearance.warped_reference import WarpedReference
from mytalk.face.landmarks import LOWER_LIPS_INNER, LOWER_LIPS_OUTER

Points = NDArray[np.float32]
SKIN, DARK = np.array([200, 150, 120], np.float32), np.array([30, 18, 15], np.float32)


def wider(lips: Points, by: float) -> Points:
    moved = lips.copy()
    moved[list(LOWER_LIPS_INNER[1:10] + LOWER_LIPS_OUTER[1:10]), 1] += by
    return moved


def drawn(points: Points) -> NDArray[np.uint8]:
    """Skin with a dark mouth whose upper half is light, as teeth are."""
    inside = interior_of(points)[..., None]
    picture = SKIN + inside * (DARK - SKIN)
    loop = points[list(LOWER_LIPS_INNER)]
    teeth = inside * (np.arange(128)[:, None, None] < loop[:, 1].mean())
    return np.asarray(np.clip(picture + teeth * (190 - picture), 0, 255), np.uint8)


def brightening(by: float) -> AppearanceModel:
    """A network that makes everything lighter by so much, in its own units."""
    torch.manual_seed(0)
    model = AppearanceModel(EDGE).eval()
    with torch.no_grad():
        for parameter in model.decoder.conv_out.parameters():
            parameter.zero_()
        assert model.decoder.conv_out.bias is not None
        model.decoder.conv_out.bias.fill_(by)
    return model


def alone(model: AppearanceModel) -> AppearanceModel:
    """Builds the same model for a preset that never calls it."""
    quiet = copy(model)
    quiet.preset = replace(model.preset, enough=1)
    return quiet


IDENTITY = np.eye(2, 3, dtype=np.float32)


def painter(model: AppearanceModel | None) -> WarpedReference:
    return WarpedReference(None if model is None else TorchRefiner(model))


def mouth_of(points: Points, crop: NDArray[np.uint8]) -> Mouth:
    return Mouth(points, crop, Picture.from_rgb(crop), IDENTITY, SKIN)


def bank_of(lips: Points, mouths: int, step: float = -2.0) -> ReferenceBank:
    bank = ReferenceBank()
    for number in range(mouths):
        points = wider(lips, step * number)
        bank.put(number, mouth_of(points, drawn(points)))
    return bank


def paint(one: WarpedReference, bank: ReferenceBank, wanted: Points) -> NDArray[np.float32]:
    """The mouth crop as it is painted, into a picture that is one."""
    picture = Picture.from_rgb(drawn(wanted))
    made = one.paint(bank, Job(picture, frame_of_picture(picture, IDENTITY), wanted, wanted, None, 1.0, 1.0))
    return made.rgb().astype(np.float32)


def painted_skin(wanted: Points) -> NDArray[np.bool_]:
    """The skin around the lips that is painted in full."""
    return (painted_mask(mouth_mask(wanted), wanted, GRID, False) > 0.9) & (interior_of(wanted) == 0)


def test_a_network_that_lightens_leaves_the_dark_of_a_mouth_dark(lips: Points) -> None:
    bank, wanted = bank_of(lips, 3), wider(lips, 2)
    plain, refined = (paint(painter(model), bank, wanted) for model in (None, brightening(0.5)))
    inside = interior_of(wider(lips, 2)) > 0.95
    dark, teeth = inside & (plain.mean(axis=2) < 40), inside & (plain.mean(axis=2) > 150)
    change = (refined - plain).mean(axis=2)
    assert change[teeth].mean() > 10
    assert 0 <= change[dark].mean() < 0.3 * change[teeth].mean()


def test_inside_of_a_mouth_that_one_reference_shows_is_not_refined(lips: Points) -> None:
    bank, wanted = bank_of(lips, 1), wider(lips, 2)
    plain, refined = (paint(painter(model), bank, wanted) for model in (None, brightening(0.5)))
    inside = interior_of(wider(lips, 2)) > 0.95
    change = np.abs(refined - plain).mean(axis=2)
    assert change[inside].mean() < 0.1 * change[painted_skin(wanted)].mean()


def test_without_refinement_the_network_is_not_asked_and_the_mouth_is_the_warped_one(lips: Points) -> None:
    model, asked = brightening(0.5), []
    model.register_forward_hook(lambda *_: asked.append(1))
    bank, wanted = bank_of(lips, 1), wider(lips, 2.0)
    refining = painter(model)
    refined = paint(refining, bank, wanted)
    assert len(asked) == 1
    refining.refinement = False
    unrefined = paint(refining, bank, wanted)
    assert len(asked) == 1
    np.testing.assert_array_equal(unrefined, paint(painter(None), bank, wanted))
    assert np.abs(unrefined - refined).max() > 1


def test_without_refinement_other_mouths_are_not_looked_at(lips: Points) -> None:
    bank = ReferenceBank()
    for number, (by, light) in enumerate(((0.0, 0), (0.4, 16), (0.8, 16), (1.2, 16))):
        crop = drawn(wider(lips, by))
        crop[mouth_mask(wider(lips, by)) > 0.5] += np.uint8(light)
        bank.put(number, mouth_of(wider(lips, by), crop))
    wanted = wider(lips, -2.0)
    averaging, unrefined = painter(alone(brightening(0.5))), painter(brightening(0.5))
    unrefined.refinement = False
    plain, averaged, warped = (paint(one, bank, wanted) for one in (painter(None), averaging, unrefined))
    np.testing.assert_array_equal(warped, plain)
    assert (averaged - plain)[painted_skin(wanted)].mean() > 1  # the others are lighter than the nearest


def test_network_is_followed_less_the_more_mouths_there_are_and_not_asked_from_a_dozen_on(lips: Points) -> None:
    model, asked = brightening(0.5), []
    model.register_forward_hook(lambda *_: asked.append(1))
    wanted = wider(lips, 2)
    skin, changes = painted_skin(wanted), []
    for mouths in range(1, EDGE.enough + 2):
        bank = bank_of(lips, mouths, -1.0)
        made, bare = (paint(one, bank, wanted) for one in (painter(model), painter(alone(model))))
        changes.append(float((made - bare)[skin].mean()))
    assert len(asked) == EDGE.enough - 1
    assert changes[0] > 5
    assert changes[: EDGE.enough // 3] == pytest.approx([changes[0]] * (EDGE.enough // 3), rel=0.1)
    assert changes[EDGE.enough // 3 - 1] > changes[EDGE.enough // 2] > changes[EDGE.enough - 2] > 0
    assert changes[EDGE.enough - 1 :] == [0, 0]


def test_a_frugal_painter_asks_the_network_for_every_second_frame_of_one_mouth(lips: Points) -> None:
    model, asked = brightening(0.5), []
    model.register_forward_hook(lambda *_: asked.append(1))
    bank, one = bank_of(lips, 2, -8.0), painter(model)
    every = [paint(one, bank, wider(lips, by)) for by in (2.0, 2.2, 2.4, 2.6)]
    assert len(asked) == 4
    one.reuse_residual = True
    reused = [paint(one, bank, wider(lips, by)) for by in (2.0, 2.2, 2.4, 2.6)]
    assert len(asked) == 6
    for made, other in zip(every, reused, strict=True):
        assert np.abs(made - other).mean() < 0.5
    paint(one, bank, wider(lips, -10.0))  # another mouth is nearest: there is nothing to take over
    assert len(asked) == 7
