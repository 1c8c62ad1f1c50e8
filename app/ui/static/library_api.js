// The library's addresses.
import { ask, json, reach, send } from "./api.js";

const ROOT = "/studio/library";
const at = (name, rest = "") => `${ROOT}/${encodeURIComponent(name)}${rest}`;

export const previewAt = (entry) => at(entry.name, `/preview?${entry.preview}`);
export const downloadAt = (id) => `/studio/exports/${encodeURIComponent(id)}`;

export const library = {
  find: (query) => ask(`${ROOT}?${new URLSearchParams(query)}`),
  get: (name) => ask(at(name)),
  card: async (name) => {
    const answer = await reach(at(name, "/card"));
    if (!answer.ok) throw new Error((await answer.json()).error);
    return answer.text();
  },
  change: (name, fields) => ask(at(name), json("PATCH", fields)),
  remove: (name) => ask(at(name), { method: "DELETE" }),
  trash: () => ask("/studio/trash"),
  restore: (id) => ask(at(id, "/restore"), { method: "POST" }),
  bring: (file, progress) => send(`${ROOT}?${new URLSearchParams({ file: file.name })}`, file, progress),
  check: (name, way) => ask(at(name, `/export/${way.format}`), json("POST", { approximate: way.approximate })),
};
