// Makes the sliders, pickers and fields of the controls from the table that the server has, and shows what each does.

import { CONTROLS } from "/controls.js";

/**
 * @typedef {{ name: string, kind: "number" | "whole" | "choice" | "coded", description: string, applies_to: "both" | "films" | "portraits",
 *   range: string, default: string | number | null, live: boolean, least?: number, most?: number, unit?: string, choices?: string[],
 *   picture?: string }} Control
 * @typedef {HTMLInputElement | HTMLSelectElement} Input
 */

const FEW = 50; // whole numbers up to this are a slider's, and greater ones a field's
const MOST_STEPS = 4; // of sampling: what a server allows by default
const FINE = 0.05; // step of a slider

/**
 * Adds the controls to the panel before `place`, and returns their inputs. The face has its own picker.
 * @param {HTMLElement} panel
 * @param {HTMLElement} place
 * @returns {Input[]}
 */
export function addControls(panel, place) {
  const effect = effectOf(panel);
  return /** @type {Control[]} */ (CONTROLS).filter(({ name, live }) => live && name !== "face").map((control) => {
    const input = inputOf(control);
    const label = document.createElement("label");
    label.append(titleOf(control.name), input);
    if (input.type === "range") label.append(outputOf(input));
    label.classList.add(`of-${control.applies_to}`);
    label.title = `${control.description}: ${control.range}`;
    for (const event of ["focusin", "pointerenter"]) label.addEventListener(event, () => effect(control));
    place.before(label);
    return input;
  });
}

/** @param {Control} control */
function inputOf(control) {
  const { choices, kind } = control;
  const input = choices ? document.createElement("select") : document.createElement("input");
  input.name = control.name;
  if (choices) input.append(...choices.map((choice) => new Option(choice, choice, choice === control.default, choice === control.default)));
  if (input instanceof HTMLSelectElement) return input;
  const most = Math.min(control.most ?? 0, control.name === "steps" ? MOST_STEPS : Infinity);
  input.type = kind === "coded" ? "text" : kind === "whole" && most > FEW ? "number" : "range";
  if (kind === "coded") input.placeholder = control.range;
  else Object.assign(input, { min: String(control.least), max: String(most), step: kind === "whole" ? "1" : String(FINE) });
  input.setAttribute("value", String(control.default ?? control.least ?? ""));
  return input;
}

/** @param {Input} input */
function outputOf(input) {
  const output = document.createElement("output");
  output.textContent = String(Number(input.value));
  return output;
}

/** @param {string} name */
function titleOf(name) {
  const words = name.replaceAll("_", " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/**
 * Returns what shows a control's strip of pictures and its description at the end of the panel.
 * @param {HTMLElement} panel
 */
function effectOf(panel) {
  const figure = document.createElement("figure");
  const picture = document.createElement("img");
  const caption = document.createElement("figcaption");
  figure.id = "effect";
  figure.hidden = true;
  figure.append(picture, caption);
  panel.append(figure);
  return (/** @type {Control} */ control) => {
    figure.hidden = false;
    picture.hidden = control.picture === undefined;
    if (control.picture !== undefined) picture.src = control.picture;
    picture.alt = `The portrait at several values of ${titleOf(control.name).toLowerCase()}`;
    caption.textContent = `${titleOf(control.name)}: ${control.description} (${control.range})`;
  };
}
