// The strip of photos: from one to the next, and how far each is.

import { byId, el, fill } from "./dom.js";
import { text } from "./texts.js";

/** One button for each photo. `choose` is called with the one that is wanted; arrow keys go from one to the next. */
export function strip(photos, current, choose) {
  const place = byId("strip");
  const focused = place.contains(document.activeElement);
  place.hidden = photos.length < 2;
  fill(
    place,
    el(
      "ol",
      { onkeydown: (event) => walk(event, photos, current, choose) },
      photos.map((photo, index) => thumb(photo, index, current, choose)),
    ),
  );
  const now = place.querySelector("[aria-current]");
  if (focused) now?.focus();
  now?.scrollIntoView({ block: "nearest", inline: "nearest" });
}

function thumb(photo, index, current, choose) {
  const label = text("state.thumb", { number: index + 1, name: photo.name, state: text(`state.${photo.state}`) });
  const picture = el("img", {
    src: photo.thumb,
    alt: "",
    decoding: "async",
    onerror: (event) => event.target.remove(),
  });
  return el(
    "li",
    {},
    el(
      "button",
      {
        type: "button",
        class: `thumb ${photo.state}`,
        title: photo.name,
        "aria-label": label,
        "aria-current": photo === current ? "true" : null,
        onclick: () => choose(photo),
      },
      el("span", { "aria-hidden": "true" }, String(index + 1)),
      picture,
    ),
  );
}

function walk(event, photos, current, choose) {
  const step = { ArrowRight: 1, ArrowLeft: -1, Home: -photos.length, End: photos.length }[event.key];
  if (!step) return;
  event.preventDefault();
  const next = Math.min(Math.max(photos.indexOf(current) + step, 0), photos.length - 1);
  choose(photos[next]);
}
