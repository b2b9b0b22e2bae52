"""Gives scripts without asyncio a session, whose event loop runs in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, cast

from mytalk_client.errors import FormatError
from mytalk_client.formats import Samples, is_whole
from mytalk_client.http import Consent, Portrait
from mytalk_client.messages import Event, Scalar
from mytalk_client.session import Session, connect

T = TypeVar("T")


class SyncSession:
    """Is one session, made by :func:`connect_sync`. Its methods are those of :class:`Session`, for any thread."""

    def __init__(self, session: Session, loop: asyncio.AbstractEventLoop) -> None:
        self.session = session
        self._loop = loop

    def say(
        self, pcm: bytes | Samples | Iterable[bytes | Samples], *, event_id: str | None = None, wait: bool = True
    ) -> None:
        """Says one utterance; see :meth:`Session.say`. Without ``wait`` it returns at once: for those who iterate next.

        A program that asked for sound or video and says more than 10 s must not wait: what is not iterated stops the
        session.
        """
        if is_whole(pcm) and not wait:
            self.session.format.payload(pcm)  # what is not of the format is raised here
            asyncio.run_coroutine_threadsafe(self.session.say(pcm, event_id=event_id), self._loop)
            return
        if not is_whole(pcm) and not isinstance(pcm, Iterable):
            raise FormatError(f"speech of type {type(pcm).__name__} (need bytes, samples, or an iterable of either)")
        for piece in [pcm] if is_whole(pcm) else cast(Iterable[bytes | Samples], pcm):
            self.append(piece)
        self.commit(event_id)

    def append(self, payload: bytes | Samples) -> None:
        """Appends speech to the utterance."""
        self._run(self.session.append(payload))

    def commit(self, event_id: str | None = None) -> None:
        """Ends the utterance."""
        self._run(self.session.commit(event_id))

    def interrupt(self, event_id: str | None = None) -> None:
        """Drops all speech that was not played yet."""
        self._run(self.session.interrupt(event_id))

    def update(self, event_id: str | None = None, **controls: Scalar) -> None:
        """Changes controls."""
        self._run(self.session.update(event_id, **controls))

    def change_face(self, portrait: Portrait | None = None, consent: Consent | None = None) -> None:
        """Shows another face, as :meth:`Session.change_face` does."""
        self._run(self.session.change_face(portrait, consent))

    def next(self, timeout: float | None = None) -> Event | None:
        """Returns the next event; None at the end of the session. Raises ``TimeoutError`` after ``timeout`` seconds."""
        return self._run(_next(self.session, timeout))

    def __iter__(self) -> Iterator[Event]:
        while (event := self.next()) is not None:
            yield event

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:  # Ctrl-C: what is under way is called off
            future.cancel()
            raise


@contextmanager
def connect_sync(url: str, api_key: str | None = None, **given: Any) -> Iterator[SyncSession]:
    """Opens a session as :func:`connect` does, with the same arguments."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="mytalk client", daemon=True)
    thread.start()
    context = connect(url, api_key, **given)
    try:
        session = asyncio.run_coroutine_threadsafe(context.__aenter__(), loop).result()
        try:
            yield SyncSession(session, loop)
        finally:
            asyncio.run_coroutine_threadsafe(context.__aexit__(None, None, None), loop).result()
    finally:
        asyncio.run_coroutine_threadsafe(loop.shutdown_default_executor(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _next(session: Session, timeout: float | None) -> Event | None:  # noqa: ASYNC109
    async with asyncio.timeout(timeout):
        return await anext(session, None)
