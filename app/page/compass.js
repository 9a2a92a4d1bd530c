// From which side the car is seen: a compass around the car from above, and the views that photos cover.

import { svg } from "./dom.js";
import { several, text, words } from "./texts.js";

/** A point around the middle. 0 degrees is before the front, which is up; 90 is the car's own left side. */
const around = (degrees, radius) => {
  const turn = (degrees * Math.PI) / 180;
  return [50 - radius * Math.sin(turn), 50 - radius * Math.cos(turn)];
};

function sector(from, to, inner, outer) {
  const [a, b] = [around(from, outer), around(to, outer)];
  const [c, d] = [around(to, inner), around(from, inner)];
  const point = ([x, y]) => `${x.toFixed(2)} ${y.toFixed(2)}`;
  const arc = (radius, way) => `A${radius} ${radius} 0 ${to - from > 180 ? 1 : 0} ${way} `;
  return `M${point(a)}${arc(outer, 0)}${point(b)}L${point(c)}${arc(inner, 1)}${point(d)}Z`;
}

/** The car from above, its front up. */
function car() {
  return svg(
    "g",
    { class: "plan" },
    svg("rect", { class: "body", x: 39, y: 27, width: 22, height: 46, rx: 9 }),
    svg("path", { class: "pane", d: "M42 42q8-5 16 0l-1.500 6h-13ZM43.500 62h13l1 4q-7.500 3-15 0Z" }),
    svg("path", { class: "pane", d: "M42 28.500q3-1 5-.9l-4 2ZM58 28.500q-3-1-5-.9l4 2Z" }),
  );
}

/** Where the camera stands: an arrow, and around it how far the scores agree. */
export function compass(yaw, confidence, label) {
  const spread = 10 + 80 * (1 - confidence);
  const [x, y] = around(yaw, 33);
  const [left, right] = [around(yaw + 7, 44), around(yaw - 7, 44)];
  return svg(
    "svg",
    {
      class: "compass",
      viewBox: "0 0 100 100",
      role: "img",
      "aria-label": text("card.camera", { view: label, angle: Math.round(yaw) }),
    },
    svg("circle", { class: "ring", cx: 50, cy: 50, r: 42 }),
    svg("path", { class: "spread", d: sector(yaw - spread, yaw + spread, 36, 48) }),
    car(),
    svg("path", { class: "needle", d: `M${x} ${y}L${left[0]} ${left[1]}L${right[0]} ${right[1]}Z` }),
  );
}

/** Which views there are photos of, and which are missing. `angles` are degrees by the name of the view. */
export function views(covered, missing, angles) {
  const named = Object.entries(angles);
  const half = 180 / Math.max(named.length, 1) - 1.5;
  const parts = named.map(([name, angle]) => {
    const photos = covered[name]?.length ?? 0;
    const kind = photos ? "covered" : missing.includes(name) ? "missing" : "open";
    const [x, y] = around(angle, 42);
    const view = words(name);
    const told = photos ? several("claim.view_photos", photos, { view }) : text("claim.view_none", { view });
    return svg(
      "g",
      { class: kind, "data-view": name },
      svg("path", { d: sector(angle - half, angle + half, 34, 49) }, svg("title", {}, told)),
      photos > 0 && svg("text", { x, y: y + 2.6, "text-anchor": "middle", "font-size": 7.5 }, String(photos)),
    );
  });
  const list = (names) => names.map(words).join(", ") || text("claim.none");
  const label = text("claim.views_told", { covered: list(Object.keys(covered)), missing: list(missing) });
  return svg("svg", { class: "compass views", viewBox: "0 0 100 100", role: "img", "aria-label": label }, parts, car());
}
