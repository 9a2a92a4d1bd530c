// What can be taken away: the picture with what is shown drawn on it, masks, the answer, and the call that asks for it.

import { form, query, request } from "./api.js";
import { announce, card, el } from "./dom.js";
import { told } from "./errors.js";
import { token } from "./key.js";
import { isOn, view } from "./layers.js";
import { language, text } from "./texts.js";

/** The card, and `refresh`, which is to be called when something else is shown: all of it follows the slider. */
export function downloads(photo, layers, served) {
  const failed = el("p", { class: "wrong-line", role: "alert" });
  const stem = photo.name.replace(/\.[^.]*$/, "");
  const fetched = (name, path, accept, file) => async (event) => {
    const button = event.currentTarget;
    failed.textContent = "";
    button.setAttribute("aria-busy", "true");
    try {
      const given = { body: form(photo.file), accept, deadline: served.deadline_ms };
      const response = await request(path(), given);
      save(file ? await file(response) : await response.blob(), name);
    } catch (error) {
      const { title, advice, said } = told(error);
      failed.textContent = [title, advice, said].filter(Boolean).join(". ").replaceAll("..", ".");
    } finally {
      button.removeAttribute("aria-busy");
    }
  };
  const drawable = layers.filter((layer) => served.models[layer.name]?.calls.includes("annotated"));
  const masked = layers.filter((layer) => served.models[layer.name]?.calls.includes("masks") && layer.finds.length);
  const readable = async (response) => json(await response.json());
  const shell = call(curl([photo.file], inspected(served)));
  const whole = card(
    text("take.title"),
    el(
      "div",
      { class: "buttons" },
      drawable.length > 0 &&
        button(
          text("take.picture"),
          fetched(`${stem}-annotated.jpg`, () => annotated(drawable, served), "image/jpeg"),
        ),
      masked.map(({ name, title }) =>
        button(
          text("take.masks", { layer: title }),
          fetched(`${stem}-${name}-masks.png`, () => masks(name, served), "image/png"),
        ),
      ),
      button(text("take.json"), fetched(`${stem}.json`, () => inspected(served), "application/json", readable)),
    ),
    failed,
    shell,
  );
  const refresh = () => (shell.querySelector("code").textContent = curl([photo.file], inspected(served)));
  return { card: whole, refresh };
}

/** The line that asks the same in a shell, with a button that copies it. */
export function call(line) {
  const code = el(
    "code",
    { tabIndex: 0, role: "textbox", ariaReadOnly: "true", ariaLabel: text("take.shell") },
    line,
  );
  const copy = button(text("take.copy"), async () => {
    await copied(code.textContent, code);
    announce(text("heard.copied"));
    copy.textContent = text("heard.copied");
    setTimeout(() => (copy.textContent = text("take.copy")), 2000);
  });
  return el("div", { class: "shell" }, code, copy);
}

export function curl(files, path) {
  const key = token() ? ' -H "X-API-Key: $CARLENS_KEY"' : "";
  const photos = files.map((file) => `-F ${quoted(`file=@${file.name}`)}`).join(" ");
  const texts = language === "en" ? "" : ` -H "Accept-Language: ${language}"`;
  return `curl${key}${texts} ${photos} ${quoted(new URL(path, document.baseURI).href)}`;
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

/** Everything about the photo, of which what is shown. */
const inspected = (served) => `v1/inspect${query(served, { min_score: view.least })}`;

const masks = (name, served) => `v1/${name}/masks${query(served, { min_score: view.least })}`;

export const json = (answer) => new Blob([JSON.stringify(answer, null, 1)], { type: "application/json" });

export const button = (said, onclick) => el("button", { type: "button", onclick }, said);

export function save(blob, name) {
  const url = URL.createObjectURL(blob);
  el("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

async function copied(line, shown) {
  try {
    await navigator.clipboard.writeText(line);
  } catch {
    // There is no clipboard for pages that came without TLS: what is selected can be copied all the same.
    getSelection().selectAllChildren(shown);
    document.execCommand("copy");
  }
}
