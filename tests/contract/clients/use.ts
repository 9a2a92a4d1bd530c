// A user of the generated TypeScript client; tsc checks it and a service answers it: node out/use.js URL PHOTO
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import createClient from "openapi-fetch";
import type { components, paths } from "./carlens.js";

type Schemas = components["schemas"];
type Detection = Schemas["Detection"];
type Problem = Schemas["ProblemDetails"];
type Body = Blob | Schemas["PhotoForm"] | Schemas["PhotoText"];

const [url, path] = process.argv.slice(2) as [string, string];
const client = createClient<paths>({ baseUrl: url });
const photo = new Blob([new Uint8Array(await readFile(path))], { type: "image/jpeg" });

/** The three forms of a photo; fetch sets the content type of a form and of a Blob by itself. */
function sent(body: Body): FormData | Blob | string {
  if (body instanceof Blob) return body;
  if ("image" in body) return JSON.stringify(body);
  const form = new FormData();
  form.set("file", body.file, "car.jpg");
  return form;
}

async function damages(): Promise<Detection[]> {
  const text = Buffer.from(await photo.arrayBuffer()).toString("base64");
  const forms: [Body, string | null][] = [
    [{ file: photo }, null],
    [photo, "image/jpeg"],
    [{ image: text }, "application/json"],
  ];
  let found: Detection[] = [];
  for (const [body, kind] of forms) {
    const { data, error } = await client.POST("/v1/damage", {
      params: { query: { min_score: 0.3, max_detections: 5 } },
      body,
      bodySerializer: sent,
      headers: { "Content-Type": kind },
    });
    assert(data, JSON.stringify(error));
    found = data.result.detections;
    const width: number = data.image.width;
    const x2: number | undefined = found[0]?.box.x2;
    assert(x2 !== undefined && x2 <= width);
    const counts: Record<string, number> = data.result.counts;
    assert.equal(Object.values(counts).reduce((one, other) => one + other), found.length);
  }
  const mask = found[0]?.mask;
  assert(mask && "polygons" in mask);
  const corners: number[][] = mask.polygons;
  assert((corners[0]?.length ?? 0) >= 6);
  const { data } = await client.POST("/v1/damage", {
    params: { query: { min_score: 0.3, masks: "rle" } },
    body: { file: photo },
    bodySerializer: sent,
  });
  const coded = data?.result.detections[0]?.mask;
  assert(coded && "counts" in coded);
  const counts: string = coded.counts;
  assert(counts);
  return found;
}

async function everything(): Promise<string> {
  const { data, error } = await client.POST("/v1/inspect", {
    params: { query: { vehicle: "all", min_score: 0.3 }, header: { "X-Deadline-Ms": 60000 } },
    body: { file: photo },
    bodySerializer: sent,
  });
  assert(data, JSON.stringify(error));
  const problems: Record<string, Problem> = data.problems;
  assert.deepEqual(problems, {});
  const color = data.results.attributes?.color;
  assert(color && color.scores[color.label] === color.score);
  const year: number | null | undefined = data.results.car_details?.best.year;
  assert(year === null || (year && year > 1900));
  assert((data.vehicles?.[0]?.car_details?.candidates[0]?.score ?? 0) > 0);
  const device: number | undefined = data.timings_ms.tasks["damage"]?.device;
  assert(device);
  const line: string | undefined = data.summary?.[0]?.text;
  assert(line);
  return line;
}

async function problems(): Promise<Record<string, number>> {
  const found: Record<string, number> = {};
  const told = (problem: Problem | undefined) => {
    assert(problem?.detail && problem.request_id);
    found[problem.code] = problem.status;
  };
  const bodies = { empty: [], foreign: ["no photo"], cut: [photo.slice(0, 2000)] };
  for (const parts of Object.values(bodies)) {
    const body = { file: new Blob(parts) };
    told((await client.POST("/v1/damage", { body, bodySerializer: sent })).error);
  }
  const query = { min_score: 2 };
  told((await client.POST("/v1/damage", { params: { query }, body: photo, bodySerializer: sent })).error);
  told((await client.GET("/v1/models/{name}", { params: { path: { name: "stranger" } } })).error);
  return found;
}

async function bytes(call: "/v1/damage/annotated" | "/v1/damage/masks", count: number): Promise<string> {
  const { data, error } = await client.POST(call, {
    body: { file: photo },
    bodySerializer: sent,
    parseAs: "blob",
  });
  assert(data, JSON.stringify(error));
  const picture: Blob = data;
  return Buffer.from(await picture.slice(0, count).arrayBuffer()).toString("hex");
}

/** The events of a claim, decoded by the types that the document names for them. */
async function claim(): Promise<string[]> {
  const body = new FormData();
  body.append("file", photo, "front.jpg");
  body.append("file", new Blob(["no photo"]), "none.jpg");
  const headers = { Accept: "text/event-stream" };
  const text = await (await fetch(`${url}/v1/inspect/claim`, { method: "POST", body, headers })).text();
  const blocks = text.split("\n\n").slice(0, -1).filter((block) => !block.startsWith(":"));
  const data = (name: string) =>
    blocks.filter((block) => block.startsWith(`event: ${name}\n`)).map((block) => block.split("\ndata: ")[1] ?? "");
  const photos = data("photo").map((one) => JSON.parse(one) as Schemas["ClaimPhoto"]);
  const codes: (string | undefined)[] = [0, 1].map((index) => photos.find((one) => one.index === index)?.problem?.code);
  assert.deepEqual(codes, [undefined, "unsupported_media_type"]);
  const width: number | undefined = photos.find((one) => one.index === 0)?.image?.width;
  assert(width);
  const [told] = data("claim").map((one) => JSON.parse(one) as Schemas["ClaimTold"]);
  assert(told?.complete);
  const missing: string[] | undefined = told.claim.views?.missing;
  assert(missing);
  return missing;
}

const models = await client.GET("/v1/models");
const card = models.data?.models.find((one) => one.name === "damage");
const figure: number | undefined = card?.figures["box_ap50"];
assert(figure && figure < 1);
const found = await damages();
assert(found.every((one) => card?.labels["label"]?.includes(one.label)));
const told = {
  label: found[0]?.label,
  line: await everything(),
  problems: await problems(),
  picture: await bytes("/v1/damage/annotated", 2),
  masks: await bytes("/v1/damage/masks", 4),
  claim: await claim(),
};
console.log(JSON.stringify(told));
