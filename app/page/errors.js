// What went wrong in human words, and what to do about it.

import { el } from "./dom.js";
import { knows, megabytes, several, text } from "./texts.js";

/** Codes of what would be as bad the next time. */
const FINAL = new Set([
  "empty_image",
  "body_too_large",
  "image_too_large",
  "unsupported_media_type",
  "undecodable_image",
  "http_413",
]);

const OWN_WORDS_SUFFICE = new Set(["offline", "unreachable", "unauthenticated", "unsupported_media_type"]);

/** Title, advice, what the service said itself (in English), and whether to try again. */
export function told(problem) {
  const { code, retryAfter } = problem;
  const [title, advice] = knows(code)
    ? [text(`problem.${code}`), text(`problem.${code}_do`)]
    : [problem.title || text("problem.unknown"), text("problem.unknown_do")];
  const said = OWN_WORDS_SUFFICE.has(code) ? "" : problem.detail;
  return { title, advice: retryAfter ? `${advice} ${later(retryAfter)}` : advice, said, again: !FINAL.has(code) };
}

/** The problem of a photo as a note in place of its answer. `retry` is called by its button. */
export function note(problem, retry) {
  const { title, advice, said, again } = told(problem);
  return el(
    "div",
    { class: "card wrong", role: "alert" },
    el("h3", {}, title),
    el("p", {}, advice),
    said && el("p", { class: "said", lang: problem.requestId ? "en" : null }, said),
    problem.requestId && el("p", { class: "said" }, `${text("problem.request")} `, el("code", {}, problem.requestId)),
    again && retry && el("button", { type: "button", class: "primary", onclick: retry }, text("problem.again")),
  );
}

/** The problem of a file that need not be sent, because the service says that it takes none so large; else null. */
export function beforehand(file, served) {
  if (file.size === 0) return { code: "empty_image", detail: "" };
  if (file.size <= served.body_bytes) return null;
  const sizes = { size: megabytes(file.size), most: megabytes(served.body_bytes) };
  return { code: "body_too_large", detail: text("problem.size", sizes) };
}

const later = (seconds) =>
  seconds < 90 ? several("problem.again_in", seconds) : several("problem.again_in_minutes", Math.ceil(seconds / 60));
