// One photo: its file, its picture on the screen, and what became of it.

import { form, query, request } from "./api.js";
import { text } from "./texts.js";

let made = 0;

export class Photo {
  constructor(file) {
    this.id = ++made;
    this.file = file;
    this.name = file.name || text("look.photo");
    this.state = "waiting"; // looking, answered, failed
    this.answer = null;
    this.problem = null;
    this.url = URL.createObjectURL(file);
    this.own = shows(this.url);
    this.instead = null;
    this.thumb = this.url;
  }

  /** An address of a picture of it that this browser shows, upright; null where there is none yet. */
  async picture(served, signal) {
    const size = await this.own;
    const image = this.answer?.image;
    if (size && !(image && turned(size, image))) return this.url;
    if (!image) return null;
    this.instead ??= this.plain(served, signal).catch((error) => {
      this.instead = null;
      throw error;
    });
    return this.instead;
  }

  /** The service's picture of it, for a browser that cannot read the format, HEIC say. */
  async plain(served, signal) {
    const named = Object.entries(served.models).filter(([, model]) => model.calls.includes("annotated"));
    // Nothing reaches a score of 1, so nothing is drawn, and what is found can be drawn over it here.
    const [bare] = named.filter(([, model]) => model.options.includes("min_score") && model.options.includes("masks"));
    const path = bare
      ? `v1/${bare[0]}/annotated${query(served, { min_score: 1, max_detections: 1, masks: "none" })}`
      : named.length && `v1/${named[0][0]}/annotated`;
    if (!path) return null;
    const given = { body: form(this.file), accept: "image/jpeg", deadline: served.deadline_ms, signal };
    return URL.createObjectURL(await (await request(path, given)).blob());
  }

  async forget() {
    URL.revokeObjectURL(this.url);
    const instead = await this.instead?.catch(() => null);
    if (instead) URL.revokeObjectURL(instead);
  }
}

/** Width and height as this browser shows the file, after its EXIF orientation; null where it cannot. */
async function shows(url) {
  const image = new Image();
  image.src = url;
  try {
    await image.decode();
    return { width: image.naturalWidth, height: image.naturalHeight };
  } catch {
    return null;
  }
}

/** Whether the browser holds the picture another way round than the service, whose coordinates then would not fit. */
const turned = (size, image) => size.width > size.height !== image.width > image.height && image.width !== image.height;
