// Talks to the studio's own addresses. Every answer is JSON; one that failed has `error`, a sentence.
import { t } from "./i18n.js";

const ROOT = "/studio/drafts";
const IMAGES = "/studio/images";

async function read(answer) {
  if (answer.status === 401) location.assign("/login"); // logged out, or for too long away
  const told = await answer.json().catch(() => ({ error: t("fault.status", { status: String(answer.status) }) }));
  if (!answer.ok) {
    const error = new Error(told.error || told.detail || t("fault.status", { status: String(answer.status) }));
    throw Object.assign(error, { status: answer.status, told });
  }
  return told;
}

// What came back, whatever it is; a browser's own words for silence ("Failed to fetch") say nothing to anyone.
export async function reach(path, options = {}) {
  try {
    return await fetch(path, options);
  } catch {
    throw new Error(t("fault.silent"));
  }
}

export const ask = async (path, options = {}) => read(await reach(path, options));

// A picture, and what a header says of it.
async function picture(path, header, options = {}) {
  const answer = await reach(path, options);
  if (!answer.ok) await read(answer);
  return [await answer.blob(), answer.headers.get(header)];
}

// A file as a request's body. Not by fetch, which does not say how much of it has been sent: `progress(done)` is told.
export function send(path, file, progress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", path);
    request.responseType = "text";
    request.upload.onprogress = (event) => progress(event.loaded);
    request.onerror = () => reject(new Error(t("fault.silent")));
    request.onload = () => resolve(read(new Response(request.response, { status: request.status })));
    request.send(file);
  });
}

// While the page goes away a browser drops what is under way, unless it was asked to keep it; it keeps 64 kB in all.
const KEPT = 20_000; // characters
let leaving = false;
addEventListener("pagehide", () => { leaving = true; }, { capture: true });
addEventListener("pageshow", () => { leaving = false; });

export function json(method, value) {
  const body = JSON.stringify(value);
  return { method, headers: { "Content-Type": "application/json" }, body,
           keepalive: (leaving || document.hidden) && body.length < KEPT };
}

function upload(method, name, files) {
  const form = new FormData();
  for (const [title, file] of files) form.append(name, file, title);
  return { method, body: form };
}

export const at = (id, rest = "") => `${ROOT}/${id}${rest}`;
export const pictureAt = (id, shot, small = false) => at(id, `/pictures/${shot}${small ? "?small=true" : ""}`);
export const maskAt = (id, shot, thing) => at(id, `/pictures/${shot}/masks/${thing}`);

export const drafts = {
  all: () => ask(ROOT),
  create: () => ask(ROOT, { method: "POST" }),
  get: (id) => ask(at(id)),
  update: (id, fields) => ask(at(id), json("PATCH", fields)),
  remove: (id) => ask(at(id), { method: "DELETE" }),
  restore: (id) => ask(at(id, "/restore"), { method: "POST" }),
  checks: (id, base) => ask(at(id, `/checks?${new URLSearchParams({ base })}`)),
  replace: (id, find, put) => ask(at(id, "/captions"), json("PATCH", { find, put })),
  captions: (id, files) => ask(at(id, "/captions"), upload("POST", "files", files.map((f) => [f.name, f]))),
  add: (id, files) => ask(at(id, "/pictures"), upload("POST", "files", files.map((f) => [f.name, f]))),
  change: (id, shot, fields) => ask(pictureAt(id, shot), json("PATCH", fields)),
  take: (id, shot) => ask(pictureAt(id, shot), { method: "DELETE" }),
  takeBack: (id, shot) => ask(at(id, `/pictures/${shot}/restore`), { method: "POST" }),
  find: async (id, shot, pointed, base) => {
    const [blob, by] = await picture(at(id, `/pictures/${shot}/find`), "X-Found-By", json("POST", { pointed, base }));
    return { blob, by };
  },
  findThing: (id, shot, thing, base) => ask(`${maskAt(id, shot, thing)}/find`, json("POST", { base })),
  seen: async (id, shot, chosen) => {
    const [blob, said] = await picture(at(id, `/pictures/${shot}/seen`), "X-Seen", json("POST", chosen));
    return { blob, said };
  },
  captioners: () => ask("/studio/captioners"),
  write: (id, shot, model) => ask(at(id, `/pictures/${shot}/caption`), json("POST", { model })),
  paint: (id, shot, thing, blob) => ask(maskAt(id, shot, thing), upload("PUT", "file", [["mask.png", blob]])),
  clear: (id, shot, thing) => ask(maskAt(id, shot, thing), { method: "DELETE" }),
};

export const imageAt = (file, small = false) => `${IMAGES}/${file}${small ? "?small=true" : ""}`;
export const sourceAt = (id, mask = false) => `${IMAGES}/sources/${id}${mask ? "?mask=true" : ""}`;
export const previewAt = (id, version) => `${IMAGES}/paintings/${id}/preview?${version}`;

export const images = {
  choices: () => ask(`${IMAGES}/choices`),
  paint: (body) => ask(`${IMAGES}/paintings`, json("POST", body)),
  paintings: () => ask(`${IMAGES}/paintings`),
  painting: (id) => ask(`${IMAGES}/paintings/${id}`),
  cancel: (id) => ask(`${IMAGES}/paintings/${id}`, { method: "DELETE" }),
  move: (id, where) => ask(`${IMAGES}/paintings/${id}/move`, json("POST", { where })),
  settings: (file) => ask(`${IMAGES}/settings`, upload("POST", "file", [[file.name || "picture.png", file]])),
  find: (query) => ask(`${IMAGES}?${new URLSearchParams(query)}`),
  made: (file) => ask(`${IMAGES}/${file}/settings`),
  favour: (file, favourite) => ask(`${IMAGES}/${file}`, json("PATCH", { favourite })),
  remove: (file) => ask(`${IMAGES}/${file}`, { method: "DELETE" }),
  restore: (file) => ask(`${IMAGES}/${file}/restore`, { method: "POST" }),
  keepStyle: (style) => ask(`${IMAGES}/styles`, json("PUT", style)),
  dropStyle: (name) => ask(`${IMAGES}/styles/${encodeURIComponent(name)}`, { method: "DELETE" }),
  source: (picture, mask) => {
    const form = new FormData();
    form.append("picture", picture, picture.name || "picture.png");
    if (mask) form.append("mask", mask, "mask.png");
    return ask(`${IMAGES}/sources`, { method: "POST", body: form });
  },
};
