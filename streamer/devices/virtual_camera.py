"""Shows pictures in a virtual camera, which programs for video calls open like any other."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mytalk.errors import InputError
from mytalk.picture import Picture, VideoFrame
from streamer.media.audio import SpeechChunk
from streamer.protocol.generation import Cleared

FRAMES_PER_SECOND = 25.0

_INSTALL = {
    "linux": "apt install v4l2loopback-dkms, then modprobe v4l2loopback exclusive_caps=1",
    "darwin": "install OBS, and start its virtual camera once",
    "win32": "install OBS, and start its virtual camera once",
}


def pyvirtualcam() -> Any:
    """Returns the module. Raises ``InputError`` that says what to install."""
    try:
        import pyvirtualcam as module
    except ModuleNotFoundError as error:
        raise InputError("pyvirtualcam is missing (pip install 'mytalk-streamer[camera]')") from error
    return module


class VirtualCamera:
    """Is a sink of pictures. A thread of its own sends the newest; an older one that still waits is left out.

    ``width`` and ``height``: of the device; pictures of another size are fitted between black bars. ``device``: its
    name or path, None: the first that is free. ``failed`` is called, on that thread, with what ended it. Raises
    ``InputError`` where no device can be opened.
    """

    def __init__(
        self,
        width: int,
        height: int,
        *,
        device: str | None = None,
        failed: Callable[[str], None] = lambda _: None,
    ) -> None:
        module = pyvirtualcam()
        try:
            form = module.PixelFormat.I420
            self._camera = module.Camera(width, height, FRAMES_PER_SECOND, fmt=form, device=device)
        except (RuntimeError, ValueError, OSError) as error:
            reason = str(error).replace("\n", "; ")
            needed = _INSTALL.get(sys.platform, "this system needs a driver of one")
            raise InputError(f"no virtual camera: {reason} ({needed})") from error
        self.name = str(self._camera.device)
        self._size = width, height
        self._failed = failed
        self._newest: Picture | None = None
        self._closing = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="virtual camera", daemon=True)
        self._thread.start()

    def sound(self, chunk: SpeechChunk) -> None:
        """Leaves sound to the loudspeaker."""

    def picture(self, frame: VideoFrame) -> None:
        """Takes the next picture."""
        with self._changed:
            self._newest = frame.picture
            self._changed.notify()

    def clear(self, cleared: Cleared) -> None:
        """Drops the picture that waits."""
        with self._changed:
            self._newest = None

    def close(self) -> None:
        """Gives the device back."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()
        self._camera.close()

    def _run(self) -> None:
        while (picture := self._next()) is not None:
            try:
                self._camera.send(i420(picture, self._size))
            except (RuntimeError, ValueError, OSError) as error:
                self._failed(f"the virtual camera {self.name} failed: {error}")
                return

    def _next(self) -> Picture | None:
        with self._changed:
            while self._newest is None and not self._closing:
                self._changed.wait()
            picture, self._newest = self._newest, None
            return None if self._closing else picture


def i420(picture: Picture, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Returns a picture as the samples of its planes ``(3 / 2 W H,)``, fitted into ``size`` (width, height; even)."""
    width, height = size
    planes = (picture.y, picture.u, picture.v)
    if (picture.width, picture.height) == size:
        return np.concatenate([plane.ravel() for plane in planes])
    scale = min(width / picture.width, height / picture.height)
    inner = (max(2, round(picture.width * scale / 2) * 2), max(2, round(picture.height * scale / 2) * 2))
    fitted = []
    for plane, shrink, black in zip(planes, (1, 2, 2), (0 if picture.full_range else 16, 128, 128), strict=True):
        out = np.full((height // shrink, width // shrink), black, np.uint8)
        new = cv2.resize(plane, (inner[0] // shrink, inner[1] // shrink), interpolation=cv2.INTER_AREA)
        y, x = (out.shape[0] - new.shape[0]) // 2, (out.shape[1] - new.shape[1]) // 2
        out[y : y + new.shape[0], x : x + new.shape[1]] = new
        fitted.append(out.ravel())
    return np.concatenate(fitted)
