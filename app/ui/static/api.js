// Talks to the studio's own addresses. Every answer is JSON; one that failed has `error`, a sentence.
import { t } from "./i18n.js";

const ROOT = "/studio/drafts";
const IMAGES = "/studio/images";

async function read(answer) {
  if (answer.status === 401) location.assign("/login"); // logged out, or for too long away
  const told = await answer.json().catch(() => ({ error: t("fault.status", { status: String(answer.status) }) }));
  if (!answer.ok) throw Object.assign(new Error(told.error || told.detail || t("fault.status", { status: String(answer.status) })), { told });
  return told;
}

export const ask = async (path, options = {}) => read(await fetch(path, options));

// A picture, and what a header says of it.
async function picture(path, header, options = {}) {
  const answer = await fetch(path, options);
  if (!answer.ok) await read(answer);
  return [await answer.blob(), answer.headers.get(header)];
}

export const json = (method, body) => ({ method, headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });

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
  find: async (id, shot, pointed) => {
    const [blob, by] = await picture(at(id, `/pictures/${shot}/find`), "X-Found-By", json("POST", { pointed }));
    return { blob, by };
  },
  seen: async (id, shot, method, base) => {
    const [blob, said] = await picture(at(id, `/pictures/${shot}/seen?${new URLSearchParams({ method, base })}`), "X-Seen");
    return { blob, said };
  },
  captioners: () => ask("/studio/captioners"),
  write: (id, model) => ask(at(id, "/captions/write"), json("POST", { model })),
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

// Saves a little after the last change, and at once when the page goes away. `flush()` waits for what is on its way too.
export function later(save, wait = 400) {
  let timer = null;
  let pending = null;
  let under = Promise.resolve();
  const flush = () => {
    clearTimeout(timer);
    timer = null;
    const value = pending;
    pending = null;
    if (value) under = Promise.resolve(save(...value));
    return under;
  };
  addEventListener("pagehide", flush);
  const call = (...value) => {
    pending = value;
    clearTimeout(timer);
    timer = setTimeout(flush, wait);
  };
  call.flush = flush;
  return call;
}
