"""Ends a connection of aiortc 1.16.0 whose own ``close`` did not: it waits without end for a task that has failed."""

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
