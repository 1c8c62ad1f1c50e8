// Saves what people change: a little after the last change, at once when the page goes away, and again where it failed.
import { button, make } from "./dom.js";
import { said, t } from "./i18n.js";

const AGAIN = [2000, 5000, 15000]; // milliseconds until the next try, the last for all after it
const unsaved = new Set(); // savers with something that is not kept yet
const failing = new Map(); // those of them whose last try failed, and why

// `call(...values)` saves soon; `call.flush()` at once, and waits for what is on its way too: it throws where that cannot be
// kept now. What is newer takes the place of what waits.
export function later(save, wait = 400) {
  let [timer, pending, under, tries] = [null, null, null, 0];

  const soon = (after) => {
    clearTimeout(timer);
    timer = setTimeout(() => call.flush().catch(() => {}), after);
  };

  // One after the other, so that what was typed last is what is kept.
  const send = async () => {
    while (pending) {
      const value = pending;
      pending = null;
      try {
        await save(...value);
        tries = 0;
        settle(call, pending);
      } catch (error) {
        pending ||= value;
        soon(AGAIN[Math.min(tries, AGAIN.length - 1)]);
        tries += 1;
        failing.set(call, said(error.message || String(error)));
        tell();
        throw error;
      }
    }
  };

  const call = (...value) => {
    pending = value;
    unsaved.add(call);
    soon(wait);
  };
  // `now`: without waiting for the one before, as the page goes away.
  call.flush = (now = false) => {
    clearTimeout(timer);
    if (pending && (now || !under)) {
      const sent = send().finally(() => { if (under === sent) under = null; });
      under = sent;
    }
    return under || Promise.resolve();
  };
  call.unsaved = () => unsaved.has(call);
  // What it was about is gone.
  call.forget = () => {
    clearTimeout(timer);
    pending = null;
    settle(call, null);
  };
  return call;
}

function settle(call, pending) {
  if (!pending) unsaved.delete(call);
  if (failing.delete(call)) tell();
}

// Stands there until everything is kept.
function tell() {
  document.querySelector("#unsaved")?.remove();
  const [why] = failing.values();
  if (!why) return;
  (document.querySelector("dialog[open]") || document.body).append(
    make("div", { class: "s-toast s-unsaved", id: "unsaved", role: "status" }, t("saving.not_yet", { why }),
      button(t("saving.drop"), () => [...failing.keys()].forEach((call) => call.forget()), { class: "s-button s-quiet" })));
}

const leave = () => unsaved.forEach((call) => call.flush(true).catch(() => {}));
addEventListener("pagehide", leave);
document.addEventListener("visibilitychange", () => document.hidden && leave());
addEventListener("beforeunload", (event) => failing.size && event.preventDefault());
