// What the service says of one photo, in cards: damage first, then the car, then whatever else is served.

import { compass } from "./compass.js";
import { bar, card, el, fill } from "./dom.js";
import { told } from "./errors.js";
import { FAINTEST, list, reaches, view } from "./layers.js";
import { called, capital, percent, plain as number, several, summaryOf, text, words } from "./texts.js";

const FIRST = ["damage", "severity", "car_details", "attributes"];
const CARDS = { damage, severity, car_details: details, attributes: looks };

/** The cards of an answer. What depends on the switches is filled in by `refresh`. */
export function cards(answer, layers, served) {
  const names = Object.keys(answer.results);
  const order = [...FIRST.filter((name) => names.includes(name)), ...names.filter((name) => !FIRST.includes(name))];
  return order.map((name) => {
    const result = answer.results[name];
    const problem = answer.problems[name];
    if (!result) return problem ? failed(name, problem) : null;
    const layer = layers.find((one) => one.name === name);
    return (CARDS[name] ?? other)(result, layer, name, served, answer);
  });
}

/** Brings the lists of what was found in step with what is shown. `pick` is called with a find's key, `lower` with a
 * score from which on all shall be shown. */
export function refresh(container, layers, pick, lower) {
  for (const place of container.querySelectorAll("[data-finds]")) {
    const layer = layers.find((one) => one.name === place.dataset.finds);
    if (layer) fill(place, finds(layer, pick, lower));
  }
}

function finds(layer, pick, lower) {
  const sure = layer.finds.filter((one) => reaches(one) && !view.off.has(`${layer.name}/${one.label}`));
  const fainter = layer.finds.filter((one) => !reaches(one)).length;
  const show = el("button", { type: "button", class: "quiet", onclick: () => lower(FAINTEST) }, text("layers.show"));
  const more = fainter > 0 && el("p", { class: "fine" }, several("card.fainter", fainter), show);
  if (!sure.length) return [el("p", { class: "none" }, text(fainter ? "card.none_at" : "card.none")), more];
  const items = sure.map((one) => {
    const dot = el("i", { class: "dot" });
    dot.style.background = one.color;
    return el(
      "li",
      {},
      el(
        "button",
        {
          type: "button",
          class: "find-line",
          "data-pick": one.key,
          "aria-pressed": String(view.picked === one.key),
          onclick: () => pick(one.key),
        },
        dot,
        el("span", {}, one.text, one.meant && el("b", { class: "badge" }, text("layers.main"))),
        el("span", { class: "num" }, percent(one.score)),
      ),
    );
  });
  return [el("ul", { class: "finds" }, items), more];
}

function damage(result, layer) {
  const sure = result.damaged;
  const likely = result.damaged_score > 0.5;
  const [kind, verdict] = sure
    ? ["bad", "card.damaged"]
    : likely
      ? ["", "card.perhaps"]
      : ["good", "card.sound"];
  return card(
    called("damage"),
    el("p", { class: `verdict ${kind}` }, text(verdict)),
    typeof result.damaged_score === "number" &&
      el("ul", { class: "bars" }, bar(text("card.probability"), result.damaged_score, sure ? "bad" : "")),
    el("div", { "data-finds": layer.name }),
  );
}

function severity(result, _layer, name, _served, answer) {
  const { label, scores } = result.severity;
  const grades = Object.entries(scores);
  const unsure = answer.results.damage && !answer.results.damage.damaged;
  return card(
    called(name),
    el("p", { class: unsure ? "big open" : "big" }, capital(words(label)), el("span", { class: "num" }, percent(result.severity.score))),
    el(
      "ol",
      { class: "scale" },
      grades.map(([grade, score]) => {
        const fillIn = el("i");
        fillIn.style.opacity = Math.max(score, 0.06);
        return el(
          "li",
          { class: grade === label ? "is" : "" },
          fillIn,
          el("span", {}, words(grade)),
          el("span", { class: "num" }, percent(score)),
        );
      }),
    ),
    unsure && el("p", { class: "fine" }, text("card.supposed")),
  );
}

