// Picks the face that speaks: the largest, or the one nearest to a point, set by a click on the source or two sliders.

/** The `face` of a session's options. @typedef {"largest" | readonly [number, number]} Choice */

export class FacePicker {
  /** @type {Choice} */
  choice = "largest";

  /**
   * @param {{ portrait: HTMLImageElement, camera: HTMLVideoElement, area: HTMLElement, mark: HTMLElement,
   *   largest: HTMLButtonElement, across: HTMLInputElement, down: HTMLInputElement }} parts `area` covers the
   *   picture in the frame, without the bars beside it
   * @param {() => void} changed is called when the person has picked a face
   */
  constructor(parts, changed) {
    this.parts = parts;
    const { portrait, camera, area, largest, across, down } = parts;
    const choose = (/** @type {Choice} */ choice) => {
      this.#set(choice);
      changed();
    };
    area.addEventListener("click", ({ offsetX, offsetY }) => {
      choose([share(offsetX / area.clientWidth), share(offsetY / area.clientHeight)]);
    });
    largest.addEventListener("click", () => choose("largest"));
    for (const slider of [across, down]) {
      slider.addEventListener("input", () => choose([Number(across.value), Number(down.value)]));
    }
    portrait.addEventListener("load", () => this.fit());
    for (const event of ["loadedmetadata", "resize"]) camera.addEventListener(event, () => this.fit());
    this.#set("largest");
    this.fit();
  }

  /** As the control `face` of the protocol. */
  get text() {
    return typeof this.choice === "string" ? this.choice : this.choice.join(",");
  }

  /** Shows the value of the server; not while a slider has the focus. @param {string} text */
  show(text) {
    const { across, down } = this.parts;
    if (document.activeElement === across || document.activeElement === down) return;
    const [x, y] = text.split(",").map(Number);
    this.#set(x === undefined || y === undefined ? "largest" : [share(x), share(y)]);
  }

  /** Fits the area to the picture in the square frame. */
  fit() {
    const { portrait, camera, area } = this.parts;
    const [width, height] = camera.hidden
      ? [portrait.naturalWidth, portrait.naturalHeight]
      : [camera.videoWidth, camera.videoHeight];
    if (!width || !height) return;
    area.style.width = `${100 * Math.min(1, width / height)}%`;
    area.style.height = `${100 * Math.min(1, height / width)}%`;
  }

  /** @param {Choice} choice */
  #set(choice) {
    const { mark, largest, across, down } = this.parts;
    this.choice = choice;
    const isPoint = typeof choice !== "string";
    largest.setAttribute("aria-pressed", String(!isPoint));
    mark.hidden = !isPoint;
    const [x, y] = isPoint ? choice : [0.5, 0.5];
    mark.style.left = `${100 * x}%`;
    mark.style.top = `${100 * y}%`;
    for (const [slider, value] of /** @type {const} */ ([[across, x], [down, y]])) {
      slider.value = String(value);
      const output = slider.parentElement?.querySelector("output");
      if (output) output.textContent = isPoint ? `${Math.round(100 * value)} %` : "–";
    }
  }
}

/** @param {number} value */
function share(value) {
  return Math.round(1000 * Math.min(1, Math.max(0, value))) / 1000;
}
