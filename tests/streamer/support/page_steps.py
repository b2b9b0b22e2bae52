"""Steps of the tests of the page at ``/``: user input, and checks of what is seen and heard."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from streamer.http.server import Running
from tests.streamer.support.browser import CHROMIUM, Page
from tests.streamer.support.pictures import numbered
from tests.streamer.support.waiting import eventually

NEEDS_CHROMIUM = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine (install the package chromium)"),
]

PLAYING = "document.getElementById('result').currentTime > 1.5 && document.getElementById('result').videoWidth > 0"

# Mean brightness of a box of what a video or a canvas shows, given in shares of its width and height.
_LOOK = """((id, ...shares) => {
  const shown = document.getElementById(id);
  const canvas = document.createElement('canvas');
  canvas.width = shown.videoWidth || shown.width; canvas.height = shown.videoHeight || shown.height;
  const brush = canvas.getContext('2d');
  brush.drawImage(shown, 0, 0);
  const box = shares.map((share, i) => Math.round(share * (i %% 2 ? canvas.height : canvas.width)));
  const data = brush.getImageData(...box).data;
  let sum = 0;
  for (let i = 0; i < data.length; i += 4) sum += data[i + 1];
  return sum / (data.length / 4);
})(%s)"""

# True as soon as the result is loud; false where it was not over 2 s of looking.
IS_LOUD = """new Promise((resolve) => {
  const context = new AudioContext();
  const analyser = context.createAnalyser();
  context.createMediaStreamSource(document.getElementById('result').srcObject).connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  let looks = 0;
  const timer = setInterval(() => {
    analyser.getFloatTimeDomainData(samples);
    const isLoud = samples.some((sample) => Math.abs(sample) > 0.02);
    if (isLoud || ++looks > 40) { clearInterval(timer); context.close(); resolve(isLoud); }
  }, 50);
})"""

# How much a box of the result changes over 2 s: mean absolute difference of its grey values between looks.
CHANGE = """new Promise((resolve) => {
  const video = document.getElementById('result');
  const canvas = document.createElement('canvas');
  canvas.width = video.videoWidth; canvas.height = video.videoHeight;
  const brush = canvas.getContext('2d', { willReadFrequently: true });
  let before = null, sum = 0, looks = 0;
  const timer = setInterval(() => {
    brush.drawImage(video, 0, 0);
    const data = brush.getImageData(%s).data;
    if (before) {
      let change = 0;
      for (let i = 0; i < data.length; i += 4) change += Math.abs(data[i + 1] - before[i + 1]);
      sum += change / (data.length / 4);
      looks += 1;
    }
    before = data;
    if (looks === 25) { clearInterval(timer); resolve(sum / looks); }
  }, 80);
})"""


# Presses Escape in the page at the first event of that name.
ESCAPE_AT = """(() => {
  const events = document.getElementById('events');
  const observer = new MutationObserver(() => {
    if (!events.textContent.includes('%s')) return;
    observer.disconnect();
    dispatchEvent(new KeyboardEvent('keydown', { key: 'Escape' }));
  });
  observer.observe(events, { childList: true });
})()"""


def white(shown: str, x: float, y: float, width: float, height: float) -> str:
    """Returns a script that tells whether a box is white, as the fake models paint a mouth; in shares of the sides."""
    return _LOOK % f"'{shown}', {x}, {y}, {width}, {height}" + " > 220"


async def choose(page: Page, **choices: str) -> None:
    """Chooses values of the form."""
    for name, value in choices.items():
        await page.run(f"""(() => {{
          const choice = document.querySelector('[name={name}][value={value}], select[name={name}]');
          if (choice.type === 'radio') choice.click(); else choice.value = '{value}';
        }})()""")


async def click(page: Page, x: float, y: float) -> None:
    """Clicks with the mouse at shares of the source's picture."""
    script = (
        "(({ x, y, width, height }) => [x, y, width, height])(document.getElementById('area').getBoundingClientRect())"
    )
    await page.run("document.getElementById('area').scrollIntoView({ block: 'center' })")
    left, top, width, height = await page.run(script)
    at = {"x": left + x * width, "y": top + y * height, "button": "left", "clickCount": 1}
    for kind in ("mousePressed", "mouseReleased"):
        await page.call("Input.dispatchMouseEvent", type=kind, **at)


async def start(page: Page) -> None:
    await page.run("document.getElementById('start').click()")


async def tab_to(page: Page, control: str) -> None:
    """Presses Tab until the control of that id has the focus."""
    for _ in range(20):
        await page.press("Tab")
        if await page.run("document.activeElement.id") == control:
            return
    raise AssertionError(f"no Tab leads to {control}")


async def ended(server: Running) -> None:
    await eventually(lambda: not server.sessions.all())


def write_film(path: Path) -> None:
    """Writes two seconds of numbered pictures as Motion JPEG, for Chromium's fake camera."""
    with av.open(path, "w", format="mjpeg") as container:
        stream = container.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = 640, 480, "yuvj420p"
        for index in range(50):
            picture = np.full((480, 640, 3), 70, np.uint8)
            picture[:256, -256:] = numbered(index)
            container.mux(
                stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuvj420p"))
            )
        container.mux(stream.encode(None))
