// One session of the demo page, with the face, the voice and the transport that were chosen.

import { CanvasPlayer, Client, decodesH264, MediaSourcePlayer, Microphone, playsFmp4 } from "/mytalk-client.js";

/**
 * @typedef {{ face: "portrait" | "picture" | "camera", voice: "sample" | "microphone" | "file", profile: "low" | "balanced" | "quality",
 *   transport: "webrtc" | "websocket", controls: import("/mytalk-client.js").SessionOptions, file: File | null, picture: File | null, who: string,
 *   key: string }} Choices
 * @typedef {{ result: HTMLVideoElement, canvas: HTMLCanvasElement, preview: (camera: MediaStream | null) => void,
 *   showStatus: (text: string) => void }} Screen
 */

const RATE = 48_000; // of speech that is sent from here
const AHEAD_MS = 3_000; // of it, that may be sent before it is heard
const PATIENCE_MS = 150_000; // for a server that is busy

export class DemoSession {
  /** @type {import("/mytalk-client.js").Session | undefined} */
  session;
  /** @type {import("/mytalk-client.js").Stream | undefined} */
  stream;
  /** @type {import("/mytalk-client.js").Peer | undefined} */
  peer; // receives the result by WebRTC
  /** @type {CanvasPlayer | MediaSourcePlayer | undefined} */
  player; // plays the result by WebSocket
  /** @type {import("/mytalk-client.js").Peer | undefined} */
  #publisher;
  /** @type {MediaStream | undefined} */
  #camera;
  /** @type {Microphone | undefined} */
  #microphone;
  /** @type {Float32Array | undefined} */
  #speech;
  /** Controls that were moved before there was a stream. @type {Record<string, string | number>} */
  #pendingControls = {};
  #stop = new AbortController();

  /**
   * @param {Choices} choices
   * @param {Screen} screen
   */
  constructor(choices, screen) {
    this.choices = choices;
    this.screen = screen;
  }

