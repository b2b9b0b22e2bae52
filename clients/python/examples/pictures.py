"""Without asyncio: says a WAV file and keeps one JPEG a second. python pictures.py SPEECH.wav FOLDER [URL]"""

from __future__ import annotations

import sys
from pathlib import Path

from mytalk_client import PlaybackFinished, Video, connect_sync
from mytalk_client.speaking import read_wav


def main(speech: Path, folder: Path, url: str = "http://localhost:8080") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    form, pcm = read_wav(speech)
    with connect_sync(url, speech=form, video="jpeg") as session:
        session.say(pcm, wait=False)
        kept = -16_000
        for event in session:
            if isinstance(event, Video) and event.pts >= kept + 16_000:
                kept = event.pts
                (folder / f"{kept / 16_000:07.2f}.jpg").write_bytes(event.data)
            elif isinstance(event, PlaybackFinished):
                return


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:4])
