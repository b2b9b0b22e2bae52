// One call: make a session, connect, show both sides, end it. No build, no dependencies.

const byId = (id) => document.getElementById(id);
const form = byId("setup");
const POLL_MS = 1000;
const GATHER_MS = 1500; // ICE candidates that take longer are not waited for

let current = null; // the call under way
let attempt = 0; // counts starts and stops: a start that was overtaken by a stop goes no further

class Call {
  constructor(session) {
    this.session = session;
    this.headers = { Authorization: `Bearer ${session.token}` };
    this.connection = null;
    this.camera = null;
    this.timer = 0;
  }

  async connect(camera) {
    this.camera = camera;
    const iceServers = this.session.ice_servers;
    const connection = new RTCPeerConnection({ iceServers });
    this.connection = connection;
    const result = new MediaStream();
    byId("result").srcObject = result;
    connection.ontrack = ({ track }) => result.addTrack(track);
    connection.onconnectionstatechange = () => {
      if (connection.connectionState === "failed") finish("The connection failed: is UDP blocked on the way?", true);
    };
    const sent = camera ? camera.getTracks() : [];
    for (const track of sent) connection.addTrack(track, camera);
    for (const kind of ["audio", "video"]) {
      if (!sent.some((track) => track.kind === kind)) connection.addTransceiver(kind, { direction: "recvonly" });
    }
    await connection.setLocalDescription();
    await gathered(connection);
    const { type, sdp } = connection.localDescription;
    const answer = await ask("POST", this.session.urls.webrtc, { type, sdp }, this.headers);
    await connection.setRemoteDescription(answer);
    this.timer = setInterval(() => this.look().catch((error) => finish(error.message, true)), POLL_MS);
  }

  // Asks the server how the session does, and the browser how long it waits before it plays.
  async look() {
    const now = await ask("GET", this.session.urls.session, undefined, this.headers);
    if (current !== this) return;
    byId("session").textContent = now.state;
    if (now.untouched_because) say(`The picture comes back untouched: ${now.untouched_because}`, true);
    const pictures = now.stats.pictures;
    if (!pictures) return;
    const shown = pictures.on_time + pictures.late + pictures.untouched;
    byId("pictures").textContent = shown.toLocaleString();
    byId("late").textContent = `${pictures.late} / ${pictures.overtaken + pictures.dropped}`;
    byId("latency").textContent = `about ${Math.round(now.stats.delay_ms + (await this.playout()))} ms`;
  }

  async playout() {
    let waited = 0;
    let trip = 0;
    for (const stat of (await this.connection.getStats()).values()) {
      if (stat.type === "inbound-rtp" && stat.kind === "video" && stat.jitterBufferEmittedCount) {
        waited = (1000 * stat.jitterBufferDelay) / stat.jitterBufferEmittedCount;
      }
      if (stat.type === "candidate-pair" && stat.nominated) trip = 1000 * (stat.currentRoundTripTime ?? 0);
    }
    return waited + trip;
  }

  end() {
    clearInterval(this.timer);
    for (const track of this.camera?.getTracks() ?? []) track.stop();
    // The session first: closing the connection ends it too, and then there would be nothing to delete.
    const deleted = fetch(this.session.urls.session, { method: "DELETE", headers: this.headers, keepalive: true });
    deleted.catch(() => {}).finally(() => this.connection?.close());
  }
}

async function ask(method, url, body, headers = {}) {
  const given = body === undefined ? {} : { body: JSON.stringify(body) };
  const types = body === undefined ? {} : { "Content-Type": "application/json" };
  const response = await fetch(url, { method, headers: { ...types, ...headers }, ...given });
  const answer = await response.json();
  if (response.ok) return answer;
  if (response.status === 404 && method === "GET") throw new Error("The session has ended.");
  const error = new Error(answer.error?.message ?? response.statusText);
  error.again = response.status === 503 ? Number(response.headers.get("Retry-After")) : 0;
  throw error;
}

// Makes the session; while the server still loads its models, waits and asks again.
async function makeSession(options, wanted) {
  for (let tries = 0; ; tries += 1) {
    try {
      return await ask("POST", "/v1/sessions", options);
    } catch (error) {
      if (!error.again || error.again > 5 || tries > 30 || !wanted()) throw error;
      say(`Waiting: ${error.message}`);
      await new Promise((resolve) => setTimeout(resolve, 1000 * error.again));
    }
  }
}

function gathered(connection) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, GATHER_MS);
    const check = () => {
      if (connection.iceGatheringState !== "complete") return;
      clearTimeout(timer);
      resolve();
    };
    connection.onicegatheringstatechange = check;
    check();
  });
}

async function start() {
  const chosen = Object.fromEntries(new FormData(form));
  const wants = { video: chosen.source === "live", audio: chosen.speech === "live" };
  chosen.mouth_opening = Number(chosen.mouth_opening);
  busy(true);
  const mine = ++attempt;
  let camera = null;
  try {
    if (wants.video || wants.audio) {
      say("Asking for your camera or microphone …");
      const size = { width: { ideal: 640 }, height: { ideal: 480 }, frameRate: { ideal: 25 } };
      if (!navigator.mediaDevices) throw new Error("Cameras need https:// or localhost in the address.");
      camera = await navigator.mediaDevices.getUserMedia({ audio: wants.audio, video: wants.video && size });
    }
    preview(wants.video ? camera : null);
    say("Connecting …");
    const session = await makeSession(chosen, () => mine === attempt);
    if (mine !== attempt) return new Call(session).end();
    current = new Call(session);
    byId("state").title = session.disclosure;
    await current.connect(camera);
  } catch (error) {
    if (mine === attempt) finish(error.message, true);
  } finally {
    if (mine !== attempt) for (const track of camera?.getTracks() ?? []) track.stop();
  }
}

function preview(stream) {
  byId("camera").srcObject = stream;
  byId("camera").hidden = !stream;
  byId("portrait").hidden = Boolean(stream);
}

function finish(message, bad = false) {
  attempt += 1;
  current?.end();
  current = null;
  byId("result").srcObject = null;
  byId("session").textContent = "none";
  preview(null);
  busy(false);
  say(message, bad);
}

function say(text, bad = false) {
  byId("state").textContent = text;
  byId("state").classList.toggle("bad", bad);
}

function busy(on) {
  byId("start").disabled = on;
  byId("stop").disabled = !on;
  for (const fieldset of form.querySelectorAll("fieldset")) fieldset.disabled = on;
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  start();
});
byId("stop").addEventListener("click", () => {
  finish("Stopped.");
  byId("start").focus();
});
byId("result").addEventListener("playing", () => current && say("Live."));
addEventListener("pagehide", () => current?.end());
