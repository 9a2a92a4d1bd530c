// What was found, sorted by predictor into layers, and which of it is shown: layers, their classes, the lowest score.

import { el, fill } from "./dom.js";
import { called, capital, percent, text, words } from "./texts.js";

/** The lowest score that is asked for, so that the slider need not ask again. */
export const FAINTEST = 0.2;

const PLAIN = 0.5; // the threshold of a label that has none of its own
const QUIET = new Set(["parts", "vehicles"]); // many, and rarely what is looked for: off until switched on

/** What the visitor chose; it holds for every photo. `least` null: each class from its own threshold. */
export const view = { on: {}, off: new Set(), least: null, boxes: false, picked: null };

/** The layers of an answer, `{name, title, finds}`; a find is one thing with a place in the photo. */
export function layersOf(photo, served) {
  const summary = new Map((photo.answer.summary ?? []).map((line) => [line.damage, line]));
  const layers = [];
  for (const [name, result] of Object.entries(photo.answer.results)) {
    const model = served.models[name];
    const listed = result && list(result);
    if (!listed && !(result && Object.keys(model?.colors ?? {}).length)) continue;
    const finds = (listed ?? []).map((one, index) => find(name, model, one, index, summary));
    layers.push({ name, title: called(name), finds });
  }
  return layers;
}

/** The things with places in any predictor's result, whatever it calls them; null where it has none. */
export function list(result) {
  return Object.values(result).find((value) => Array.isArray(value) && value[0]?.box) ?? null;
}

function find(name, model, one, index, summary) {
  const label = one.label ?? one.type ?? name;
  const line = name === "damage" ? summary.get(index) : null;
  const grade = one.severity?.label;
  return {
    key: `${name}:${index}`,
    label,
    score: one.score ?? 1,
    box: one.box,
    polygons: one.mask?.polygons ?? [],
    color: model?.colors[label] ?? "#ffffff",
    least: model?.thresholds[label] ?? PLAIN,
    meant: one.main === true,
    aside: one.main === false,
    text: capital(line?.text ?? [grade && words(grade), words(label)].filter(Boolean).join(" ")),
  };
}

export const isOn = (layer) => view.on[layer.name] ?? !QUIET.has(layer.name);

/** What of a layer is shown now, best first. */
export function shown(layer) {
  if (!isOn(layer)) return [];
  return layer.finds.filter((one) => !view.off.has(`${layer.name}/${one.label}`) && reaches(one));
}

/** Whether it is sure enough, whether or not its class is switched on. */
export function reaches(one) {
  return view.least === null ? one.meant || one.score >= one.least : one.score >= view.least;
}

/** The switches and the slider. `changed` is called when what is shown changes. */
export function controls(container, layers, changed) {
  if (!layers.length) return fill(container);
  const sets = el("div", { class: "sets" });
  const redo = () => {
    fill(
      sets,
      layers.map((layer) => set(layer, redone)),
    );
    changed();
  };
  const redone = (id) => {
    redo();
    document.getElementById(id)?.focus();
  };
  fill(container, el("h3", { class: "away" }, text("layers.title")), sets, slider(layers, redo), boxes(changed));
  redo();
}

function set(layer, redone) {
  const on = isOn(layer);
  const id = `layer-${layer.name}`;
  const flip = () => {
    view.on[layer.name] = !on;
    redone(id);
  };
  const sure = layer.finds.filter(reaches);
  const labels = [...new Set(sure.map((one) => one.label))];
  return el(
    "fieldset",
    {},
    el("legend", { class: "away" }, layer.title),
    el(
      "label",
      { class: "switch" },
      el("input", { type: "checkbox", id, checked: on, onchange: flip }),
      el("span", {}, `${layer.title} `, el("span", { class: "num" }, String(sure.length))),
    ),
    on &&
      el(
        "div",
        { class: "chips" },
        labels.map((label) => chip(layer, label, sure, redone)),
      ),
  );
}

function chip(layer, label, sure, redone) {
  const key = `${layer.name}/${label}`;
  const id = `class-${layer.name}-${label}`;
  const flip = (event) => {
    if (event.target.checked) view.off.delete(key);
    else view.off.add(key);
    redone(id);
  };
  const these = sure.filter((one) => one.label === label);
  const dot = el("i", { class: "dot" });
  dot.style.background = these[0].color;
  const input = el("input", { type: "checkbox", id, checked: !view.off.has(key), onchange: flip });
  return el(
    "label",
    { class: "chip" },
    input,
    dot,
    `${words(label)} `,
    el("span", { class: "num" }, String(these.length)),
  );
}

function slider(layers, redo) {
  const own = Math.min(...layers.filter(isOn).flatMap((layer) => layer.finds.map((one) => one.least)), 1);
  const start = Math.round(100 * (own === 1 ? PLAIN : own));
  const out = el("output", { htmlFor: "least", "aria-live": "off" });
  const reset = el("button", { type: "button", class: "quiet", id: "advised" }, text("layers.advised"));
  const input = el("input", { type: "range", id: "least", min: 100 * FAINTEST, max: 100, step: 1 });
  const tell = () => {
    const said = view.least === null ? text("layers.sure") : text("layers.from", { score: percent(view.least) });
    out.textContent = said;
    input.setAttribute("aria-valuetext", said);
    input.value = view.least === null ? start : Math.round(100 * view.least);
    reset.disabled = view.least === null;
  };
  input.addEventListener("input", () => {
    view.least = Number(input.value) / 100;
    tell();
    redo();
  });
  reset.addEventListener("click", () => {
    view.least = null;
    tell();
    redo();
    input.focus();
  });
  tell();
  return el("div", { class: "slider" }, el("label", { htmlFor: "least" }, text("layers.show")), input, out, reset);
}

function boxes(changed) {
  const flip = (event) => {
    view.boxes = event.target.checked;
    changed();
  };
  const input = el("input", { type: "checkbox", id: "boxes", checked: view.boxes, onchange: flip });
  return el("label", { class: "switch thin" }, input, el("span", {}, text("layers.boxes")));
}

/** What is drawn, in a sentence. */
export function sentence(layers) {
  const parts = layers.filter(isOn).map((layer) => `${layer.title} ${shown(layer).length}`);
  return parts.length ? text("layers.sentence", { parts: parts.join(", ") }) : text("look.photo");
}
