"""Tests keyboard access, sizes and colours of the page at ``/``, in a real Chromium."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mytalk.controls import TABLE
from streamer.http.server import Running
from tests.streamer.support.browser import chromium
from tests.streamer.support.page_steps import IS_LOUD, NEEDS_CHROMIUM, PLAYING, start, tab_to, white

pytestmark = NEEDS_CHROMIUM


async def test_the_portrait_speaks_by_keyboard_alone(server: Running, tmp_path: Path) -> None:
    async with chromium(tmp_path) as page:
        await page.open(server.url)
        await tab_to(page, "start")
        await page.press("Enter")
        await page.until(PLAYING)
        await page.until(white("result", 0.2, 0.2, 0.1, 0.1))  # the fake models' white mouth
        await page.until(IS_LOUD)
        await page.until("document.getElementById('latency').textContent.includes('ms')")
        await page.until("document.getElementById('skew').textContent !== '–'")
        await page.until("document.getElementById('state').textContent === 'Live.'")
        assert "synthetic" in await page.run("document.getElementById('disclosure').textContent")
        await page.screenshot(tmp_path / "speaking.png")
        await tab_to(page, "stop")
        await page.press("Enter")
        await page.until("document.getElementById('session').textContent === 'none'")
        await page.until("document.activeElement.id === 'start'")
        assert page.complaints == []


# What has the focus: its name for people, and whether it can be seen that it has it. None: the page itself.
FOCUS = """(() => {
  const at = document.activeElement;
  if (at === null || at === document.body) return null;
  const label = at.getAttribute('aria-label') ?? at.labels?.[0]?.textContent ?? at.textContent;
  const { outlineStyle, outlineWidth } = getComputedStyle(at);
  const seen = outlineStyle !== 'none' && outlineWidth !== '0px';
  return { is: at.id || at.name || at.tagName, label: label.trim(), seen };
})()"""

IDLE = ["face", "picture", "voice", "file", "profile", "transport", "start"]
LIVE = ["stop", "interrupt", "watch"]
CONTROLS = [*(one.name for one in TABLE if one.live and one.name != "face"), "largest", "across", "down", "SUMMARY"]


@pytest.mark.parametrize("is_live", [False, True])
async def test_tab_leads_to_everything_that_can_be_used_and_all_of_it_has_a_name(
    server: Running, tmp_path: Path, is_live: bool
) -> None:
    async with chromium(tmp_path) as page:
        await page.open(server.url)
        if is_live:
            await start(page)
            await page.until(PLAYING)
            await page.run("document.activeElement.blur()")
        stops = []
        for _ in range(len(CONTROLS) + 10):
            await page.press("Tab")
            if (focus := await page.run(FOCUS)) is None:
                break
            stops.append(focus)
        names = [stop["is"] for stop in stops]
        assert names == ([*LIVE, *CONTROLS] if is_live else [*IDLE, *CONTROLS])
        assert all(stop["label"] and stop["seen"] for stop in stops), stops
        assert page.complaints == []


@pytest.mark.parametrize("scheme", ["dark", "light"])
async def test_the_page_fits_a_phone_dark_and_light(server: Running, tmp_path: Path, scheme: str) -> None:
    async with chromium(tmp_path) as page:
        await page.call("Emulation.setDeviceMetricsOverride", width=360, height=740, deviceScaleFactor=2, mobile=True)
        await page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        await page.open(server.url)
        assert await page.run("document.documentElement.scrollWidth") <= 360
        back, ink = [
            np.mean([int(value) for value in (await page.run(script))[4:-1].split(",")])
            for script in ("getComputedStyle(document.body).backgroundColor", "getComputedStyle(document.body).color")
        ]
        assert (back < ink) == (scheme == "dark")
        assert abs(back - ink) > 150
        await start(page)
        await page.until(PLAYING)
        assert await page.run("document.documentElement.scrollWidth") <= 360
        assert await page.run("document.getElementById('result').getBoundingClientRect().bottom") <= 740
        await page.screenshot(tmp_path / f"phone-{scheme}.png")
        assert page.complaints == []
