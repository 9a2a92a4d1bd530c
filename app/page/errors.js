// What went wrong in human words, and what to do about it.

import { el, megabytes } from "./dom.js";

/** By code: what happened, what to do, and whether the same photo may be tried again. */
const WORDS = {
  offline: ["You are offline", "Connect to the network, then try again.", true],
  unreachable: [
    "The service cannot be reached",
    "It may be down, or the connection was cut while the photo was on its way. Try again in a moment.",
    true,
  ],
  unauthenticated: ["A key is needed", "Try again, and enter the key that you were given for this service.", true],
  forbidden: ["This key may not ask that", "Ask whoever runs the service for a key with the scope “predict”.", true],
  missing_image: ["No photo arrived", "Choose the photo again.", true],
  empty_image: ["This file is empty", "Choose another one, or copy it again from where it came.", false],
  malformed_request: ["The photo did not arrive whole", "Try it again.", true],
  body_too_large: ["This file is too large", "Send a smaller version, or one that is compressed more strongly.", false],
  image_too_large: ["This photo has too many pixels", "Scale it down and try again.", false],
  unsupported_media_type: [
    "This is not a photo",
    "Send a picture: JPEG, PNG, WebP, HEIC, AVIF, TIFF, GIF or BMP.",
    false,
  ],
  undecodable_image: [
    "This photo is damaged",
    "Part of the file is missing or broken. Copy it again from where it came, or save it anew.",
    false,
  ],
  rate_limited: ["That was too much at once", "This service limits how much one may ask.", true],
  overloaded: ["The service is busy", "Many photos are waiting.", true],
  not_ready: ["The service is not ready", "It is starting, or loads new weights.", true],
  shutting_down: ["The service stops just now", "It may be back in a moment.", true],
  deadline_exceeded: ["That took too long", "The service is busy, or the connection slow. Try again.", true],
  prediction_failed: ["Something broke in the service", "Try again. If it stays so, tell whoever runs it.", true],
  http_413: ["This file is too large", "Something between you and the service does not let it through.", false],
};

const OWN_WORDS_SUFFICE = new Set(["offline", "unreachable", "unauthenticated", "unsupported_media_type"]);

/** Title, advice, what the service said itself, and whether to try again. */
export function told(problem) {
  const [title, advice, again] = WORDS[problem.code] ?? [problem.title || "That did not work", "Try it again.", true];
  const wait = problem.retryAfter ? ` Try again in ${seconds(problem.retryAfter)}.` : "";
  const said = OWN_WORDS_SUFFICE.has(problem.code) ? "" : problem.detail;
  return { title, advice: advice + wait, said, again };
}

/** The problem of a photo as a note in place of its answer. `retry` is called by its button. */
export function note(problem, retry) {
  const { title, advice, said, again } = told(problem);
  return el(
    "div",
    { class: "card wrong", role: "alert" },
    el("h3", {}, title),
    el("p", {}, advice),
    said && el("p", { class: "said" }, said),
    problem.requestId && el("p", { class: "said" }, "Request ", el("code", {}, problem.requestId)),
    again && retry && el("button", { type: "button", class: "primary", onclick: retry }, "Try again"),
  );
}

/** The problem of a file that need not be sent, because the service says that it takes none so large; else null. */
export function beforehand(file, served) {
  if (file.size === 0) return { code: "empty_image", detail: "" };
  if (file.size <= served.body_bytes) return null;
  const detail = `It has ${megabytes(file.size)}; this service takes ${megabytes(served.body_bytes)}.`;
  return { code: "body_too_large", detail };
}

const seconds = (number) => (number < 90 ? `${number} seconds` : `${Math.ceil(number / 60)} minutes`);
