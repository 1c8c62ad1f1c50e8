// The addresses of the machine and its bases.
import { ask, json, send } from "./api.js";

export const system = {
  get: () => ask("/studio/system"),
  device: () => ask("/studio/system/device"),
  emptyTrash: () => ask("/studio/trash", { method: "DELETE" }),
  offline: (offline) => ask("/studio/system", json("PATCH", { offline })),
};

export const bases = {
  all: () => ask("/studio/bases"),
  add: (spec) => ask("/studio/bases", json("POST", { spec })),
  remove: (id) => ask(`/studio/bases/${id}`, { method: "DELETE" }),
  look: (id) => ask("/studio/hub", json("POST", { id })),
  helpers: () => ask("/studio/helpers"),
  downloads: () => ask("/studio/downloads"),
  download: (id) => ask("/studio/downloads", json("POST", { id })),
  cancel: (id) => ask("/studio/downloads/cancel", json("POST", { id })),
  upload: (file, progress) => send(`/studio/bases/upload?${new URLSearchParams({ file: file.name })}`, file, progress),
};
