"""The page at ``/``, in a real Chromium."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import av
import numpy as np
import pytest
from browser import CHROMIUM, Page, chromium
from fakes import FakeModels, babble, eventually, numbered, write_wav

from mytalk.face import FaceTracker
from mytalk.face.landmarks import LIPS
from mytalk.media import open_face
from streamer.config import ServerConfig
from streamer.server import Running, running

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine (install the package chromium)"),
]

ASTRONAUT = Path(str(files("mytalk"))) / "assets" / "astronaut.png"

PLAYING = "document.getElementById('result').currentTime > 1.5 && document.getElementById('result').videoWidth > 0"

# Mean brightness of a box of what a video or a canvas shows, given in shares of its width and height.
LOOK = """((id, ...shares) => {
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

LOUDNESS = """new Promise((resolve) => {
  const context = new AudioContext();
  const analyser = context.createAnalyser();
  context.createMediaStreamSource(document.getElementById('result').srcObject).connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  let most = 0, looks = 0;
  const timer = setInterval(() => {
    analyser.getFloatTimeDomainData(samples);
    most = Math.max(most, ...samples.map(Math.abs));
    if (++looks > 40) { clearInterval(timer); context.close(); resolve(most); }
  }, 50);
})"""


async def test_the_portrait_speaks_by_keyboard_alone(server: Running, tmp_path: Path) -> None:
    async with chromium(tmp_path) as page:
        await page.open(server.url)
        for _ in range(7):
            await page.press("Tab")
        assert await page.run("document.activeElement.id") == "start"
        await page.press("Enter")
        await page.until(PLAYING)
        assert await page.run(LOOK % "'result', 0.2, 0.2, 0.1, 0.1") > 220  # the fake models' white mouth
        assert await page.run(LOUDNESS) > 0.02
        await page.until("document.getElementById('latency').textContent.includes('ms')")
        await page.until("document.getElementById('skew').textContent !== '–'")
        assert await page.run("document.getElementById('state').textContent") == "Live."
        assert "synthetic" in await page.run("document.getElementById('disclosure').textContent")
        await page.screenshot(tmp_path / "speaking.png")
        await page.press("Tab")
        assert await page.run("document.activeElement.id") == "stop"
        await page.press("Enter")
        await page.until("document.getElementById('session').textContent === 'none'")
        await page.until("document.activeElement.id === 'start'")
        assert page.complaints == []


async def test_camera_and_microphone_come_back_dubbed(server: Running, tmp_path: Path, models: FakeModels) -> None:
    film, sound = tmp_path / "camera.mjpeg", tmp_path / "microphone.wav"
    write_film(film)
    write_wav(sound, babble(4.0))
    flags = (f"--use-file-for-fake-video-capture={film}", f"--use-file-for-fake-audio-capture={sound}")
    async with chromium(tmp_path, *flags) as page:
        await page.open(server.url)
        await choose(page, face="camera", voice="microphone")
        await page.run("document.getElementById('start').click()")
        await page.until(PLAYING)
        assert await page.run(LOOK % "'result', 0.07, 0.1, 0.05, 0.05") > 220
        assert await page.run(LOUDNESS) > 0.02
        assert await page.run("document.getElementById('camera').videoWidth") > 0
        await page.screenshot(tmp_path / "camera.png")
        assert page.complaints == []
        assert models.streams[0].tracked > 10
        await page.call("Page.navigate", url="about:blank")  # the tab goes elsewhere: its session ends at once
        await ended(server)


async def test_a_microphone_goes_by_the_websocket_to_a_portrait(
    server: Running, tmp_path: Path, models: FakeModels
) -> None:
    sound = tmp_path / "microphone.wav"
    write_wav(sound, babble(4.0))
    async with chromium(tmp_path, f"--use-file-for-fake-audio-capture={sound}") as page:
        await page.open(server.url)
        await choose(page, voice="microphone")
        await page.run("document.getElementById('start').click()")
        await page.until(PLAYING)
        assert await page.run(LOUDNESS) > 0.02
        await page.until("document.getElementById('events').textContent.includes('playback.started')")
        assert page.complaints == []
    heard = np.concatenate(models.streams[0].speech)
    assert np.abs(heard).max() > 0.1


async def test_a_file_is_said_interrupted_and_said_again_by_the_websocket_alone(
    server: Running, tmp_path: Path, models: FakeModels
) -> None:
    speech = tmp_path / "speech.wav"
    write_wav(speech, babble(3.0))
    async with chromium(tmp_path) as page:
        await page.open(server.url)
        await page.choose_file("#file", speech)
        await choose(page, way="websocket")
        await page.run("document.getElementById('start').click()")
        await page.until("document.getElementById('canvas').width === 256")
        await page.until(f"""{LOOK % "'canvas', 0.2, 0.2, 0.1, 0.1"} > 220""")
        await page.until("document.getElementById('events').textContent.includes('playback.started')")
        await page.press("Escape")
        await page.until("document.getElementById('state').textContent.startsWith('Interrupted')")
        await page.until("!document.getElementById('again').disabled")
        await page.run("document.getElementById('again').click()")
        await page.until("document.getElementById('state').textContent === 'The file has been said.'")
        for figure in ("latency", "skew"):
            await page.until(f"document.getElementById('{figure}').textContent !== '–'")
        await page.screenshot(tmp_path / "websocket.png")
        assert page.complaints == []
        assert await page.run("performance.getEntriesByType('resource').every(({ name }) => !name.includes('whep'))")


async def test_a_camera_is_dubbed_with_a_file(server: Running, tmp_path: Path, models: FakeModels) -> None:
    film, speech = tmp_path / "camera.mjpeg", tmp_path / "speech.wav"
    write_film(film)
    write_wav(speech, babble(3.0))
    async with chromium(tmp_path, f"--use-file-for-fake-video-capture={film}") as page:
        await page.open(server.url)
        await page.choose_file("#file", speech)
        await choose(page, face="camera")
        await page.run("document.getElementById('start').click()")
        await page.until(PLAYING)
        assert await page.run(LOOK % "'result', 0.07, 0.1, 0.05, 0.05") > 220
        await page.until("document.getElementById('state').textContent === 'The file has been said.'")
        assert page.complaints == []
        assert models.streams[0].tracked > 10
        await page.run("document.getElementById('stop').click()")
        await ended(server)


async def test_a_picture_of_ones_own_speaks_with_consent(server: Running, tmp_path: Path) -> None:
    async with chromium(tmp_path) as page:
        await page.open(server.url)
        await page.choose_file("#picture", ASTRONAUT)
        assert not await page.run("document.getElementById('consent').hidden")
        await page.run("document.querySelector('[name=who]').value = 'Jane Doe'")
        await page.until("document.getElementById('portrait').naturalWidth === 512")
        await page.run("document.getElementById('start').click()")
        await page.until(PLAYING)
        assert await page.run("document.getElementById('result').videoWidth") == 512
        assert await page.run(LOOK % "'result', 0.1, 0.1, 0.05, 0.05") > 220
        [session] = server.sessions.all()
        assert session.consent is not None
        assert session.consent.who == "Jane Doe"
        assert page.complaints == []


async def test_sliders_change_the_session_that_is_live(server: Running, tmp_path: Path) -> None:
    async with chromium(tmp_path) as page:
        await page.open(server.url)
        await page.run("document.getElementById('start').click()")
        await page.until(PLAYING)
        await page.run("document.querySelector('[name=mouth_opening]').focus()")
        for _ in range(4):
            await page.press("ArrowRight")
        [session] = server.sessions.all()
        await eventually(lambda: session.options.mouth_opening == 1.2, seconds=10)
        shown = "document.querySelector('[name=mouth_opening] + output').textContent"
        assert await page.run(shown) == "1.2"
        assert page.complaints == []


async def test_a_click_on_the_source_says_which_face_speaks_and_so_do_keys(
    server: Running, tmp_path: Path, models: FakeModels
) -> None:
    async with chromium(tmp_path) as page:
        await page.open(server.url)
        await click(page, 0.25, 0.75)  # chosen before it begins: the session is made with it
        await page.run("document.getElementById('start').click()")
        await page.until(PLAYING)
        [session] = server.sessions.all()
        assert session.options.face == pytest.approx((0.25, 0.75), abs=0.02)
        await click(page, 0.8, 0.4)
        await eventually(lambda: models.streams[0].face == pytest.approx((0.8, 0.4), abs=0.02), seconds=10)
        await page.run("document.getElementById('across').focus()")
        await page.press("ArrowLeft")
        await eventually(lambda: models.streams[0].face == pytest.approx((0.79, 0.4), abs=0.02), seconds=10)
        assert await page.run("document.querySelector('#across + output').textContent") == "79 %"
        assert await page.run("document.getElementById('mark').style.left") == "79%"
        await page.screenshot(tmp_path / "face.png")
        await page.run("document.getElementById('largest').focus()")
        await page.press("Enter")
        await eventually(lambda: models.streams[0].face == "largest", seconds=10)
        assert await page.run("document.getElementById('mark').hidden")
        assert await page.run("document.getElementById('largest').getAttribute('aria-pressed')") == "true"
        assert page.complaints == []


async def test_a_face_is_clicked_on_the_picture_and_not_beside_it(server: Running, tmp_path: Path) -> None:
    wide = tmp_path / "wide.png"
    with av.open(wide, "w") as container:
        stream = container.add_stream("png", rate=25)
        stream.width, stream.height, stream.pix_fmt = 400, 200, "rgb24"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(np.full((200, 400, 3), 90, np.uint8), format="rgb24")))
        container.mux(stream.encode(None))
    async with chromium(tmp_path) as page:
        await page.open(server.url)
        await page.choose_file("#picture", wide)
        await page.until("document.getElementById('portrait').naturalWidth === 400")
        await page.until("document.getElementById('area').clientHeight < document.getElementById('area').clientWidth")
        await click(page, 0.5, -0.2)  # the bar above the picture
        assert await page.run("document.getElementById('mark').hidden")
        await click(page, 0.5, 0.9)
        assert not await page.run("document.getElementById('mark').hidden")
        assert await page.run("document.querySelector('#down + output').textContent") in ("89 %", "90 %", "91 %")
        assert page.complaints == []


