// Where the time went: the steps of each task as bars, from the service's own timings.

import { capital, duration, el, svg, words } from "./dom.js";

/** The steps of a task in their order, with what they are in plain words. */
const STEPS = {
  locate: "finding the car",
  queue: "waiting for the device",
  prepare: "preparing",
  device: "computing",
  finish: "writing it down",
  complete: "asking more of what was found",
};

export function timings(times) {
  const tasks = Object.entries(times.tasks ?? {});
  const longest = Math.max(...tasks.map(([, steps]) => sum(steps)), 1);
  const used = Object.keys(STEPS).filter((step) => tasks.some(([, steps]) => steps[step] > 0));
  return el(
    "details",
    { class: "card times" },
    el("summary", {}, el("h3", {}, "Where the time went"), el("span", { class: "num" }, duration(times.total))),
    el(
      "p",
      { class: "fine" },
      `Receiving ${duration(times.receive)}, decoding ${duration(times.decode)}` +
        (times.join === undefined ? "" : `, putting together ${duration(times.join)}`) +
        ". The tasks run side by side and share the device.",
    ),
    el(
      "table",
      {},
      el("caption", { class: "away" }, "Time of each task"),
      el(
        "tbody",
        {},
        tasks.map(([name, steps]) => row(name, steps, longest)),
      ),
    ),
    el(
      "ul",
      { class: "legend" },
      used.map((step) => el("li", {}, el("i", { class: `dot ${step}` }), STEPS[step])),
    ),
  );
}

function row(name, steps, longest) {
  let at = 0;
  const parts = Object.keys(STEPS)
    .filter((step) => steps[step] > 0)
    .map((step) => {
      const width = (100 * steps[step]) / longest;
      at += width;
      const title = svg("title", {}, `${STEPS[step]} ${duration(steps[step])}`);
      return svg("rect", { class: step, x: at - width, width, height: 8 }, title);
    });
  const bars = svg("svg", { class: "steps", viewBox: "0 0 100 8", preserveAspectRatio: "none", "aria-hidden": "true" });
  bars.append(...parts);
  const header = el("th", { scope: "row" }, capital(words(name)));
  return el("tr", {}, header, el("td", {}, bars), el("td", { class: "num" }, duration(sum(steps))));
}

const sum = (steps) => Object.values(steps).reduce((total, one) => total + (one ?? 0), 0);
