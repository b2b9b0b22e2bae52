"""Painters change a mouth that was seen within bounds."""

from __future__ import annotations

from copy import copy
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from mytalk.appearance.bank import Mouth, ReferenceBank
from mytalk.appearance.compose import Painting
from mytalk.appearance.mask import mouth_mask
from mytalk.appearance.model import AppearanceModel
from mytalk.appearance.painters import TargetFrame, WarpedReference
from mytalk.appearance.preset import EDGE
from mytalk.appearance.warp import Target
from mytalk.face.landmarks import LOWER_LIPS_INNER, LOWER_LIPS_OUTER

Points = NDArray[np.float32]
SKIN, DARK = np.array([200, 150, 120], np.float32), np.array([30, 18, 15], np.float32)


def wider(lips: Points, by: float) -> Points:
    moved = lips.copy()
    moved[list(LOWER_LIPS_INNER[1:10] + LOWER_LIPS_OUTER[1:10]), 1] += by
    return moved


def drawn(points: Points) -> NDArray[np.uint8]:
    """Skin with a dark mouth whose upper half is light, as teeth are."""
    inside = Target(points).interior()[..., None]
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


def painting(model: AppearanceModel | None, lips: Points, mouths: int) -> Painting:
    """Lips that open a little wider than any of the bank."""
    bank = ReferenceBank()
    for number in range(mouths):
        points = wider(lips, -2.0 * number)
        crop = drawn(points)
        bank.put(number, Mouth(points, crop, crop, np.eye(2, 3, dtype=np.float32), SKIN))
    target = Target(wider(lips, 2))
    current = drawn(target.points).astype(np.float32)
    region = mouth_mask(target.points)
    return WarpedReference(model).paint(bank, target, TargetFrame(current, region, region, None))


def picture_of(one: Painting) -> NDArray[np.float32]:
    assert one.mouth is not None
    warped = cv2.remap(one.mouth.crop, one.flow, None, cv2.INTER_LINEAR).astype(np.float32)
    return np.asarray(warped * (1 if one.kept is None else one.kept[..., None]) + one.colours, np.float32)


def test_a_network_that_lightens_leaves_the_dark_of_a_mouth_dark(lips: Points) -> None:
    plain, refined = (picture_of(painting(model, lips, 3)) for model in (None, brightening(0.5)))
    inside = Target(wider(lips, 2)).interior() > 0.95
    dark, teeth = inside & (plain.mean(axis=2) < 40), inside & (plain.mean(axis=2) > 150)
    change = (refined - plain).mean(axis=2)
    assert change[teeth].mean() > 10
    assert 0 <= change[dark].mean() < 0.3 * change[teeth].mean()


def test_inside_of_a_mouth_that_one_reference_shows_is_not_refined(lips: Points) -> None:
    plain, refined = (painting(model, lips, 1) for model in (None, brightening(0.5)))
    inside = Target(wider(lips, 2)).interior() > 0.95
    change = np.abs(refined.colours - plain.colours).mean(axis=2)
    around = mouth_mask(wider(lips, 2)) > 0.99
    assert change[inside].mean() < 0.1 * change[around & ~inside].mean()


def test_without_refinement_the_network_is_not_asked_and_the_mouth_is_the_warped_one(lips: Points) -> None:
    model, asked = brightening(0.5), []
    model.register_forward_hook(lambda *_: asked.append(1))
    bank = ReferenceBank()
    bank.put(0, Mouth(lips, drawn(lips), drawn(lips), np.eye(2, 3, dtype=np.float32), SKIN))
    target = Target(wider(lips, 2.0))
    region = mouth_mask(target.points)
    scene = TargetFrame(drawn(target.points).astype(np.float32), region, region, None)
    refining, warping = WarpedReference(model), WarpedReference(None)
    refined = picture_of(refining.paint(bank, target, scene))
    assert len(asked) == 1
    refining.refinement = False
    unrefined = picture_of(refining.paint(bank, target, scene))
    assert len(asked) == 1
    np.testing.assert_array_equal(unrefined, picture_of(warping.paint(bank, target, scene)))
    assert np.abs(unrefined - refined).max() > 1


