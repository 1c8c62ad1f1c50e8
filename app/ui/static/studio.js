// The studio's own addresses for runs, the queue, methods and the lab. Each answer is JSON; a refusal is an Error.
import { ask, json } from "./api.js";
import { unlessFace } from "./face.js";
import { t } from "./i18n.js";

const at = (id, rest = "") => `/studio/runs/${encodeURIComponent(id)}${rest}`;
const post = (path, body = {}) => ask(path, json("POST", body));

export const runs = {
  all: () => ask("/studio/runs"),
  get: (id) => ask(at(id)),
  start: (wanted) => unlessFace((more) => post("/studio/runs", { ...wanted, ...more })),
  preflight: (wanted) => unlessFace((more) => post("/studio/runs/preflight", { ...wanted, ...more })),
  estimate: (wanted) => post("/studio/runs/estimate", wanted),
  estimateOf: (id) => ask(at(id, "/estimate")),
  stop: (id) => post(at(id, "/stop")),
  resume: (id) => post(at(id, "/resume")),
  keep: (id, step = null) => post(at(id, "/keep"), { step }),
  now: (id, what) => post(at(id, `/${what}-now`)),
  settings: (id) => ask(at(id, "/settings")),
  clone: (id, name, settings) => post(at(id, "/clone"), { name, settings }),
  remove: (id) => ask(at(id), { method: "DELETE" }),
  restore: (id) => post(at(id, "/restore")),
  result: (id) => ask(at(id, "/result")),
  recommend: (id) => post(at(id, "/recommend")),
  recommended: (id) => ask(at(id, "/recommended")),
  events: (id, after) => at(id, `/events?after=${after}`),
  preview: (id, file) => at(id, `/previews/${file}`),
};

export const queue = {
  seen: () => ask("/studio/queue"),
  pause: (paused) => post(paused ? "/studio/queue/pause" : "/studio/queue/go-on"),
  move: (id, where) => post(at(id, "/move"), { where }),
  later: (id, time) => post(at(id, "/later"), { at: time }),
};

export const methods = {
  all: () => ask("/studio/methods"),
  values: (method, chosen) => ask(`/studio/methods/${method}/settings?${new URLSearchParams(chosen)}`),
};

export const lab = {
  compare: (wanted) => unlessFace((more) => post("/studio/comparisons", { ...wanted, ...more })),
  evaluate: (wanted) => post("/studio/evaluations", wanted),
};

const DOING = { train: () => t("doing.train"), preflight: () => t("doing.preflight"), evaluate: () => t("doing.evaluate"),
  compare: () => t("doing.compare"), recommend: () => t("doing.recommend"), paint: () => t("doing.paint") };
const STATES = { queued: () => t("state.queued"), running: () => t("state.running"), finished: () => t("state.finished"),
  stopped: () => t("state.stopped"), failed: () => t("state.failed"), interrupted: () => t("state.interrupted") };
export const doing = (kind) => DOING[kind]();
export const stateOf = (job) => STATES[job.state]();
export const active = (job) => job.state === "queued" || job.state === "running";

export function duration(seconds) {
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}
