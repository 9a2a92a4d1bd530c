// Where the time went: the steps of each task as bars, from the service's own timings.

import { el, svg } from "./dom.js";
import { called, duration, text } from "./texts.js";

/** The steps of a task, in their order. */
const STEPS = ["locate", "queue", "prepare", "device", "finish", "complete"];

export function timings(times) {
  const tasks = Object.entries(times.tasks ?? {});
  const longest = Math.max(...tasks.map(([, steps]) => sum(steps)), 1);
  const used = STEPS.filter((step) => tasks.some(([, steps]) => steps[step] > 0));
  return el(
    "details",
    { class: "card times" },
    el("summary", {}, el("h3", {}, text("times.title")), el("span", { class: "num" }, duration(times.total))),
    el("p", { class: "fine" }, shared(times)),
    el(
      "table",
      {},
      el("caption", { class: "away" }, text("times.caption")),
      el(
        "tbody",
        {},
        tasks.map(([name, steps]) => row(name, steps, longest)),
      ),
    ),
    el(
      "ul",
      { class: "legend" },
      used.map((step) => el("li", {}, el("i", { class: `dot ${step}` }), text(`times.${step}`))),
    ),
  );
}

/** What all tasks had in common. */
function shared({ receive, decode, join }) {
  const given = { receive: duration(receive), decode: duration(decode) };
  return join === undefined ? text("times.told", given) : text("times.told_join", { ...given, join: duration(join) });
}

function row(name, steps, longest) {
  let at = 0;
  const parts = STEPS.filter((step) => steps[step] > 0).map((step) => {
    const width = (100 * steps[step]) / longest;
    at += width;
    const title = svg("title", {}, `${text(`times.${step}`)} ${duration(steps[step])}`);
    return svg("rect", { class: step, x: at - width, width, height: 8 }, title);
  });
  const bars = svg("svg", { class: "steps", viewBox: "0 0 100 8", preserveAspectRatio: "none", "aria-hidden": "true" });
  bars.append(...parts);
  const header = el("th", { scope: "row" }, called(name));
  return el("tr", {}, header, el("td", {}, bars), el("td", { class: "num" }, duration(sum(steps))));
}

const sum = (steps) => Object.values(steps).reduce((total, one) => total + (one ?? 0), 0);
