// The key of a service that asks for one: asked for in a dialog, kept for this tab, sent with every request.

import { byId } from "./dom.js";
import { text } from "./texts.js";

const KEPT = "carlens-key";

let asking = null;

export const token = () => sessionStorage.getItem(KEPT);

/** The headers that a request needs. */
export function headers() {
  const key = token();
  return key ? { "X-API-Key": key } : {};
}

/** Asks for a key; whether there is one now. Requests that fail together share the question. */
export function ask() {
  asking ??= dialog().finally(() => (asking = null));
  return asking;
}

export function install() {
  byId("forget-key").addEventListener("click", () => {
    keep(null);
    byId("choose").focus();
  });
  keep(token());
}

function keep(key) {
  if (key) sessionStorage.setItem(KEPT, key);
  else sessionStorage.removeItem(KEPT);
  byId("forget-key").hidden = !key;
}

function dialog() {
  const box = byId("key-dialog");
  const input = byId("key-text");
  byId("key-why").textContent = text(token() ? "key.wrong" : "key.why");
  input.value = "";
  return new Promise((resolve) => {
    const over = new AbortController();
    const { signal } = over;
    const end = (key) => {
      over.abort();
      box.close();
      if (key) keep(key);
      resolve(Boolean(key));
    };
    box.querySelector("form").addEventListener(
      "submit",
      (event) => {
        event.preventDefault();
        if (input.value.trim()) end(input.value.trim());
      },
      { signal },
    );
    byId("key-cancel").addEventListener("click", () => end(null), { signal });
    box.addEventListener("cancel", (event) => (event.preventDefault(), end(null)), { signal });
    box.showModal();
    input.focus();
  });
}
