// The photo with what was found drawn over it: vector shapes, as sharp at any size as the screen is.

import { el, svg } from "./dom.js";
import { isOn, shown, view } from "./layers.js";
import { percent, text, words } from "./texts.js";
import { Zoom } from "./zoom.js";

const LABEL = 12; // pixels on the screen

/** The photo's place on the page. `picked` is called with the key of the shape that was clicked, or null. */
export class Stage {
  constructor(container, picked) {
    this.container = container;
    this.image = el("img", { alt: "" });
    this.over = svg("svg", { class: "over", role: "img", "aria-label": text("look.photo") });
    this.frame = el("div", { class: "frame" }, this.image, this.over);
    this.layers = [];
    this.zoom = new Zoom(this.frame, () => this.draw());
    this.over.addEventListener("click", (event) => picked(event.target.closest("[data-key]")?.dataset.key ?? null));
    new ResizeObserver(() => this.draw()).observe(this.frame);
  }

  /** Shows the picture at `url`, or a note where there is none; `size` is `{width, height}` of the upright photo. */
  show(url, size, note) {
    if (!url) return this.container.replaceChildren(el("p", { class: "blank" }, note));
    const other = this.image.getAttribute("src") !== url;
    if (other) this.image.src = url;
    if (size) this.fit(size);
    else
      this.image.decode().then(
        () => this.size ?? this.fit(natural(this.image)),
        () => null,
      );
    if (size && (other || !this.size)) this.zoom.reset(size);
    if (!size) this.image.removeAttribute("style");
    this.size = size;
    this.zoom.bar.hidden = !size;
    this.container.replaceChildren(this.frame, this.zoom.bar);
  }

  fit({ width, height }) {
    this.frame.style.aspectRatio = `${width} / ${height}`;
    this.frame.style.maxWidth = `calc(var(--tallest) * ${width / height})`;
  }

  /** Draws what of the layers is to be shown; the layers of the last time without an argument. */
  draw(layers = this.layers, sentence = null) {
    this.layers = layers;
    if (sentence) this.over.setAttribute("aria-label", sentence);
    const width = this.frame.clientWidth;
    if (!this.size || !width) return this.over.replaceChildren();
    const part = this.zoom.part;
    this.frameTo(part);
    const unit = part.width / width; // photo pixels in a pixel of the screen
    const finds = layers
      .filter(isOn)
      .flatMap(shown)
      .filter(({ box }) => touches(box, part));
    finds.sort((one, other) => area(other) - area(one)); // small ones on top, or they could not be reached
    const shapes = finds.map((one) => shape(one));
    const labels = svg("g", { class: "labels" });
    this.over.replaceChildren(...shapes, labels);
    const taken = [];
    for (const one of finds.toSorted((a, b) => b.score - a.score)) labels.append(this.label(one, unit, part, labels, taken));
    this.over.classList.toggle(
      "picking",
      finds.some((one) => one.key === view.picked),
    );
  }

  /** Picture and shapes show the same part of the photo, each sharp in its own way. */
  frameTo({ x, y, width, height }) {
    const { style } = this.image;
    style.width = `${(100 * this.size.width) / width}%`;
    style.height = `${(100 * this.size.height) / height}%`;
    style.left = `${(-100 * x) / width}%`;
    style.top = `${(-100 * y) / height}%`;
    this.over.setAttribute("viewBox", `${x} ${y} ${width} ${height}`);
  }

  label(one, unit, part, labels, taken) {
    const group = svg("g", { class: marked("tag", one), "data-key": one.key });
    const tag = svg(
      "text",
      { "font-size": LABEL * unit, fill: ink(one.color) },
      `${words(one.label)} ${percent(one.score)}`,
    );
    group.append(tag);
    labels.append(group); // its length is known once it is there
    const wide = tag.getComputedTextLength() + 10 * unit;
    const high = 18 * unit;
    const [x, y] = place(one.box, wide, high, part, taken);
    taken.push([x, y, x + wide, y + high]);
    tag.setAttribute("x", x + 5 * unit);
    tag.setAttribute("y", y + 13 * unit);
    group.prepend(svg("rect", { x, y, width: wide, height: high, rx: 3 * unit, fill: one.color }));
    return group;
  }
}

function shape(one) {
  const { x1, y1, x2, y2 } = one.box;
  const box = `M${x1} ${y1}H${x2}V${y2}H${x1}Z`;
  const outline = one.polygons
    .filter((ring) => ring.length >= 6)
    .map(path)
    .join("");
  const drawn = outline || box;
  return svg(
    "g",
    { class: marked("find", one), "data-key": one.key, "data-label": one.label },
    svg("path", { class: "halo", d: drawn }),
    svg("path", { class: outline ? "mask" : "hollow", d: drawn, fill: one.color, stroke: one.color }),
    outline && view.boxes && svg("path", { class: "box", d: box, stroke: one.color }),
  );
}

const marked = (kind, one) => `${kind}${one.key === view.picked ? " picked" : ""}${one.aside ? " aside" : ""}`;

function path(ring) {
  let drawn = "";
  for (let at = 0; at + 1 < ring.length; at += 2) drawn += `${at ? "L" : "M"}${ring[at]} ${ring[at + 1]}`;
  return `${drawn}Z`;
}

/** Above the shape, else below, inside or beside it, within what is shown; where it hides least of other labels. */
function place({ x1, y1, x2, y2 }, wide, high, part, taken) {
  const wanted = [
    [x1, y1 - high],
    [x1, y2],
    [x1, y1],
    [x2 - wide, y1 - high],
    [x2 - wide, y2],
    [x2, y1],
    [x1 - wide, y1],
  ];
  for (let step = 1; step < 9; step++) wanted.push([x1, y1 - (step + 1) * high], [x1, y1 + step * high]);
  let best = null;
  let least = Infinity;
  for (const [order, [left, top]] of wanted.entries()) {
    const x = Math.min(Math.max(left, part.x), part.x + Math.max(part.width - wide, 0));
    const y = Math.min(Math.max(top, part.y), part.y + Math.max(part.height - high, 0));
    const hidden = taken.reduce((sum, other) => sum + overlap([x, y, x + wide, y + high], other), 0);
    const cost = (100 * hidden) / high + Math.abs(x - left) + Math.abs(y - top) + (order * high) / 10;
    if (cost < least) [best, least] = [[x, y], cost];
  }
  return best;
}

const overlap = (a, b) =>
  Math.max(Math.min(a[2], b[2]) - Math.max(a[0], b[0]), 0) * Math.max(Math.min(a[3], b[3]) - Math.max(a[1], b[1]), 0);

const touches = ({ x1, y1, x2, y2 }, { x, y, width, height }) =>
  x1 < x + width && x2 > x && y1 < y + height && y2 > y;

const area = ({ box }) => (box.x2 - box.x1) * (box.y2 - box.y1);

const natural = (image) => ({ width: image.naturalWidth, height: image.naturalHeight });

/** Black or white, whichever stands out more from `#rrggbb` (relative luminance as WCAG 2 has it). */
function ink(color) {
  const [red, green, blue] = [1, 3, 5].map((at) => {
    const channel = parseInt(color.slice(at, at + 2), 16) / 255;
    return channel <= 0.04045 ? channel / 12.92 : ((channel + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179 ? "#000" : "#fff";
}
