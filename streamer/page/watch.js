// Watches one session: /watch.html#SESSION/VIEW_TOKEN. What follows the # stays in the browser: it is in no server's log.

import { BusyError, watch } from "/mytalk-client.js";

const WAIT_MS = 2_000; // until a stream that has not begun is asked for again

const byId = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id));
const result = /** @type {HTMLVideoElement} */ (byId("result"));

/** @param {string} text */
function say(text, bad = false) {
  byId("state").textContent = text;
  byId("state").classList.toggle("bad", bad);
}

async function show() {
  const [id, token] = location.hash.slice(1).split("/");
  byId("again").hidden = true;
  if (!id || !token) return say("This address is not whole: it ends in #SESSION/TOKEN.", true);
  say("Connecting …");
  try {
    const peer = await begun(id, token);
    const over = new AbortController();
    addEventListener("pagehide", () => void peer.close(), { signal: over.signal });
    addEventListener("hashchange", () => void peer.close(), { signal: over.signal });
    peer.on("connection", (way) => {
      if (way === "open") say("Live.");
      else if (way !== "closed") say("The connection broke. It is made again …", true);
    });
    say("Live.");
    void play();
    const error = await peer.closed;
    over.abort();
    end(error?.message ?? "Stopped.");
  } catch (error) {
    end(/** @type {Error} */ (error).message);
  }
}

/** The connection, as soon as there is something to see. @param {string} id @param {string} token */
async function begun(id, token) {
  const session = new URL(`/v1/sessions/${encodeURIComponent(id)}/`, location.href);
  const [url, renew] = [new URL("whep", session), new URL("tokens", session)];
  // In the address, where it is there still when the page is loaded again.
  const renewed = (/** @type {string} */ newest) => history.replaceState(null, "", `#${id}/${newest}`);
  for (;;) {
    try {
      return await watch(url, { token, renew, renewed, element: result });
    } catch (error) {
      if (!(error instanceof BusyError)) throw error;
      say(error.status === 409 ? "Waiting for the stream to begin …" : `Waiting: ${error.message}`);
      await new Promise((resolve) => setTimeout(resolve, WAIT_MS));
    }
  }
}

/** Browsers play sound only after a click: without one it begins mute. */
async function play() {
  try {
    await result.play();
  } catch (error) {
    if (!(error instanceof DOMException && error.name === "NotAllowedError")) return;
    result.muted = true;
    byId("sound").hidden = false;
    await result.play().catch(() => undefined);
  }
}

/** @param {string} why */
function end(why) {
  result.srcObject = null;
  byId("sound").hidden = true;
  byId("again").hidden = false;
  say(why, true);
}

byId("sound").addEventListener("click", () => {
  result.muted = false;
  byId("sound").hidden = true;
});
byId("again").addEventListener("click", () => void show());
addEventListener("hashchange", () => void show());
addEventListener("load", () => void show()); // a video that waits would keep the page loading
