// The demo page: its form, its buttons, and the display of the running session.

import { NotAuthorizedError } from "/mytalk-client.js";
import { addControls } from "./control_panel.js";
import { FacePicker } from "./face_picker.js";
import { DemoSession } from "./session.js";
import { Stats } from "./stats.js";

const MAX_EVENTS = 50;
const DEBOUNCE_MS = 120; // a pending slider sends its value after so long without a change

/** Overload levels, the `rung` of the protocol. @type {Record<string, string>} */
const OVERLOAD_LEVELS = {
  fewer_steps: "fewer sampling steps",
  unmended: "mouths are less fine",
  half_rate: "every second picture is made",
  untouched: "pictures pass as they came",
};

/** Reasons of `face.lost`. @type {Record<string, string>} */
const LOST_REASONS = {
  none: "No face is seen (out of the picture, covered, or far away)",
  small: "The face is too small (come nearer)",
  turned: "The face is turned too far aside",
};

const byId = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id));
const form = /** @type {HTMLFormElement} */ (byId("setup"));
const result = /** @type {HTMLVideoElement} */ (byId("result"));
const canvas = /** @type {HTMLCanvasElement} */ (byId("canvas"));
const camera = /** @type {HTMLVideoElement} */ (byId("camera"));
const file = /** @type {HTMLInputElement} */ (byId("file"));
const picture = /** @type {HTMLInputElement} */ (byId("picture"));
const portrait = /** @type {HTMLImageElement} */ (byId("portrait"));
const keyInput = /** @type {HTMLInputElement} */ (byId("key"));
const button = (/** @type {string} */ id) => /** @type {HTMLButtonElement} */ (byId(id));
const buttons = { start: button("start"), stop: button("stop"), interrupt: button("interrupt"), again: button("again") };
const inputs = addControls(byId("controls"), byId("face-row"));
const link = /** @type {HTMLAnchorElement} */ (byId("watch"));
const slider = (/** @type {string} */ id) => /** @type {HTMLInputElement} */ (byId(id));
const stats = new Stats(showStatus);
const facePicker = new FacePicker(
  {
    ...{ portrait, camera, area: byId("area"), mark: byId("mark") },
    ...{ largest: button("largest"), across: slider("across"), down: slider("down") },
  },
  () => change("face", facePicker.text),
);

/** @type {DemoSession | null} */
let current = null;

// --- a session

async function start() {
  const chosen = /** @type {any} */ (Object.fromEntries(new FormData(form)));
  const moved = Object.fromEntries(inputs.filter(isMoved).map((input) => [input.name, valueOf(input)]));
  const controls = { ...moved, face: facePicker.choice };
  const files = { file: file.files?.[0] ?? null, picture: picture.files?.[0] ?? null };
  const choices = { ...chosen, ...files, controls, key: keyInput.value };
  const demo = new DemoSession(choices, { result, canvas, preview, showStatus });
  current = demo;
  setRunning(true);
  canvas.hidden = true;
  result.hidden = false;
  try {
    await demo.start();
    if (demo !== current) return;
    listen(demo);
    stats.watch(demo);
    buttons.interrupt.disabled = false;
    byId("disclosure").textContent = demo.session?.disclosure ?? "";
    link.href = `/watch.html#${demo.session?.id}/${demo.session?.description.view_token}`;
    link.hidden = false;
    if (choices.transport === "websocket") showStatus("Live.");
    if (choices.voice === "file") void sayFile(demo);
    const why = await demo.ended();
    if (demo === current) finish(why instanceof Error ? why.message : `The session has ended: ${why ?? ""}`, true);
  } catch (error) {
    if (demo === current) fail(/** @type {Error} */ (error));
  }
}

/** @param {Error} error */
function fail(error) {
  if (error instanceof NotAuthorizedError) {
    byId("key-row").hidden = false;
    finish("This server needs a key.", true);
    keyInput.focus();
    return;
  }
  finish(error.message, true);
}

/** @param {DemoSession} demo */
async function sayFile(demo) {
  buttons.again.hidden = false;
  buttons.again.disabled = true;
  try {
    const interrupted = await demo.sayFile();
    if (demo === current) showStatus(interrupted ? "Interrupted." : "The file has been said.");
  } catch {
    // The stream is over: `ended` gives the reason.
  }
  buttons.again.disabled = demo !== current;
}

async function interrupt() {
  try {
    const heard = await current?.stream?.clear();
    if (heard) showStatus(heard.interrupted ? `Interrupted after ${(heard.position / 16_000).toFixed(1)} s.` : "Nothing was being said.");
  } catch (error) {
    if (current) showStatus(/** @type {Error} */ (error).message, true);
  }
}

/**
 * @param {string} message
 * @param {boolean} bad
 */
function finish(message, bad = false) {
  const demo = current;
  current = null;
  demo?.end();
  stats.stop();
  result.srcObject = null;
  canvas.getContext("2d")?.clearRect(0, 0, canvas.width, canvas.height);
  byId("disclosure").textContent = "";
  link.hidden = true;
  preview(null);
  setRunning(false);
  showStatus(message, bad);
}

/** Timers of controls that are not sent yet, by name. @type {Map<string, number>} */
const pending = new Map();

/**
 * Sends a control to the running session when it has not moved for a moment.
 * @param {string} name
 * @param {string | number} value
 */
function change(name, value) {
  clearTimeout(pending.get(name));
  const send = () => {
    pending.delete(name);
    current?.change({ [name]: value }).catch((error) => current && showStatus(error.message, true));
  };
  pending.set(name, setTimeout(send, DEBOUNCE_MS));
}

// --- display

