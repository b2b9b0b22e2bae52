// Watches one session: /watch.html#SESSION/VIEW_TOKEN. The fragment stays in the browser, so the token is in no log.

import { BusyError, watch } from "/mytalk-client.js";

const RETRY_MS = 2_000; // while the stream has not begun

const byId = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id));
const result = /** @type {HTMLVideoElement} */ (byId("result"));

/** @param {string} text */
function showStatus(text, bad = false) {
  byId("state").textContent = text;
  byId("state").classList.toggle("bad", bad);
}

async function start() {
  const [id, token] = location.hash.slice(1).split("/");
  byId("again").hidden = true;
  if (!id || !token) return showStatus("This address is not whole: it ends in #SESSION/TOKEN.", true);
  showStatus("Connecting …");
  try {
    const peer = await connect(id, token);
    const listeners = new AbortController();
    addEventListener("pagehide", () => void peer.close(), { signal: listeners.signal });
    addEventListener("hashchange", () => void peer.close(), { signal: listeners.signal });
    peer.on("connection", (state) => {
      if (state === "open") showStatus("Live.");
      else if (state !== "closed") showStatus("The connection broke. Reconnecting …", true);
    });
    showStatus("Live.");
    void play();
    const error = await peer.closed;
    listeners.abort();
    end(error?.message ?? "Stopped.");
  } catch (error) {
    end(/** @type {Error} */ (error).message);
  }
}

/** Connects as soon as the stream has begun. @param {string} id @param {string} token */
async function connect(id, token) {
  const session = new URL(`/v1/sessions/${encodeURIComponent(id)}/`, location.href);
  const [url, renew] = [new URL("whep", session), new URL("tokens", session)];
  // In the URL, so that reloading the page keeps it.
  const renewed = (/** @type {string} */ newest) => history.replaceState(null, "", `#${id}/${newest}`);
  for (;;) {
    try {
      return await watch(url, { token, renew, renewed, element: result });
    } catch (error) {
      if (!(error instanceof BusyError)) throw error;
      showStatus(error.status === 409 ? "Waiting for the stream to begin …" : `Waiting: ${error.message}`);
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }
}

/** Starts playback, muted where the browser allows sound only after a click. */
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
  showStatus(why, true);
}

byId("sound").addEventListener("click", () => {
  result.muted = false;
  byId("sound").hidden = true;
});
byId("again").addEventListener("click", () => void start());
addEventListener("hashchange", () => void start());
addEventListener("load", () => void start()); // a video that waits for media would delay the load event