async def test_what_is_seen_in_silence_is_chosen_while_it_runs(
    server: Running, tmp_path: Path, models: FakeModels
) -> None:
    async with chromium(tmp_path) as page:
        await page.open(server.url)
        await page.run("document.getElementById('start').click()")
        await page.until(PLAYING)
        assert models.streams[0].on_silence == "close"
        await page.run("document.querySelector('[name=on_silence]').focus()")
        await page.press("ArrowDown")
        await eventually(lambda: models.streams[0].on_silence == "passthrough", seconds=10)
        assert page.complaints == []


async def test_a_full_server_is_told_to_the_person(server: Running, tmp_path: Path) -> None:
    import aiohttp

    async with aiohttp.ClientSession() as http:
        for _ in range(2):
            await (await http.post(f"{server.url}v1/sessions", json={})).read()
    async with chromium(tmp_path) as page:
        await page.open(server.url)
        await page.run("document.getElementById('start').click()")
        await page.until("document.getElementById('state').classList.contains('bad')")
        assert "sessions are taken" in await page.run("document.getElementById('state').textContent")


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
        await page.run("document.getElementById('start').click()")
        await page.until(PLAYING)
        assert await page.run("document.documentElement.scrollWidth") <= 360
        await page.screenshot(tmp_path / f"phone-{scheme}.png")
        assert page.complaints == []


