// What several photos tell together: one vehicle by all the evidence, its damages by view, views missing, doubts.

import { views } from "./compass.js";
import { bar, byId, el, fill, titled } from "./dom.js";
import { button, call, curl, json, save } from "./downloads.js";
import { capital, duration, percent, text, words } from "./texts.js";

/** Shows the claim, which is about the photos in `claimed`, or offers to ask for one (`ask`), or says that it is being
 * made; nothing for a single photo. */
export function rollup({ photos, claim, claimed, busy, able, ask, choose, served }) {
  const place = byId("rollup");
  if (photos.length < 2) return fill(place);
  const done = photos.filter((photo) => photo.state === "answered" || photo.state === "failed").length;
  if (busy) {
    const meter = el("progress", { max: photos.length, value: done, ariaLabel: text("claim.progress") });
    return fill(place, together(el("p", {}, text("claim.done", { done, all: photos.length })), meter));
  }
  if (!claim) {
    if (!able) return fill(place);
    const offer = el(
      "button",
      { type: "button", class: "primary", id: "together", onclick: ask },
      text("claim.offer", { n: photos.length }),
    );
    return fill(place, together(el("p", {}, text("claim.offered")), offer));
  }
  const told = claim.claim;
  const jump = (indices) => indices.map((index) => photoLink(claimed[index], photos, choose));
  const { covered, missing } = told.views ?? { covered: {}, missing: [] };
  fill(
    place,
    together(
      el(
        "div",
        { class: "rollup" },
        el("div", {}, vehicle(told)),
        el(
          "div",
          { class: "views-box" },
          el("h3", {}, text("claim.views")),
          views(covered, missing, served.views),
          missingLine(missing),
        ),
        el("div", {}, el("h3", {}, text(told.damages?.length ? "claim.damage_by_view" : "claim.damage")), damages(told.damages, jump)),
      ),
      doubts(told, jump),
      el(
        "div",
        { class: "buttons" },
        button(text("claim.json"), () => save(json(claim), "claim.json")),
        claim.timings_ms?.total !== undefined &&
          el("span", { class: "fine" }, text("claim.time", { time: duration(claim.timings_ms.total) })),
      ),
      call(
        curl(
          claimed.map((photo) => photo.file),
          "v1/inspect/claim",
        ),
      ),
    ),
  );
}

const together = (...children) => titled("h2", text("claim.title"), children);

function vehicle({ vehicle: car, color, type }) {
  const chips = [color, type]
    .filter((one) => one?.label)
    .map((one) => {
      const what = `${words(one.label)} ${percent(one.score)}`;
      return one.agreed === false ? text("claim.disagreed", { what }) : what;
    });
  return [
    el("h3", {}, text("claim.vehicle")),
    car?.best &&
      el(
        "p",
        { class: "big" },
        car.best.label,
        el(
          "b",
          { class: `badge ${car.recognised ? "yes" : "no"}` },
          text(car.recognised ? "card.recognised" : "card.unrecognised"),
        ),
      ),
    el(
      "ul",
      { class: "bars" },
      (car?.candidates ?? []).slice(0, 3).map((one) => bar(one.label, one.score)),
    ),
    chips.length > 0 && el("p", {}, capital(chips.join(" · "))),
  ].filter(Boolean);
}

const missingLine = (missing) =>
  el(
    "p",
    { class: "fine" },
    missing.length ? text("claim.missing", { views: missing.map(words).join(", ") }) : text("claim.covered"),
  );

function damages(found, jump) {
  if (!found?.length) return el("p", { class: "none" }, text("claim.no_damage"));
  const byView = Map.groupBy ? Map.groupBy(found, viewOf) : grouped(found);
  return el(
    "dl",
    { class: "by-view" },
    [...byView].map(([view, those]) =>
      el(
        "div",
        {},
        el("dt", {}, capital(view)),
        those.map((one) => el("dd", {}, text("claim.damages", { n: one.count, label: words(one.label) }), " ", jump(one.photos))),
      ),
    ),
  );
}

const viewOf = (one) => (one.view ? words(one.view) : text("claim.no_view"));

function grouped(found) {
  const groups = new Map();
  for (const one of found) groups.set(viewOf(one), [...(groups.get(viewOf(one)) ?? []), one]);
  return groups;
}

function doubts({ doubts: all, one_vehicle: same }, jump) {
  const lines = (all ?? []).map((one) => el("li", {}, capital(one.text), " ", jump(one.photos ?? [])));
  if (same === false && !lines.length) lines.push(el("li", {}, text("claim.doubtful")));
  return lines.length ? el("div", { class: "doubts" }, el("h3", {}, text("claim.doubts")), el("ul", {}, lines)) : null;
}

function photoLink(photo, photos, choose) {
  const number = photos.indexOf(photo) + 1;
  return el(
    "button",
    { type: "button", class: "link", "aria-label": `${text("look.photo")} ${number}`, onclick: () => choose(photo) },
    `#${number}`,
  );
}
