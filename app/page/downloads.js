// What can be taken away: the picture with what is shown drawn on it, masks, the answer, and the call that asks for it.

import { form, query, request } from "./api.js";
import { announce, card, el, words } from "./dom.js";
import { told } from "./errors.js";
import { token } from "./key.js";
import { isOn, view } from "./layers.js";

export function downloads(photo, layers, served) {
  const failed = el("p", { class: "wrong-line", role: "alert" });
  const stem = photo.name.replace(/\.[^.]*$/, "");
  const fetched = (name, path, accept) => async (event) => {
    const button = event.currentTarget;
    failed.textContent = "";
    button.setAttribute("aria-busy", "true");
    try {
      const given = { body: form(photo.file), accept, deadline: served.deadline_ms };
      save(await (await request(path(), given)).blob(), name);
    } catch (error) {
      const { title, advice, said } = told(error);
      failed.textContent = [title, advice, said].filter(Boolean).join(". ").replaceAll("..", ".");
    } finally {
      button.removeAttribute("aria-busy");
    }
  };
  const drawable = layers.filter((layer) => served.models[layer.name]?.calls.includes("annotated"));
  const masked = layers.filter((layer) => served.models[layer.name]?.calls.includes("masks") && layer.finds.length);
  return card(
    "Take it with you",
    el(
      "div",
      { class: "buttons" },
      drawable.length > 0 &&
        button(
          "Picture",
          fetched(`${stem}-annotated.jpg`, () => annotated(drawable, served), "image/jpeg"),
        ),
      masked.map(({ name, title }) =>
        button(
          `Masks of ${title.toLowerCase()}`,
          fetched(`${stem}-${name}-masks.png`, () => masks(name, served), "image/png"),
        ),
      ),
      button("Answer as JSON", () => save(json(photo.answer), `${stem}.json`)),
    ),
    failed,
    call(curl([photo.file], "v1/inspect")),
  );
}

/** The line that asks the same in a shell, with a button that copies it. */
export function call(line) {
  const code = el(
    "code",
    { tabIndex: 0, role: "textbox", ariaReadOnly: "true", ariaLabel: "The same call in a shell" },
    line,
  );
  const copy = button("Copy", async () => {
    await copied(line, code);
    announce("Copied");
    copy.textContent = "Copied";
    setTimeout(() => (copy.textContent = "Copy"), 2000);
  });
  return el("div", { class: "shell" }, code, copy);
}

export function curl(files, path) {
  const key = token() ? ' -H "X-API-Key: $CARLENS_KEY"' : "";
  const photos = files.map((file) => `-F ${quoted(`file=@${file.name}`)}`).join(" ");
  return `curl${key} ${photos} ${quoted(new URL(path, document.baseURI).href)}`;
}

/** A word of a shell: in single quotes where it is more than letters and digits. */
const quoted = (word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`);

function annotated(drawable, served) {
  const on = drawable.filter(isOn);
  const names = (on.length ? on : drawable).map((layer) => layer.name);
  const wanted = { min_score: view.least };
  if (names.length === 1) return `v1/${names[0]}/annotated${query(served, wanted)}`;
  return `v1/inspect/annotated${query(served, { tasks: names.join(","), ...wanted })}`;
}

const masks = (name, served) => `v1/${name}/masks${query(served, { min_score: view.least })}`;

export const json = (answer) => new Blob([JSON.stringify(answer, null, 1)], { type: "application/json" });

export const button = (text, onclick) => el("button", { type: "button", onclick }, words(text));

export function save(blob, name) {
  const url = URL.createObjectURL(blob);
  el("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

async function copied(text, shown) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // There is no clipboard for pages that came without TLS: what is selected can be copied all the same.
    getSelection().selectAllChildren(shown);
    document.execCommand("copy");
  }
}
