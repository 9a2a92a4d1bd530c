// Making elements, and saying what changed.

import { percent } from "./texts.js";

let cards = 0;

const SVG = "http://www.w3.org/2000/svg";

/** An element. Keys of `given` that it has as properties are set as such, `on…` listen, the others are attributes. */
export function el(tag, given = {}, ...children) {
  return filled(document.createElement(tag), given, children);
}

export function svg(tag, given = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), given, children);
}

function filled(element, given, children) {
  for (const [name, value] of Object.entries(given)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "class") element.setAttribute("class", value);
    else if (!element.namespaceURI.endsWith("svg") && name in element && !name.includes("-")) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children.flat(2).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export const byId = (id) => document.getElementById(id);

/** Replaces what an element holds, without moving the focus where it was elsewhere. */
export function fill(element, ...children) {
  element.replaceChildren(...children.flat().filter(Boolean));
}

/** Tells a screen reader what changed; the same words twice are told twice. */
export function announce(text) {
  const status = byId("status");
  status.textContent = status.textContent === text ? `${text}\u00a0` : text;
}

/** A heading and what belongs under it, as a region of the page. */
export const card = (title, ...children) => titled("h3", title, children);

/** The same under a heading of another level. */
export function titled(level, title, children) {
  const id = `card-${++cards}`;
  return el("section", { class: "card", "aria-labelledby": id }, el(level, { id }, title), ...children);
}

/** A share as a bar with its label and percentage. */
export function bar(label, share, extra = "") {
  const width = Math.max(0, Math.min(1, share));
  const track = svg(
    "svg",
    { class: "track", viewBox: "0 0 100 6", preserveAspectRatio: "none", "aria-hidden": "true" },
    svg("rect", { class: "rest", width: 100, height: 6 }),
    svg("rect", { class: "part", width: 100 * width, height: 6 }),
  );
  return el(
    "li",
    { class: `bar ${extra}` },
    el("span", {}, label),
    el("span", { class: "num" }, percent(share)),
    track,
  );
}
