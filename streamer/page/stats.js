// How a show does, once a second: the server's own counts, and what this browser measures of what comes.

import { GoneError } from "/mytalk-client.js";

const EVERY_MS = 1_000;
const SKEWS = 5; // of which the middle one is shown: a single look may fall between two pictures

const NONE = { latency: "–", skew: "–", pictures: "–", late: "–", session: "none" };

export class Figures {
  /** @type {number[]} */
  #skews = [];
  #timer = 0;
  #asking = new AbortController();

  /** @param {(text: string, bad?: boolean) => void} say */
  constructor(say) {
    this.say = say;
  }

  /** @param {import("./session.js").Show} show */
  watch(show) {
    this.stop();
    this.#timer = setInterval(() => void this.#look(show, this.#timer), EVERY_MS);
  }

  stop() {
    clearInterval(this.#timer);
    this.#asking.abort();
    this.#asking = new AbortController();
    this.#timer = 0;
    this.#skews = [];
    put(NONE);
  }

  /**
   * @param {import("./session.js").Show} show
   * @param {number} timer
   */
  async #look(show, timer) {
    try {
      const [state, seen] = await Promise.all([show.session?.state(this.#asking.signal), show.peer?.figures()]);
      if (state && timer === this.#timer) this.#put(show, state, seen);
    } catch (error) {
      if (!(error instanceof GoneError) && timer === this.#timer) put({ session: "not reached" });
    }
  }

  /**
   * @param {import("./session.js").Show} show
   * @param {import("/mytalk-client.js").SessionState} state
   * @param {import("/mytalk-client.js").PeerFigures | undefined} seen
   */
  #put(show, state, seen) {
    if (state.untouched_because) this.say(`The picture comes back untouched: ${state.untouched_because}`, true);
    const receive = seen ? seen.receiveMs : show.player?.waitMs;
    const skew = seen ? seen.skewMs : show.player && "skewMs" in show.player ? show.player.skewMs : null;
    const { delay_ms: delay, pictures = {} } = state.stats;
    put({ session: state.state });
    if (delay !== undefined && receive != null) put({ latency: `about ${Math.round(delay + receive)} ms` });
    if (skew != null) put({ skew: this.#skew(skew) });
    const count = (/** @type {string[]} */ ...names) => names.reduce((sum, name) => sum + (pictures[name] ?? 0), 0);
    put({ pictures: count("on_time", "late", "untouched").toLocaleString() });
    put({ late: `${count("late")} / ${count("overtaken", "dropped")}` });
  }

  /** @param {number} skew */
  #skew(skew) {
    this.#skews = [...this.#skews, skew].slice(-SKEWS);
    const middle = [...this.#skews].sort((a, b) => a - b)[this.#skews.length >> 1] ?? 0;
    const ms = Math.round(middle);
    return ms === 0 ? "together" : `sound ${Math.abs(ms)} ms ${ms > 0 ? "early" : "late"}`;
  }
}

/** @param {Record<string, string>} texts */
function put(texts) {
  for (const [id, text] of Object.entries(texts)) {
    const place = document.getElementById(id);
    if (place) place.textContent = text;
  }
}
