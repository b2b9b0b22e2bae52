"""Ends a connection of aiortc 1.16.0 whose own ``close`` did not: it waits without end for a task that has failed.

Takes apart one that has closed, too."""

from __future__ import annotations

from typing import Any

from aiortc import RTCPeerConnection


def abort(connection: RTCPeerConnection) -> None:
    """Ends its tasks and decoder threads, and closes its sockets, at once and without a word to the peer."""
    private: Any = connection
    for transceiver in connection.getTransceivers():
        sender: Any = transceiver.sender
        receiver: Any = transceiver.receiver
        tasks = [sender._RTCRtpSender__rtp_task, sender._RTCRtpSender__rtcp_task, receiver._RTCRtpReceiver__rtcp_task]
        for task in filter(None, [*tasks, receiver.transport._task]):
            task.cancel()
        receiver._RTCRtpReceiver__stop_decoder()
        ice = receiver.transport.transport._connection
        checks = [pair.task for pair in ice._check_list]
        for task in filter(None, [ice._query_consent_task, *checks]):
            task.cancel()
        for protocol in ice._protocols:
            protocol.transport.close()
    closing, closed = private._RTCPeerConnection__closeTask, private._RTCPeerConnection__isClosed
    if closing is not None:
        closing.cancel()
    if closed and not closed.done():
        closed.set_result(True)


def release(connection: RTCPeerConnection) -> None:
    """Cuts the references among the parts of a connection that has closed, which refer to one another in circles: each
    is freed at once. The collector of garbage held the event loop for 34 ms where 50 viewers had closed."""
    private: Any = connection
    for transceiver in connection.getTransceivers():
        receiver: Any = transceiver.receiver
        for emitter in (receiver.transport, receiver.transport.transport, receiver.transport.transport.iceGatherer):
            emitter.remove_all_listeners()
        for part in (transceiver.sender, receiver):
            vars(part).clear()
    private._RTCPeerConnection__transceivers.clear()
