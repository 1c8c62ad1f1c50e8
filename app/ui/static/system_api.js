// The addresses of the machine and its bases.
import { ask, json } from "./api.js";
import { t } from "./i18n.js";

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
  // Not by fetch, which does not say how much of a file has been sent.
  upload: (file, progress) => new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", `/studio/bases/upload?${new URLSearchParams({ file: file.name })}`);
    request.upload.onprogress = (event) => progress(event.loaded, event.total);
    request.onerror = () => reject(new Error(t("fault.silent")));
    request.onload = () => {
      let told = {};
      try { told = JSON.parse(request.responseText); } catch { /* no JSON: the state says it all */ }
      if (request.status === 200) resolve(told);
      else reject(new Error(told.error || t("fault.status", { status: String(request.status) })));
    };
    request.send(file);
  }),
};
