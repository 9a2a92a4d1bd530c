// Looking closer: which part of the photo is shown, by buttons, keys, fingers, the wheel, or because a find was chosen.

import { announce, el } from "./dom.js";
import { percent, text } from "./texts.js";

const MOST = 8; // times; closer than that a photo is nothing but squares
const STEP = 1.6;
const ROOM = 0.6; // around a find, as a share of its sides: what it lies on shall be known
const STILL = 5; // pixels that a finger may move and yet tap

const between = (value, least, most) => Math.min(Math.max(value, least), most);

/** The part of a photo that `frame` shows. `changed` is called when it is another one. */
export class Zoom {
  constructor(frame, changed) {
    this.frame = frame;
    this.changed = changed;
    this.fingers = new Map();
    this.dragged = false;
    const button = (name, onclick) => el("button", { type: "button", onclick }, text(`zoom.${name}`));
    this.closer = button("closer", () => this.tell(() => this.by(STEP)));
    this.farther = button("farther", () => this.tell(() => this.by(1 / STEP)));
    this.back = button("whole", () => this.tell(() => this.whole()));
    const given = { class: "zoom", role: "group", "aria-label": text("zoom.title"), onkeydown: (event) => this.key(event) };
    this.bar = el("div", given, this.closer, this.farther, this.back);
    this.reset({ width: 1, height: 1 });
    this.listen();
  }

  /** Another photo, of that size, and all of it. */
  reset(size) {
    this.size = size;
    this.set(1, 0, 0);
  }

  /** What is shown, in the photo's pixels. */
  get part() {
    const { size, scale, x, y } = this;
    return { x, y, width: size.width / scale, height: size.height / scale };
  }

  /** Shows a find's box with some room around it. */
  to({ x1, y1, x2, y2 }) {
    const { width, height } = this.size;
    const room = 1 + 2 * ROOM;
    const scale = between(Math.min(width / (room * (x2 - x1)), height / (room * (y2 - y1))), 1, MOST);
    this.set(scale, (x1 + x2) / 2 - width / scale / 2, (y1 + y2) / 2 - height / scale / 2);
    this.changed();
  }

  /** `times` as close, while the point that is at these shares of the frame stays where it is. */
  by(times, across = 0.5, down = 0.5) {
    const { x, y, width, height } = this.part;
    const scale = between(this.scale * times, 1, MOST);
    const kept = (size, shown, share) => share * (shown - size / scale);
    this.set(
      scale,
      x + kept(this.size.width, width, across),
      y + kept(this.size.height, height, down),
    );
    this.changed();
  }

  /** Moves what is shown, by shares of it. */
  move(across, down) {
    const { x, y, width, height } = this.part;
    this.set(this.scale, x + across * width, y + down * height);
    this.changed();
  }

  whole() {
    this.set(1, 0, 0);
    this.changed();
  }

  set(scale, x, y) {
    const { width, height } = this.size;
    this.scale = scale;
    this.x = between(x, 0, width - width / scale);
    this.y = between(y, 0, height - height / scale);
    // Not `disabled`, which would take the focus from who presses one again and again.
    this.closer.setAttribute("aria-disabled", String(scale === MOST));
    for (const one of [this.farther, this.back]) one.setAttribute("aria-disabled", String(scale === 1));
    // At rest a finger scrolls the page; closer, it moves the photo. Two are ours in any case.
    this.frame.style.touchAction = scale === 1 ? "pan-y" : "none";
    this.frame.classList.toggle("near", scale > 1);
  }

  /** Does it, and says what is shown then. */
  tell(done) {
    done();
    announce(this.scale === 1 ? text("zoom.whole") : text("zoom.share", { share: percent(1 / this.scale ** 2) }));
  }

  key(event) {
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!way || this.scale === 1) return;
    event.preventDefault();
    this.move(way[0] / 4, way[1] / 4);
  }

  listen() {
    const { frame } = this;
    frame.addEventListener("pointerdown", (event) => this.down(event));
    frame.addEventListener("pointermove", (event) => this.moved(event));
    for (const end of ["pointerup", "pointercancel"])
      frame.addEventListener(end, (event) => this.fingers.delete(event.pointerId));
    // Two fingers on a trackpad come as a wheel with Ctrl; the wheel alone scrolls the page.
    const wheel = (event) => {
      if (!event.ctrlKey) return;
      event.preventDefault();
      this.by(Math.exp(-event.deltaY / 100), ...this.share(event));
    };
    frame.addEventListener("wheel", wheel, { passive: false });
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && this.scale > 1 && !document.querySelector("dialog[open]"))
        this.tell(() => this.whole());
    });
  }

  down(event) {
    if (!this.fingers.size) this.dragged = false;
    this.fingers.set(event.pointerId, { x: event.clientX, y: event.clientY, from: [event.clientX, event.clientY] });
  }

  moved(event) {
    const finger = this.fingers.get(event.pointerId);
    if (!finger) return;
    const before = this.spread();
    const [dx, dy] = [event.clientX - finger.x, event.clientY - finger.y];
    const far = Math.hypot(event.clientX - finger.from[0], event.clientY - finger.from[1]) > STILL;
    if (!this.dragged && (far || before)) {
      this.dragged = true;
      // What is captured ends in no click on a find.
      for (const id of this.fingers.keys()) this.frame.setPointerCapture(id);
    }
    Object.assign(finger, { x: event.clientX, y: event.clientY });
    if (!this.dragged) return;
    const after = this.spread();
    if (before && after) this.by(after.wide / before.wide, ...this.share({ clientX: after.x, clientY: after.y }));
    else if (this.scale > 1) this.move(-dx / this.frame.clientWidth, -dy / this.frame.clientHeight);
  }

  /** How far two fingers are apart, and their middle; null where there are not two. */
  spread() {
    const [one, other] = this.fingers.values();
    if (!other) return null;
    const wide = Math.max(Math.hypot(one.x - other.x, one.y - other.y), 1);
    return { wide, x: (one.x + other.x) / 2, y: (one.y + other.y) / 2 };
  }

  share({ clientX, clientY }) {
    const { left, top, width, height } = this.frame.getBoundingClientRect();
    return [(clientX - left) / width, (clientY - top) / height];
  }
}
