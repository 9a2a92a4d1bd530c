// What several photos tell together: one vehicle by all the evidence, its damages by view, views missing, doubts.

import { views } from "./compass.js";
import { bar, byId, capital, count, duration, el, fill, percent, titled, words } from "./dom.js";
import { button, call, curl, json, save } from "./downloads.js";

/** Shows the claim, which is about the photos in `claimed`, or offers to ask for one (`ask`), or says that it is being
 * made; nothing for a single photo. */
export function rollup({ photos, claim, claimed, busy, able, ask, choose, served }) {
  const place = byId("rollup");
  if (photos.length < 2) return fill(place);
  const done = photos.filter((photo) => photo.state === "answered" || photo.state === "failed").length;
  if (busy) {
    const meter = el("progress", { max: photos.length, value: done, ariaLabel: "Photos answered" });
    return fill(place, together(el("p", {}, `${done} of ${photos.length} photos answered.`), meter));
  }
  if (!claim) {
    if (!able) return fill(place);
    const offer = el(
      "button",
      { type: "button", class: "primary", id: "together", onclick: ask },
      `Sum up ${photos.length} photos`,
    );
    return fill(place, together(el("p", {}, "One summary of the vehicle over all of its photos."), offer));
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
          el("h3", {}, "Views"),
          views(covered, missing, served.views),
          missingLine(missing),
        ),
        el("div", {}, el("h3", {}, told.damaged ? "Damage by view" : "Damage"), damages(told.damages, jump)),
      ),
      doubts(told, jump),
      el(
        "div",
        { class: "buttons" },
        button("Summary as JSON", () => save(json(claim), "claim.json")),
        claim.timings_ms?.total !== undefined &&
          el("span", { class: "fine" }, `${duration(claim.timings_ms.total)} in the service`),
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

const together = (...children) => titled("h2", "All photos together", children);

function vehicle({ vehicle: car, color, type }) {
  const chips = [color, type]
    .filter((one) => one?.label)
    .map((one) => `${words(one.label)} ${percent(one.score)}${one.agreed === false ? ", not agreed" : ""}`);
  return [
    el("h3", {}, "Vehicle"),
    car?.best &&
      el(
        "p",
        { class: "big" },
        car.best.label,
        el(
          "b",
          { class: `badge ${car.recognised ? "yes" : "no"}` },
          car.recognised ? "Recognised" : "Not recognised for sure",
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
    missing.length ? `No photo from: ${missing.map(words).join(", ")}.` : "Every side is covered.",
  );

function damages(found, jump) {
  if (!found?.length) return el("p", { class: "none" }, "None that is sure enough.");
  const byView = Map.groupBy ? Map.groupBy(found, viewOf) : grouped(found);
  return el(
    "dl",
    { class: "by-view" },
    [...byView].map(([view, those]) =>
      el(
        "div",
        {},
        el("dt", {}, capital(view)),
        those.map((one) => el("dd", {}, count(one.count, words(one.label), plural(one.label)), " ", jump(one.photos))),
      ),
    ),
  );
}

const viewOf = (one) => (one.view ? words(one.view) : "view not clear");

const plural = (label) => `× ${words(label)}`;

function grouped(found) {
  const groups = new Map();
  for (const one of found) groups.set(viewOf(one), [...(groups.get(viewOf(one)) ?? []), one]);
  return groups;
}

function doubts({ doubts: all, one_vehicle: same }, jump) {
  const lines = (all ?? []).map((one) => el("li", {}, one.text, " ", jump(one.photos ?? [])));
  if (same === false && !lines.length) lines.push(el("li", {}, "The photos may not all be of one vehicle."));
  return lines.length ? el("div", { class: "doubts" }, el("h3", {}, "Doubts"), el("ul", {}, lines)) : null;
}

function photoLink(photo, photos, choose) {
  const number = photos.indexOf(photo) + 1;
  return el(
    "button",
    { type: "button", class: "link", "aria-label": `Photo ${number}`, onclick: () => choose(photo) },
    `#${number}`,
  );
}
