/** Fakes of WebRTC's classes. */

import { vi } from "vitest";

/** A fake `MediaStream`. */
export class FakeMedia {
  constructor(private tracks: { kind: string; stop?: () => void }[] = []) {
    for (const track of tracks) track.stop ??= vi.fn();
  }

  getTracks = () => [...this.tracks];
  addTrack = (track: { kind: string; stop?: () => void }) => void this.tracks.push(track);
  removeTrack = (track: { kind: string }) => {
    this.tracks = this.tracks.filter((one) => one !== track);
  };
}

/** A fake `RTCDtlsTransport`. */
class FakeTransport extends EventTarget {
  state = "connected";

  /** The other side closes it. */
  close(): void {
    this.state = "closed";
    this.dispatchEvent(new Event("statechange"));
  }
}

/** A fake `RTCPeerConnection` for offers, answers and restarts. Its credentials carry the number of restarts. */
export class FakeConnection extends EventTarget {
  static made: FakeConnection[] = [];
  /** Makes the next ones fail to connect. */
  static areBlocked = false;
  connectionState = "new";
  iceConnectionState = "new";
  iceGatheringState = "complete";
  restarts = 0;
  rollbacks = 0;
  localDescription: { sdp: string } | null = null;
  remoteDescription: { type: string; sdp: string } | null = null;
  onicecandidate: ((event: { candidate: object | null }) => void) | null = null;
  transport = new FakeTransport();
  addTransceiver = vi.fn();
  close = vi.fn();

  constructor() {
    super();
    FakeConnection.made.push(this);
  }

  /** Two, bundled. */
  getReceivers(): { transport: FakeTransport }[] {
    return [{ transport: this.transport }, { transport: this.transport }];
  }

  restartIce(): void {
    this.restarts += 1;
  }

  setLocalDescription(description?: { type: string }): Promise<void> {
    if (description?.type === "rollback") this.rollbacks += 1;
    else this.localDescription = { sdp: `a=ice-ufrag:mine${this.restarts}\r\na=ice-pwd:${"p".repeat(22)}\r\n` };
    const candidate = { candidate: "candidate:7 1 udp 1 192.0.2.1 6000 typ host", sdpMid: "0" };
    if (description === undefined) this.onicecandidate?.({ candidate });
    return Promise.resolve();
  }

  setRemoteDescription(description: { type: string; sdp: string }): Promise<void> {
    this.remoteDescription = description;
    const track = { kind: "video", of: this, stop: vi.fn() };
    if (this.connectionState === "new") this.dispatchEvent(Object.assign(new Event("track"), { track }));
    this.setState(FakeConnection.areBlocked ? "failed" : "connected");
    return Promise.resolve();
  }

  setState(state: string): void {
    if (this.connectionState === state) return;
    this.connectionState = this.iceConnectionState = state;
    this.dispatchEvent(new Event("connectionstatechange"));
  }
}