  /** Creates the session and connects to it. Throws what failed, or the abort reason after `end`. */
  async start() {
    const { face, voice, transport } = this.choices;
    const { signal } = this.#stop;
    if (voice === "file") this.#speech = await decodeMono(this.choices.file);
    await this.#openDevices();
    signal.throwIfAborted();
    this.screen.showStatus("Connecting …");
    this.session = await this.#create();
    this.stream = await this.session.open({ ...(await this.#streamOptions()), aheadMs: AHEAD_MS, signal });
    if (Object.keys(this.#pendingControls).length > 0) await this.stream.update({ controls: this.#pendingControls }, signal);
    if (transport === "websocket") this.player = await this.#play(this.stream);
    const element = this.screen.result;
    if (face === "camera" && voice === "microphone" && transport === "webrtc") {
      this.peer = await this.session.call(this.#camera ?? null, { element, signal });
    } else {
      if (this.#camera) this.#publisher = await this.session.publish(this.#camera, { signal });
      if (transport === "webrtc") this.peer = await this.session.watch({ element, signal });
    }
    if (this.#microphone) void this.#sendMicrophone(this.#microphone, this.stream);
  }

  /** Its WebRTC connections. */
  get peers() {
    return [this.peer, this.#publisher].flatMap((peer) => (peer ? [peer] : []));
  }

  /** Resolves with an error or a reason when the session ends other than by `end`. */
  async ended() {
    const peers = this.peers.map((peer) => peer.closed);
    const stream = this.stream ? [this.stream.closed.then(({ error, reason }) => error ?? reason)] : [];
    return await Promise.race([...stream, ...peers]);
  }

  /**
   * Changes controls, now or as soon as it is connected.
   * @param {Record<string, string | number>} controls
   */
  async change(controls) {
    if (this.stream) await this.stream.update({ controls });
    else Object.assign(this.#pendingControls, controls);
  }

  /** Sends the file as speech; resolves when it was heard, with whether it was interrupted. */
  async sayFile() {
    const { signal } = this.#stop;
    if (!this.stream || !this.#speech) return false;
    const sent = await this.stream.say(this.#speech, { signal });
    if (sent < this.#speech.length) return true;
    const { utterance } = await this.stream.commit(signal);
    return (await this.stream.finished(utterance, signal)).interrupted;
  }

  /** Frees devices and connections, and ends the session at the server. */
  end() {
    this.#microphone?.stop();
    for (const track of this.#camera?.getTracks() ?? []) track.stop();
    this.player?.close();
    if (!this.session) return this.#stop.abort();
    // Both at once: a peer that hears of the end from the server would try to connect again.
    void this.session.end().catch(() => undefined).finally(() => this.#stop.abort());
    void this.peer?.close(true);
    void this.#publisher?.close(true);
  }

  async #openDevices() {
    const { face, voice } = this.choices;
    if (face !== "camera" && voice !== "microphone") return;
    if (!navigator.mediaDevices) throw new Error("Cameras and microphones need https:// or localhost in the address.");
    this.screen.showStatus("Asking for your camera or microphone …");
    if (face !== "camera") {
      this.#microphone = await Microphone.open({ rate: RATE, signal: this.#stop.signal });
      return;
    }
    const video = { width: { ideal: 640 }, height: { ideal: 480 }, frameRate: { ideal: 25 } };
    this.#camera = await navigator.mediaDevices.getUserMedia({ video, audio: voice === "microphone" });
    if (this.#stop.signal.aborted) for (const track of this.#camera.getTracks()) track.stop();
    else this.screen.preview(this.#camera);
  }

  /** Creates the session; while the server is full, or still loads its models, waits and says so. */
  async #create() {
    const { face, voice, profile, controls, picture, who, key } = this.choices;
    /** @param {Error} refusal */
    const onBusy = (refusal) => this.screen.showStatus(`Waiting: ${refusal.message}`);
    const client = new Client(location.href, { patienceMs: PATIENCE_MS, onBusy, ...(key && { apiKey: key }) });
    const speech = voice === "sample" ? "demo" : this.#isStreamed ? "stream" : "live";
    const options = /** @type {const} */ ({ speech, profile, ...controls });
    const { signal } = this.#stop;
    if (face === "camera") return await client.create({ source: "live", ...options }, signal);
    if (face === "portrait") return await client.create({ source: "portrait", ...options }, signal);
    if (!picture) throw new Error("Choose the picture of the face.");
    const when = new Date().toISOString().slice(0, 10);
    const consent = { who, when, purpose: "to speak on the demo page" };
    return await client.createWith({ picture, ...(who && { consent }) }, options, signal);
  }

  /** True where speech is sent by WebSocket. */
  get #isStreamed() {
    const { face, voice } = this.choices;
    return voice === "file" || (voice === "microphone" && face !== "camera");
  }

  /**
   * Formats of the speech that is sent, and of the media that are received.
   * @returns {Promise<import("/mytalk-client.js").StreamOptions>}
   */
  async #streamOptions() {
    const video = (await decodesH264()) ? "h264" : playsFmp4() ? "fmp4" : "jpeg";
    return {
      ...(this.#isStreamed && { speech: { encoding: "pcm16", rate: RATE } }),
      ...(this.choices.transport === "websocket" && { output: { audio: video === "fmp4" ? "none" : "pcm16", video } }),
    };
  }

  /** @param {import("/mytalk-client.js").Stream} stream */
  async #play(stream) {
    const { result, canvas } = this.screen;
    const isCanvas = (await decodesH264()) || !playsFmp4();
    canvas.hidden = !isCanvas;
    result.hidden = isCanvas;
    if (!isCanvas) return new MediaSourcePlayer(result, stream);
    const player = new CanvasPlayer(canvas, stream, () => {
      void stream.update({ output: { audio: "pcm16", video: "jpeg" } }).catch(() => undefined);
    });
    await player.sound.start();
    return player;
  }

  /**
   * @param {Microphone} microphone
   * @param {import("/mytalk-client.js").Stream} stream
   */
  async #sendMicrophone(microphone, stream) {
    await microphone.speakInto(stream).catch(() => undefined); // the stream is over: `ended` gives the reason
  }
}

/**
 * Decodes a file to mono samples.
 * @param {File | null} file
 */
async function decodeMono(file) {
  if (!file) throw new Error("Choose the file with the speech.");
  const context = new OfflineAudioContext(1, 1, RATE);
  let sound;
  try {
    sound = await context.decodeAudioData(await file.arrayBuffer());
  } catch (cause) {
    throw new Error(`${file.name} has no sound that this browser can read.`, { cause });
  }
  const mono = new Float32Array(sound.length);
  for (let channel = 0; channel < sound.numberOfChannels; channel += 1) {
    sound.getChannelData(channel).forEach((sample, i) => (mono[i] = (mono[i] ?? 0) + sample / sound.numberOfChannels));
  }
  return mono;
}