/** @param {DemoSession} demo */
function listen(demo) {
  const { stream } = demo;
  if (!stream) return;
  byId("events").replaceChildren();
  void (async () => {
    for await (const event of stream) {
      logEvent(event);
      if (event.type === "session.created") showControls(event.controls);
      if (event.type === "session.updated" && event.controls) showControls(event.controls);
      if (event.type === "session.updated" && event.rung) {
        const less = event.rung === "full" ? undefined : (OVERLOAD_LEVELS[event.rung] ?? event.rung);
        showStatus(less === undefined ? "Live." : `The server is busy: ${less}.`, less !== undefined);
      }
      if (event.type === "face.lost") showStatus(`${LOST_REASONS[event.reason] ?? event.reason}: the picture comes back untouched.`, true);
      if (event.type === "face.found") showStatus("Live.");
      if (event.type === "camera.left") showStatus("The camera sends no pictures: the last one stays.", true);
      if (event.type === "camera.back") showStatus("Live.");
      if (event.type === "warning") showStatus(`Your encoder: ${event.message}`, true);
      if (event.type === "error" && !event.fatal) showStatus(event.message, true);
    }
  })().catch(() => undefined); // the stream is over: `ended` gives the reason
  const showState = (/** @type {string} */ state) => {
    if (state !== "open" && state !== "closed") showStatus("The connection broke. Reconnecting …", true);
    if (state === "open") showStatus("Live.");
  };
  stream.on("connection", showState);
  for (const peer of demo.peers) peer.on("connection", showState);
}

/** @param {import("/mytalk-client.js").StreamEvent} event */
function logEvent({ type, ...rest }) {
  const row = document.createElement("li");
  const name = document.createElement("code");
  name.textContent = type;
  row.append(name, ` ${JSON.stringify(rest)}`);
  byId("events").prepend(row);
  while (byId("events").children.length > MAX_EVENTS) byId("events").lastElementChild?.remove();
}

/** @param {Record<string, unknown>} controls */
function showControls(controls) {
  for (const input of inputs) {
    input.disabled = !(input.name in controls);
    if (input === document.activeElement || input.disabled || pending.has(input.name)) continue;
    input.value = String(controls[input.name]);
    showValue(input);
  }
  if ("face" in controls && !pending.has("face")) facePicker.show(String(controls["face"]));
}

/** @param {HTMLInputElement | HTMLSelectElement} input */
function showValue(input) {
  const output = input.parentElement?.querySelector("output");
  if (output) output.textContent = String(Number(input.value));
}

/** @param {HTMLInputElement | HTMLSelectElement} input */
function valueOf(input) {
  return input.type === "range" || input.type === "number" ? Number(input.value) : input.value;
}

/** @param {HTMLInputElement | HTMLSelectElement} input */
function isMoved(input) {
  return input instanceof HTMLSelectElement ? !input.selectedOptions[0]?.defaultSelected : input.value !== input.defaultValue;
}

/** @param {MediaStream | null} stream */
function preview(stream) {
  camera.srcObject = stream;
  camera.hidden = !stream;
  portrait.hidden = Boolean(stream);
  facePicker.fit();
}

/** Shows the portrait as the source: the server's, or an own picture. */
async function showPortrait() {
  const isOwn = new FormData(form).get("face") === "picture";
  const own = isOwn ? picture.files?.[0] : undefined;
  byId("consent").hidden = !isOwn;
  if (portrait.src.startsWith("blob:")) URL.revokeObjectURL(portrait.src);
  portrait.src = own ? URL.createObjectURL(own) : "/portrait";
  if (!own && keyInput.value) await showPortraitByKey();
}

/** An operator's own portrait is shown to keys alone, which an image cannot send. */
async function showPortraitByKey() {
  const answer = await fetch("/portrait", { headers: { Authorization: `Bearer ${keyInput.value}` } });
  if (answer.ok && portrait.src.endsWith("/portrait")) portrait.src = URL.createObjectURL(await answer.blob());
}

/**
 * @param {string} name
 * @param {string} value
 */
function choose(name, value) {
  const choice = form.querySelector(`[name=${name}][value=${value}]`);
  /** @type {HTMLInputElement} */ (choice).checked = true;
}

/** @param {string} text */
function showStatus(text, bad = false) {
  byId("state").textContent = text;
  byId("state").classList.toggle("bad", bad);
}

/** @param {boolean} on */
function setRunning(on) {
  buttons.start.disabled = on;
  buttons.stop.disabled = !on;
  buttons.interrupt.disabled = true;
  buttons.again.hidden = true;
  for (const fieldset of form.querySelectorAll("fieldset")) fieldset.disabled = on;
  for (const input of inputs) input.disabled = false;
}

// --- user input

form.addEventListener("submit", (event) => {
  event.preventDefault();
  void start();
});
buttons.stop.addEventListener("click", () => {
  finish("Stopped.");
  buttons.start.focus();
});
buttons.interrupt.addEventListener("click", () => void interrupt());
buttons.again.addEventListener("click", () => current && void sayFile(current));
file.addEventListener("change", () => choose("voice", "file"));
picture.addEventListener("change", () => {
  choose("face", "picture");
  void showPortrait();
});
keyInput.addEventListener("change", () => void showPortrait());
for (const choice of form.querySelectorAll("[name=face]")) choice.addEventListener("change", () => void showPortrait());
for (const input of inputs) {
  // A text is sent when it is finished, a slider while it moves.
  input.addEventListener(input.type === "text" ? "change" : "input", () => {
    showValue(input);
    change(input.name, valueOf(input));
  });
}
addEventListener("keydown", ({ key }) => {
  if (key === "Escape" && !buttons.interrupt.disabled) void interrupt();
});
result.addEventListener("playing", () => current && showStatus("Live."));
addEventListener("pagehide", () => current?.end());