async def choose(page: Page, **choices: str) -> None:
    """As a click on each of the form's choices."""
    for name, value in choices.items():
        await page.run(f"""(() => {{
          const choice = document.querySelector('[name={name}][value={value}], select[name={name}]');
          if (choice.type === 'radio') choice.click(); else choice.value = '{value}';
        }})()""")


async def click(page: Page, x: float, y: float) -> None:
    """With the mouse, at shares of the source's picture."""
    script = (
        "(({ x, y, width, height }) => [x, y, width, height])(document.getElementById('area').getBoundingClientRect())"
    )
    await page.run("document.getElementById('area').scrollIntoView({ block: 'center' })")
    left, top, width, height = await page.run(script)
    at = {"x": left + x * width, "y": top + y * height, "button": "left", "clickCount": 1}
    for kind in ("mousePressed", "mouseReleased"):
        await page.call("Input.dispatchMouseEvent", type=kind, **at)


async def ended(server: Running) -> None:
    import asyncio

    async with asyncio.timeout(5):
        while server.sessions.all():  # noqa: ASYNC110
            await asyncio.sleep(0.05)


def write_film(path: Path) -> None:
    """Two seconds of numbered pictures, as Chromium's fake camera reads them."""
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


@pytest.mark.slow
async def test_the_portraits_mouth_moves_and_the_rest_stays_with_the_real_models(tmp_path: Path) -> None:
    config = ServerConfig(port=0)
    face = FaceTracker()(next(open_face(config.portrait_path).frames(endless=True)).picture)
    assert face is not None
    x0, y0 = (int(side) for side in face.points[list(LIPS), :2].min(axis=0))
    x1, y1 = (int(side) for side in face.points[list(LIPS), :2].max(axis=0))
    async with running(config) as server:
        await server.loading
        async with chromium(tmp_path) as page:
            await page.open(server.url)
            await page.run("document.getElementById('start').click()")
            await page.until(PLAYING)
            mouth = await page.run(CHANGE % f"{x0}, {y0}, {x1 - x0}, {y1 - y0}")
            corner = await page.run(CHANGE % "0, 0, 100, 60")
            await page.screenshot(tmp_path / "real.png")
            assert page.complaints == []
    assert mouth > 2 * corner + 0.5
