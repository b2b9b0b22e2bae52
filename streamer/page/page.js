// The page: what is chosen, the buttons, and what is said of the show under way.

import { NotAuthorizedError } from "/mytalk-client.js";
import { FaceChoice } from "./face_picker.js";
import { Figures } from "./stats.js";
import { Show } from "./session.js";

const EVENTS_SHOWN = 50;
const SLIDE_MS = 120; // between two changes of a control while its slider moves

/** What a busy server has given up. @type {Record<string, string>} */
const RUNGS = {
  fewer_steps: "fewer sampling steps",
  unmended: "mouths are less fine",
  half_rate: "every second picture is made",
  untouched: "pictures pass as they came",
};

/** Why pictures come back untouched. @type {Record<string, string>} */
const FACES = {
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
const button = (/** @type {string} */ id) => /** @type {HTMLButtonElement} */ (byId(id));
const buttons = { start: button("start"), stop: button("stop"), interrupt: button("interrupt"), again: button("again") };
const knobs = /** @type {(HTMLInputElement | HTMLSelectElement)[]} */ ([...byId("controls").querySelectorAll("[name]")]);
const link = /** @type {HTMLAnchorElement} */ (byId("watch"));
const slider = (/** @type {string} */ id) => /** @type {HTMLInputElement} */ (byId(id));
const figures = new Figures(say);
const faces = new FaceChoice(
  {
    ...{ portrait, camera, area: byId("area"), mark: byId("mark") },
    ...{ largest: button("largest"), across: slider("across"), down: slider("down") },
  },
  () => change("face", faces.text),
);

/** @type {Show | null} */
let current = null;

// --- a show

async function start() {
  const chosen = /** @type {any} */ (Object.fromEntries(new FormData(form)));
  const moved = Object.fromEntries(knobs.filter(isMoved).map((knob) => [knob.name, valueOf(knob)]));
  const controls = { ...moved, face: faces.choice };
  const key = /** @type {HTMLInputElement} */ (byId("key")).value;
  const files = { file: file.files?.[0] ?? null, picture: picture.files?.[0] ?? null };
  const choices = { ...chosen, ...files, controls, key };
  const show = new Show(choices, { result, canvas, preview, say });
  current = show;
  busy(true);
  canvas.hidden = true;
  result.hidden = false;
  try {
    await show.begin();
    if (show !== current) return;
    listen(show);
    figures.watch(show);
    buttons.interrupt.disabled = false;
    byId("disclosure").textContent = show.session?.disclosure ?? "";
    link.href = `/watch.html#${show.session?.id}/${show.session?.description.view_token}`;
    link.hidden = false;
    if (choices.way === "websocket") say("Live.");
    if (choices.voice === "file") void sayFile(show);
    const why = await show.over();
    if (show === current) finish(why instanceof Error ? why.message : `The session has ended: ${why ?? ""}`, true);
  } catch (error) {
    if (show === current) fail(/** @type {Error} */ (error));
  }
}

/** @param {Error} error */
function fail(error) {
  if (error instanceof NotAuthorizedError) {
    byId("key-row").hidden = false;
    finish("This server wants a key.", true);
    byId("key").focus();
    return;
  }
  finish(error.message, true);
}

/** @param {Show} show */
async function sayFile(show) {
  buttons.again.hidden = false;
  buttons.again.disabled = true;
  try {
    const interrupted = await show.sayFile();
    if (show === current) say(interrupted ? "Interrupted." : "The file has been said.");
  } catch {
    // The stream is over: `over` says why.
  }
  buttons.again.disabled = show !== current;
}

async function interrupt() {
  try {
    const heard = await current?.stream?.clear();
    if (heard) say(heard.interrupted ? `Interrupted after ${(heard.position / 16_000).toFixed(1)} s.` : "Nothing was being said.");
  } catch (error) {
    if (current) say(/** @type {Error} */ (error).message, true);
  }
}

/**
 * @param {string} message
 * @param {boolean} bad
 */
function finish(message, bad = false) {
  const show = current;
  current = null;
  show?.end();
  figures.stop();
  result.srcObject = null;
  canvas.getContext("2d")?.clearRect(0, 0, canvas.width, canvas.height);
  byId("disclosure").textContent = "";
  link.hidden = true;
  preview(null);
  busy(false);
  say(message, bad);
}

/** Controls that have moved, by name: what the server still says of them is old. @type {Map<string, number>} */
const moving = new Map();

/**
 * Tells the show under way of a control, when it has not moved for a moment.
 * @param {string} name
 * @param {string | number} value
 */
function change(name, value) {
  clearTimeout(moving.get(name));
  const tell = () => {
    moving.delete(name);
    current?.change({ [name]: value }).catch((error) => current && say(error.message, true));
  };
  moving.set(name, setTimeout(tell, SLIDE_MS));
}

// --- what is shown

/** @param {Show} show */
function listen(show) {
  const { stream } = show;
  if (!stream) return;
  byId("events").replaceChildren();
  void (async () => {
    for await (const event of stream) {
      note(event);
      if (event.type === "session.created") showControls(event.controls);
      if (event.type === "session.updated" && event.controls) showControls(event.controls);
      if (event.type === "session.updated" && event.rung) {
        const less = event.rung === "full" ? undefined : (RUNGS[event.rung] ?? event.rung);
        say(less === undefined ? "Live." : `The server is busy: ${less}.`, less !== undefined);
      }
      if (event.type === "face.lost") say(`${FACES[event.reason] ?? event.reason}: the picture comes back untouched.`, true);
      if (event.type === "face.found") say("Live.");
      if (event.type === "error" && !event.fatal) say(event.message, true);
    }
  })().catch(() => undefined); // the stream is over: `over` says why
  const tell = (/** @type {string} */ state) => {
    if (state !== "open" && state !== "closed") say("The connection broke. It is made again …", true);
    if (state === "open") say("Live.");
  };
  stream.on("connection", tell);
  for (const peer of show.peers) peer.on("connection", tell);
}

/** @param {import("/mytalk-client.js").StreamEvent} event */
function note({ type, ...rest }) {
  const row = document.createElement("li");
  const name = document.createElement("code");
  name.textContent = type;
  row.append(name, ` ${JSON.stringify(rest)}`);
  byId("events").prepend(row);
  while (byId("events").children.length > EVENTS_SHOWN) byId("events").lastElementChild?.remove();
}

/** @param {Record<string, unknown>} controls */
function showControls(controls) {
  for (const knob of knobs) {
    knob.disabled = !(knob.name in controls);
    if (knob === document.activeElement || knob.disabled || moving.has(knob.name)) continue;
    knob.value = String(controls[knob.name]);
    showValue(knob);
  }
  if ("face" in controls && !moving.has("face")) faces.show(String(controls["face"]));
}

/** @param {HTMLInputElement | HTMLSelectElement} knob */
function showValue(knob) {
  const output = knob.parentElement?.querySelector("output");
  if (output) output.textContent = String(Number(knob.value));
}

/** @param {HTMLInputElement | HTMLSelectElement} knob */
function valueOf(knob) {
  return knob.type === "range" ? Number(knob.value) : knob.value;
}

/** @param {HTMLInputElement | HTMLSelectElement} knob */
function isMoved(knob) {
  return knob instanceof HTMLSelectElement || knob.value !== knob.defaultValue;
}

/** @param {MediaStream | null} stream */
function preview(stream) {
  camera.srcObject = stream;
  camera.hidden = !stream;
  portrait.hidden = Boolean(stream);
  faces.fit();
}

/** The portrait on the source's side: the server's, or the person's own picture. */
function showPortrait() {
  const isOwn = new FormData(form).get("face") === "picture";
  const own = isOwn ? picture.files?.[0] : undefined;
  byId("consent").hidden = !isOwn;
  if (portrait.src.startsWith("blob:")) URL.revokeObjectURL(portrait.src);
  portrait.src = own ? URL.createObjectURL(own) : "/portrait";
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
function say(text, bad = false) {
  byId("state").textContent = text;
  byId("state").classList.toggle("bad", bad);
}

/** @param {boolean} on */
function busy(on) {
  buttons.start.disabled = on;
  buttons.stop.disabled = !on;
  buttons.interrupt.disabled = true;
  buttons.again.hidden = true;
  for (const fieldset of form.querySelectorAll("fieldset")) fieldset.disabled = on;
  for (const knob of knobs) knob.disabled = false;
}

// --- what the person does

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
  showPortrait();
});
for (const choice of form.querySelectorAll("[name=face]")) choice.addEventListener("change", showPortrait);
for (const knob of knobs) {
  knob.addEventListener("input", () => {
    showValue(knob);
    change(knob.name, valueOf(knob));
  });
}
addEventListener("keydown", ({ key }) => {
  if (key === "Escape" && !buttons.interrupt.disabled) void interrupt();
});
result.addEventListener("playing", () => current && say("Live."));
addEventListener("pagehide", () => current?.end());
