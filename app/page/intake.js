// The ways a photo comes in: dropped, pasted, chosen, taken by the camera, or the example.

import { byId, el, fill } from "./dom.js";
import { summaryOf, text } from "./texts.js";

/** Calls `take(files)` with every file that comes in. Nothing is sorted out: the service says what is no photo. */
export function install(take) {
  for (const [button, input] of [
    ["choose", "files"],
    ["camera", "shot"],
  ]) {
    byId(button).addEventListener("click", () => byId(input).click());
    byId(input).addEventListener("change", (event) => {
      const files = [...event.target.files];
      event.target.value = ""; // so that the same file can be chosen again
      if (files.length) take(files);
    });
  }
  byId("example").addEventListener("click", async () => take([await example()]));
  document.addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (!files.length) return;
    event.preventDefault();
    take(files);
  });
  drops(take);
}

/** What is answered, and the terms of the weights. */
export function tell(served) {
  const ready = Object.entries(served.models).map(([name, model]) => {
    const told = summaryOf(name, model.summary);
    return el("li", { lang: told.lang }, told.text);
  });
  byId("served").replaceChildren(...ready);
  const terms = [...new Set(Object.values(served.models).map((model) => model.licence.weights))];
  // Licences are told in the words of whoever gave them.
  const told = terms.length > 0 && [`${text("intake.terms")} `, el("span", { lang: "en" }, `${terms.join("; ")}.`)];
  fill(byId("terms"), told);
}

/** Says that a key will be asked for: with the first photo, not before. */
export function keyed() {
  byId("hint").textContent += ` ${text("intake.keyed")}`;
}

async function example() {
  const picture = await fetch(byId("example").querySelector("img").src);
  return new File([await picture.blob()], "example.webp", { type: "image/webp" });
}

function drops(take) {
  const carries = (event) => event.dataTransfer?.types.includes("Files");
  // Over a child the drag leaves one element and enters another, so it is the window's edge that counts.
  let inside = 0;
  const mark = (change) => {
    inside = Math.max(0, inside + change);
    document.body.classList.toggle("dragging", inside > 0);
  };
  window.addEventListener("dragenter", (event) => carries(event) && mark(1));
  window.addEventListener("dragleave", (event) => carries(event) && mark(-1));
  window.addEventListener("dragover", (event) => {
    if (!carries(event)) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = "copy";
  });
  window.addEventListener("drop", (event) => {
    if (!carries(event)) return;
    event.preventDefault();
    mark(-inside);
    const files = [...event.dataTransfer.files];
    if (files.length) take(files);
  });
}
