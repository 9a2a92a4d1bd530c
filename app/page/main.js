// Puts the page together: photos come in, are asked for, and the chosen one's answer is shown.

import * as answer from "./answer.js";
import { Problem, served as askServed } from "./api.js";
import * as asking from "./claim.js";
import { announce, byId, el, fill } from "./dom.js";
import { downloads } from "./downloads.js";
import { Stage } from "./draw.js";
import { beforehand, note, told } from "./errors.js";
import * as intake from "./intake.js";
import * as key from "./key.js";
import { controls, isOn, layersOf, sentence, shown, view } from "./layers.js";
import { Photo } from "./photo.js";
import { rollup } from "./rollup.js";
import { strip } from "./strip.js";
import { several, text } from "./texts.js";
import { timings } from "./timings.js";

const state = {
  photos: [],
  current: null,
  layers: [],
  take: null, // brings what can be taken away in step with what is shown
  claim: null,
  claimed: [],
  busy: false,
  visit: new AbortController(),
};
const stage = new Stage(byId("stage"), pick);
let service = null; // what is served, once it is known

async function serves(quiet = false) {
  service ??= await askServed(quiet);
  intake.tell(service);
}

async function take(files) {
  const first = !state.photos.length;
  const photos = files.map((file) => new Photo(file));
  state.photos.push(...photos);
  state.claim = null;
  document.body.dataset.state = "full";
  byId("look").hidden = false;
  if (document.activeElement === document.body || !document.activeElement.checkVisibility()) byId("title").focus();
  choose(photos[0]);
  await ask(photos, first && photos.length > 1);
}

/** Asks about the photos; `all` of them as one claim. */
async function ask(photos, all) {
  const { signal } = state.visit;
  for (const photo of photos) if (photo.state !== "answered") set(photo, "looking");
  announce(several("heard.looking", photos.length));
  try {
    await serves();
  } catch (error) {
    for (const photo of photos) heard(photo, null, error);
    return;
  }
  const sendable = photos.filter((photo) => {
    const problem = beforehand(photo.file, service);
    if (problem) heard(photo, null, new Problem(problem));
    return !problem;
  });
  const listen = (...news) => signal.aborted || heard(...news);
  state.busy = all;
  overview();
  if (all) {
    const claim = await asking.together(sendable, service, listen, signal);
    if (signal.aborted) return;
    // Photos may have been added meanwhile: then it is not of all of them.
    const whole = claim && photos.length === state.photos.length;
    Object.assign(state, { claim: whole ? claim : null, claimed: sendable, busy: false });
    if (claim) announce(text("heard.summed"));
  } else {
    await asking.each(sendable, service, listen, signal);
  }
  if (!signal.aborted) overview();
}

function heard(photo, said, problem) {
  if (said) photo.answer = said;
  photo.problem = problem;
  set(photo, said ? "answered" : "failed");
  const { name } = photo;
  announce(
    said
      ? text("heard.answered", { name, gist: gist(photo) })
      : text("heard.failed", { name, problem: told(problem).title }),
  );
}

/** The answer in a sentence, for those who do not see it. */
function gist(photo) {
  const { damage, car_details: car } = photo.answer.results;
  const finds = layersOf(photo, service).find((layer) => layer.name === "damage")?.finds ?? [];
  const sure = finds.filter((one) => one.score >= one.least).length;
  const found = damage && (damage.damaged ? several("heard.damages", sure) : text("heard.no_damage"));
  return [found, car?.recognised && car.best.label].filter(Boolean).join(". ");
}

function set(photo, now) {
  photo.state = now;
  strip(state.photos, state.current, choose);
  overview();
  if (photo === state.current) show(photo);
}

function overview() {
  if (!service) return;
  const { photos, claim, claimed, busy } = state;
  const able = service.calls.includes("inspect/claim") && photos.length <= asking.MOST;
  rollup({ photos, claim, claimed, busy, able, ask: () => ask([...photos], true), choose, served: service });
}

function choose(photo) {
  state.current = photo;
  view.picked = null;
  strip(state.photos, photo, choose);
  show(photo);
}

async function show(photo) {
  byId("title").textContent = photo.name;
  const panel = byId("answer");
  panel.setAttribute("aria-busy", String(photo.state === "looking"));
  if (photo.state !== "answered") {
    state.layers = [];
    fill(byId("layers"));
    state.take = null;
    const waiting = el(
      "div",
      { class: "card waiting" },
      el("p", {}, text("look.looking")),
      el("div", { class: "shimmer" }),
    );
    fill(panel, photo.state === "failed" ? note(photo.problem, () => ask([photo], false)) : waiting);
    return picture(photo);
  }
  state.layers = layersOf(photo, service);
  const taken = downloads(photo, state.layers, service);
  state.take = taken.refresh;
  const below = [photo.answer.timings_ms && timings(photo.answer.timings_ms), taken.card];
  fill(panel, answer.cards(photo.answer, state.layers, service), below);
  layers();
  await picture(photo);
}

function layers() {
  controls(byId("layers"), state.layers, draw);
}

async function picture(photo) {
  byId("stage").setAttribute("aria-busy", "true");
  const size = photo.answer?.image ?? null;
  let url = null;
  let why = text(photo.state === "failed" ? "look.no_picture" : "look.no_format");
  try {
    url = await photo.picture(service, state.visit.signal);
  } catch (error) {
    if (error.name === "AbortError") return;
    why = text("look.no_picture_because", { why: told(error).title });
  }
  if (photo !== state.current) return;
  byId("stage").removeAttribute("aria-busy");
  if (url && url !== photo.thumb) {
    photo.thumb = url;
    strip(state.photos, state.current, choose);
  }
  stage.show(url, size, why);
  draw();
}

function draw() {
  stage.draw(state.layers, sentence(state.layers));
  answer.refresh(byId("answer"), state.layers, look, lower);
  state.take?.();
}

/** Marks a find that was chosen in its list, and shows it from near; the same again leads back. */
function look(found) {
  pick(found);
  const one = state.layers.flatMap((layer) => layer.finds).find(({ key }) => key === view.picked);
  if (!one) return stage.zoom.whole();
  stage.zoom.to(one.box);
  stage.container.scrollIntoView({ block: "nearest" }); // on a phone the list is far below
  announce(text("zoom.at", { what: one.text }));
}

/** Marks a find in the photo and in its list; the same again, or null, unmarks it. */
function pick(found) {
  view.picked = view.picked === found ? null : found;
  const layer = state.layers.find((one) => found?.startsWith(`${one.name}:`));
  if (layer && !isOn(layer)) {
    view.on[layer.name] = true;
    layers();
    document.querySelector(`[data-pick="${found}"]`)?.focus();
  }
  const visible = new Set(state.layers.flatMap(shown).map((one) => one.key));
  if (!visible.has(view.picked)) view.picked = null;
  stage.draw();
  for (const line of document.querySelectorAll("[data-pick]")) {
    line.setAttribute("aria-pressed", String(line.dataset.pick === view.picked));
  }
}

/** Moves the slider. */
function lower(score) {
  view.least = score;
  layers();
  byId("least").focus();
}

function restart() {
  state.visit.abort();
  for (const photo of state.photos) photo.forget();
  Object.assign(state, {
    photos: [],
    current: null,
    layers: [],
    claim: null,
    busy: false,
    visit: new AbortController(),
  });
  fill(byId("rollup"));
  document.body.dataset.state = "empty";
  byId("look").hidden = true;
  byId("choose").focus();
}

key.install();
intake.install(take);
byId("restart").addEventListener("click", restart);
serves(true).catch((problem) => problem.code === "unauthenticated" && intake.keyed());