def test_without_refinement_other_mouths_are_not_looked_at(lips: Points) -> None:
    bank = ReferenceBank()
    for number, (by, light) in enumerate(((0.0, 0), (0.4, 16), (0.8, 16), (1.2, 16))):
        crop = drawn(wider(lips, by))
        crop[mouth_mask(wider(lips, by)) > 0.5] += np.uint8(light)
        bank.put(number, Mouth(wider(lips, by), crop, crop, np.eye(2, 3, dtype=np.float32), SKIN))
    target = Target(wider(lips, -2.0))
    region = mouth_mask(target.points)
    scene = TargetFrame(drawn(target.points).astype(np.float32), region, region, None)
    averaging, unrefined = WarpedReference(alone(brightening(0.5))), WarpedReference(brightening(0.5))
    unrefined.refinement = False
    plain, averaged, warped = (
        picture_of(one.paint(bank, target, scene)) for one in (WarpedReference(None), averaging, unrefined)
    )
    np.testing.assert_array_equal(warped, plain)
    skin = (region > 0.9) & (Target(target.points).interior() == 0)
    assert (averaged - plain)[skin].mean() > 1  # the others are lighter than the nearest


def test_network_is_followed_less_the_more_mouths_there_are_and_not_asked_from_a_dozen_on(lips: Points) -> None:
    model, asked = brightening(0.5), []
    model.register_forward_hook(lambda *_: asked.append(1))
    target = Target(wider(lips, 2))
    region = mouth_mask(target.points)
    scene = TargetFrame(drawn(target.points).astype(np.float32), region, region, None)
    skin = (region > 0.9) & (target.interior() == 0)
    bank, changes = ReferenceBank(), []
    for number in range(EDGE.enough + 1):
        points = wider(lips, -1.0 * number)
        bank.put(number, Mouth(points, drawn(points), drawn(points), np.eye(2, 3, dtype=np.float32), SKIN))
        refined, averaged = WarpedReference(model), WarpedReference(alone(model))
        made, bare = (picture_of(one.paint(bank, target, scene)) for one in (refined, averaged))
        changes.append(float((made - bare)[skin].mean()))
    assert len(asked) == EDGE.enough - 1
    assert changes[0] > 5
    assert changes[: EDGE.enough // 3] == pytest.approx([changes[0]] * (EDGE.enough // 3), rel=0.1)
    assert changes[EDGE.enough // 3 - 1] > changes[EDGE.enough // 2] > changes[EDGE.enough - 2] > 0
    assert changes[EDGE.enough - 1 :] == [0, 0]


def test_a_frugal_painter_asks_the_network_for_every_second_frame_of_one_mouth(lips: Points) -> None:
    model, asked = brightening(0.5), []
    model.register_forward_hook(lambda *_: asked.append(1))
    crops = [drawn(wider(lips, -8.0 * number)) for number in range(2)]
    bank = ReferenceBank()
    for number, crop in enumerate(crops):
        bank.put(number, Mouth(wider(lips, -8.0 * number), crop, crop, np.eye(2, 3, dtype=np.float32), SKIN))
    painter = WarpedReference(model)

    def paint(by: float) -> Painting:
        target = Target(wider(lips, by))
        region = mouth_mask(target.points)
        return painter.paint(bank, target, TargetFrame(drawn(target.points).astype(np.float32), region, region, None))

    every = [paint(by) for by in (2.0, 2.2, 2.4, 2.6)]
    assert len(asked) == 4
    painter.reuse_residual = True
    reused = [paint(by) for by in (2.0, 2.2, 2.4, 2.6)]
    assert len(asked) == 6
    for one, other in zip(every, reused, strict=True):
        assert np.abs(picture_of(one) - picture_of(other)).mean() < 0.5
    paint(-10.0)  # another mouth is nearest: there is nothing to take over
    assert len(asked) == 7