function details(result, _layer, name) {
  const { recognised, best, candidates, makes } = result;
  return card(
    called(name),
    el(
      "p",
      { class: "big" },
      best.label,
      el("b", { class: `badge ${recognised ? "yes" : "no"}` }, text(recognised ? "card.recognised" : "card.unrecognised")),
    ),
    el(
      "ul",
      { class: "bars" },
      candidates.map((one) => bar(one.label, one.score)),
    ),
    makes.length > 1 &&
      el(
        "details",
        {},
        el("summary", {}, text("card.makes")),
        el(
          "ul",
          { class: "bars" },
          makes.map((one) => bar(one.make, one.score)),
        ),
      ),
    region(result),
  );
}

function looks(result, _layer, name) {
  const { color, type, orientation } = result;
  const swatch = el("i", { class: "dot swatch" });
  if (CSS.supports("color", color.label)) swatch.style.background = color.label;
  return card(
    called(name),
    el(
      "div",
      { class: "looks" },
      el(
        "dl",
        {},
        fact(text("card.color"), [swatch, words(color.label)], color.score),
        fact(text("card.type"), [words(type.label)], type.score),
        fact(text("card.view"), [text("card.seen_from", { view: words(orientation.label) })], orientation.score),
        el(
          "div",
          {},
          el("dt", {}, text("card.angle")),
          el(
            "dd",
            {},
            `${Math.round(result.yaw_degrees)}°`,
            el("span", { class: "num" }, agreement(result.yaw_confidence)),
          ),
        ),
      ),
      compass(result.yaw_degrees, result.yaw_confidence, words(orientation.label)),
    ),
    region(result),
  );
}

const agreement = (confidence) =>
  text(confidence >= 0.8 ? "card.clear" : confidence >= 0.5 ? "card.fairly_clear" : "card.unclear");

const fact = (name, value, score) =>
  el("div", {}, el("dt", {}, name), el("dd", {}, value, el("span", { class: "num" }, percent(score))));

/** Any other predictor's answer: what was found, scored labels, plain values, whatever it has. */
function other(result, layer, name, served) {
  const parts = layer
    ? [el("div", { "data-finds": layer.name })]
    : Object.entries(result).map(([field, value]) => any(field, value));
  const summary = summaryOf(name, served.models[name]?.summary);
  return card(called(name), summary.text && el("p", { class: "fine", lang: summary.lang }, summary.text), parts);
}

function any(field, value) {
  if (field === "region" || value === null) return null;
  if (value?.scores) {
    const best = Object.entries(value.scores)
      .sort((a, b) => b[1] - a[1])
      .slice(0, 4);
    return [
      el("h4", {}, capital(words(field))),
      el(
        "ul",
        { class: "bars" },
        best.map(([label, score]) => bar(words(label), score)),
      ),
    ];
  }
  if (Array.isArray(value)) {
    const scored = value.filter((one) => typeof one?.score === "number");
    if (scored.length && !list({ value }))
      return el(
        "ul",
        { class: "bars" },
        scored.map((one) => bar(words(one.label ?? one.make ?? "?"), one.score)),
      );
    return plain(field, value.map(said).join(", "));
  }
  if (typeof value === "object") {
    if (typeof value.label === "string")
      return plain(field, `${words(value.label)}${typeof value.score === "number" ? `, ${percent(value.score)}` : ""}`);
    return null;
  }
  return plain(field, said(value));
}

const said = (value) =>
  typeof value === "number"
    ? number(value)
    : value === true
      ? text("card.yes")
      : value === false
        ? text("card.no")
        : typeof value === "object"
          ? JSON.stringify(value)
          : String(value);

const plain = (field, value) =>
  el("p", { class: "plain" }, el("span", {}, capital(words(field))), el("span", {}, value));

const READ = ["box", "vehicle", "whole"];

function region({ region: read }) {
  if (!read) return null;
  return READ.includes(read.source) && el("p", { class: "fine" }, text(`card.read_${read.source}`));
}

function failed(name, problem) {
  const { title: what, advice } = told({ ...problem, retryAfter: null });
  return el(
    "section",
    { class: "card wrong", "aria-label": called(name) },
    el("h3", {}, called(name)),
    el("p", {}, `${what}. ${advice}`),
    el("p", { class: "said", lang: "en" }, problem.detail),
  );
}
