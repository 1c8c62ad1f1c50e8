// One real step before anything long starts: what it waits for, what it found, and a way to end it.
import { button, complain, make } from "./dom.js";
import { said, t } from "./i18n.js";
import { active, runs } from "./studio.js";

const HERE = "semblance.preflight"; // {run, draft} of the last one, so that a reload finds it

export class Preflight {
  constructor() {
    this.root = make("div", { class: "s-findings", id: "preflight-says", "aria-live": "polite" });
    this.run = null;
  }

  async start(wanted) {
    const job = await runs.preflight(wanted);
    this.run = job.id;
    localStorage.setItem(HERE, JSON.stringify({ run: job.id, draft: wanted.draft }));
    this.told = "";
    this.draw(job, "");
  }

  // The draft that is shown now: its own pre-flight is shown again after a reload.
  about(draft) {
    const kept = JSON.parse(localStorage.getItem(HERE) || "null");
    if (!this.run && kept?.draft === draft) [this.run, this.told] = [kept.run, ""];
  }

  // What it found does not hold for other settings.
  stale() {
    if (this.run && this.ended) this.clear();
  }

  clear() {
    this.run = null;
    this.root.replaceChildren();
    localStorage.removeItem(HERE);
  }

  look(jobs, seen) {
    const job = this.run && jobs.find((j) => j.id === this.run);
    if (this.run && !job) this.clear();
    if (job) this.draw(job, seen.waiting.find((w) => w.id === job.id)?.waits || "");
  }

  async draw(job, waits) {
    const told = job.state + waits;
    if (told === this.told && job.state !== "running") return;
    this.told = told;
    this.ended = !active(job);
    const cancel = button(t("queue.cancel"), () => runs.stop(job.id).catch(complain), { id: "preflight-cancel" });
    if (job.state === "queued") this.say("", waits ? said(waits) : t("preflight.waits"), cancel);
    else if (job.state === "running") {
      const { stage } = await runs.get(job.id);
      if (this.run === job.id && told === this.told) this.say("", t("preflight.runs", { stage: said(stage) }), cancel);
    } else if (job.state === "finished") {
      const found = await runs.result(job.id).catch(complain);
      if (!found || this.run !== job.id) return;
      this.say("good", said(found.says));
      this.root.append(...found.warnings.map((w) => make("div", { class: "s-note bad" }, said(w))));
    } else this.say("bad", job.message ? said(job.message) : t("preflight.cut"));
  }

  say(kind, text, ...more) {
    this.root.replaceChildren(make("div", { class: `s-note ${kind}` }, text, " ", ...more));
  }
}
