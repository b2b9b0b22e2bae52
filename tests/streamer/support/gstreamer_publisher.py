"""GStreamer's ``webrtcbin``, on which ``whipsink`` and ``whipclientsink`` stand, as a publisher by WHIP.

    /usr/bin/python3 gstreamer_publisher.py URL TOKEN [OPTIONS OF x264enc]

Needs the system's own Python with ``gi`` and GStreamer's plugins, and nothing of this project. It publishes a moving
ball as H264 and ticks as Opus until it is killed, in an offer that has all candidates, as ``whipsink`` sends it.
"""

import sys
import urllib.request

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstWebRTC", "1.0")
gi.require_version("GstSdp", "1.0")
from gi.repository import GLib, Gst, GstSdp, GstWebRTC  # noqa: E402

PIPELINE = """
webrtcbin name=peer bundle-policy=max-bundle
videotestsrc is-live=true pattern=ball ! video/x-raw,width=320,height=240,framerate=25/1 ! videoconvert ! queue
! x264enc {options} ! rtph264pay config-interval=-1 pt=96 ! application/x-rtp,media=video,encoding-name=H264,payload=96
! peer.
audiotestsrc is-live=true wave=ticks ! audioconvert ! audioresample ! queue ! opusenc ! rtpopuspay pt=97
! application/x-rtp,media=audio,encoding-name=OPUS,payload=97 ! peer.
"""


def main(url, token, options):
    """Publishes until it is killed."""
    Gst.init(None)
    pipeline = Gst.parse_launch(PIPELINE.format(options=options))
    peer = pipeline.get_by_name("peer")

    def on_offer(promise, *_):
        reply = promise.get_reply()  # it owns the offer
        peer.emit("set-local-description", reply.get_value("offer"), Gst.Promise.new())

    def on_gathered(*_):
        if peer.get_property("ice-gathering-state") != GstWebRTC.WebRTCICEGatheringState.COMPLETE:
            return
        text = peer.get_property("local-description").sdp.as_text()
        headers = {"Content-Type": "application/sdp", "Authorization": f"Bearer {token}"}
        with urllib.request.urlopen(urllib.request.Request(url, text.encode(), headers)) as response:
            _, answer = GstSdp.SDPMessage.new_from_text(response.read().decode())
        described = GstWebRTC.WebRTCSessionDescription.new(GstWebRTC.WebRTCSDPType.ANSWER, answer)
        peer.emit("set-remote-description", described, Gst.Promise.new())

    def on_needed(_):
        for transceiver in (peer.emit("get-transceiver", number) for number in range(2)):
            transceiver.set_property("direction", GstWebRTC.WebRTCRTPTransceiverDirection.SENDONLY)
        peer.emit("create-offer", None, Gst.Promise.new_with_change_func(on_offer, None))

    peer.connect("on-negotiation-needed", on_needed)
    peer.connect("notify::ice-gathering-state", on_gathered)
    pipeline.set_state(Gst.State.PLAYING)
    GLib.MainLoop().run()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], " ".join(sys.argv[3:]))
