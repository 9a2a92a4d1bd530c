// Asking about photos: one by itself, several as one claim whose answers come as events, as each is ready.

import { events, form, Problem, query, request } from "./api.js";
import { FAINTEST } from "./layers.js";

/** How many photos one claim takes. */
export const MOST = 24;

const AT_ONCE = 2; // photos asked for by themselves at a time

/** The faint finds come along, so that the slider has them at hand; nothing else in the answer changes by that. */
const wanted = (served) => query(served, { min_score: FAINTEST });

export async function one(photo, served, signal) {
  const given = { body: form(photo.file), deadline: served.deadline_ms, signal };
  return (await request(`v1/inspect${wanted(served)}`, given)).json();
}

/** Asks about each photo by itself, two at a time. `heard(photo, answer, problem)` is called for each. */
export async function each(photos, served, heard, signal) {
  const waiting = [...photos];
  const worker = async () => {
    for (let photo = waiting.shift(); photo && !signal.aborted; photo = waiting.shift()) {
      try {
        heard(photo, await one(photo, served, signal), null);
      } catch (error) {
        if (error.name === "AbortError") return;
        heard(photo, null, error instanceof Problem ? error : new Problem({ code: "unreachable" }));
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

/** Asks about all photos as one claim; the claim's own answer, or null where the service has none, or it failed: then
 * the photos that were not answered are asked for one by one. */
export async function together(photos, served, heard, signal) {
  let claim = null;
  const open = new Set(photos);
  if (served.calls.includes("inspect/claim") && photos.length <= MOST) {
    try {
      claim = await stream(
        photos,
        served,
        (photo, answer, problem) => (open.delete(photo), heard(photo, answer, problem)),
        signal,
      );
    } catch (error) {
      if (error.name === "AbortError") return null;
      // Whatever it is, each photo by itself says what is wrong with it, or is answered.
    }
  }
  await each([...open], served, heard, signal);
  return claim;
}

async function stream(photos, served, heard, signal) {
  const given = {
    body: form(...photos.map((photo) => photo.file)),
    accept: "text/event-stream",
    deadline: served.deadline_ms,
    signal,
  };
  let whole = null;
  for await (const { name, data } of events(await request(`v1/inspect/claim${wanted(served)}`, given))) {
    if (name === "photo")
      heard(photos[data.index], data.problem ? null : data, data.problem && new Problem(data.problem));
    else if (name === "claim") whole = data;
    else if (name === "problem") throw new Problem(data);
  }
  return whole;
}
