// Statistics of a session, once a second: the server's counters, and what this browser measures.

import { GoneError } from "/mytalk-client.js";

const INTERVAL_MS = 1_000;
const SKEWS = 5; // their median is shown: a single one may fall between two pictures

const NONE = { latency: "–", skew: "–", pictures: "–", late: "–", session: "none" };

export class Stats {
  /** @type {number[]} */
  #skews = [];
  #timer = 0;
  #requests = new AbortController();

  /** @param {(text: string, bad?: boolean) => void} showStatus */
  constructor(showStatus) {
    this.showStatus = showStatus;
  }

  /** @param {import("./session.js").DemoSession} demo */
  watch(demo) {
    this.stop();
    this.#timer = setInterval(() => void this.#update(demo, this.#timer), INTERVAL_MS);
  }

  stop() {
    clearInterval(this.#timer);
    this.#requests.abort();
    this.#requests = new AbortController();
    this.#timer = 0;
    this.#skews = [];
    showTexts(NONE);
  }

  /**
   * @param {import("./session.js").DemoSession} demo
   * @param {number} timer
   */
  async #update(demo, timer) {
    try {
      const [state, received] = await Promise.all([demo.session?.state(this.#requests.signal), demo.peer?.figures()]);
      if (state && timer === this.#timer) this.#show(demo, state, received);
    } catch (error) {
      if (!(error instanceof GoneError) && timer === this.#timer) showTexts({ session: "not reached" });
    }
  }

  /**
   * @param {import("./session.js").DemoSession} demo
   * @param {import("/mytalk-client.js").SessionState} state
   * @param {import("/mytalk-client.js").PeerFigures | undefined} received
   */
  #show(demo, state, received) {
    if (state.untouched_because) this.showStatus(`The picture comes back untouched: ${state.untouched_because}`, true);
    const { player } = demo;
    const receive = received ? received.receiveMs : player?.waitMs;
    const skew = received ? received.skewMs : player && "skewMs" in player ? player.skewMs : null;
    const { delay_ms: delay, pictures = {} } = state.stats;
    showTexts({ session: state.state });
    if (delay !== undefined && receive != null) showTexts({ latency: `about ${Math.round(delay + receive)} ms` });
    if (skew != null) showTexts({ skew: this.#median(skew) });
    const count = (/** @type {string[]} */ ...names) => names.reduce((sum, name) => sum + (pictures[name] ?? 0), 0);
    showTexts({ pictures: count("on_time", "late", "untouched").toLocaleString() });
    showTexts({ late: `${count("late")} / ${count("overtaken", "dropped")}` });
  }

  /** @param {number} skew */
  #median(skew) {
    this.#skews = [...this.#skews, skew].slice(-SKEWS);
    const median = [...this.#skews].sort((a, b) => a - b)[this.#skews.length >> 1] ?? 0;
    const ms = Math.round(median);
    return ms === 0 ? "in sync" : `sound ${Math.abs(ms)} ms ${ms > 0 ? "early" : "late"}`;
  }
}

/** @param {Record<string, string>} texts */
function showTexts(texts) {
  for (const [id, text] of Object.entries(texts)) {
    const element = document.getElementById(id);
    if (element) element.textContent = text;
  }
}
