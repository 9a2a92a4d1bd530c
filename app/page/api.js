// Requests to the service this page came from, and to no other; what goes wrong becomes a `Problem`.

import { ask, headers, token } from "./key.js";

/** What the service answered instead (problem+json), or `unreachable`, where it answered nothing. */
export class Problem extends Error {
  constructor(body, retryAfter = null) {
    super(body.detail ?? body.title ?? body.code);
    this.code = body.code ?? "unknown";
    this.title = body.title ?? "";
    this.detail = body.detail ?? "";
    this.requestId = body.request_id ?? null;
    this.retryAfter = retryAfter;
  }
}

/** What is served, as the service tells this page. */
export async function served(quiet) {
  return (await request("page/served", { quiet })).json();
}

/** The response to a request. Raises `Problem`, or the abort's error. Asks for a key where one is wanted, if not
 * `quiet`. */
export async function request(path, { body, accept, signal, deadline, quiet } = {}) {
  for (;;) {
    const sent = token();
    const response = await reached(path, {
      method: body ? "POST" : "GET",
      body,
      signal,
      headers: {
        ...headers(),
        ...(accept ? { Accept: accept } : {}),
        ...(deadline ? { "X-Deadline-Ms": String(deadline) } : {}),
      },
    });
    if (response.ok) return response;
    const problem = await problemOf(response);
    if (quiet || problem.code !== "unauthenticated") throw problem;
    // Another request may have brought a key meanwhile.
    if (token() === sent && !(await ask())) throw problem;
  }
}

/** A photo as a form, as `curl -F file=@photo` sends it. */
export function form(...files) {
  const data = new FormData();
  for (const file of files) data.append("file", file, file.name);
  return data;
}

/** Query options as text, those that no predictor has left out: an unknown one is an error. */
export function query(served, wanted) {
  const known = new Set(["tasks", ...Object.values(served.models).flatMap((model) => model.options)]);
  const given = Object.entries(wanted).filter(([name, value]) => value !== null && known.has(name));
  const text = new URLSearchParams(given).toString().replaceAll("%2C", ",");
  return text ? `?${text}` : "";
}

/** The events of a stream, `{name, data}`, as they come. Raises `Problem` where it breaks off. */
export async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read().catch((error) => {
      throw error.name === "AbortError" ? error : unreachable();
    });
    rest += (value ?? "").replaceAll("\r\n", "\n");
    const whole = rest.split("\n\n");
    rest = whole.pop();
    for (const block of whole) {
      const event = parsed(block);
      if (event) yield event;
    }
    if (done) return;
  }
}

function parsed(block) {
  let name = "message";
  const data = [];
  for (const line of block.split("\n")) {
    if (line.startsWith("event:")) name = line.slice(6).trim();
    else if (line.startsWith("data:")) data.push(line.slice(5).replace(/^ /, ""));
  }
  return data.length ? { name, data: JSON.parse(data.join("\n")) } : null;
}

async function reached(path, given) {
  try {
    return await fetch(path, { ...given, cache: "no-cache", credentials: "same-origin" });
  } catch (error) {
    throw error.name === "AbortError" ? error : unreachable();
  }
}

function unreachable() {
  return new Problem({ code: navigator.onLine ? "unreachable" : "offline" });
}

async function problemOf(response) {
  const seconds = Number(response.headers.get("Retry-After")) || null;
  try {
    return new Problem(await response.json(), seconds);
  } catch {
    // Not the service's own words: a proxy's page, say.
    return new Problem({ code: `http_${response.status}`, title: response.statusText }, seconds);
  }
}
