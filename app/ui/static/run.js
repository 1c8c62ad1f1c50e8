// One run: how far it is, its loss, its previews beside no adapter, and what can be done with it now.
import { lossCurve } from "./chart.js";
import { cloneDialog } from "./cloning.js";
import { button, complain, make, toast } from "./dom.js";
import { Follower } from "./follow.js";
import { decimal, number, said, t } from "./i18n.js";
import { recommendation, result } from "./results.js";
import { active, doing, duration, lab, runs, stateOf } from "./studio.js";

export class RunPanel {
  // `changed(id)` when something was done here that the lists should show, with the run to show then.
  constructor(changed) {
    this.changed = changed;
    this.root = make("section", { class: "s-panel", id: "run-panel", "aria-label": t("run.shown") });
    this.follower = new Follower((news) => this.draw(news), () => this.again());
    this.empty();
  }

  empty() {
    this.follower.close();
    this.job = null;
    delete this.root.dataset.state;
    this.root.replaceChildren(make("div", { class: "s-empty" }, t("run.empty")));
  }

  show(job) {
    this.job = job;
    this.parts = Object.fromEntries(["head", "bar", "facts", "acts", "notes", "loss", "previews", "result"].map((name) =>
      [name, make("div", { class: { head: "s-head", facts: "s-facts", acts: "s-acts", notes: "s-findings" }[name] || `s-run-${name}` })]));
    this.parts.notes.setAttribute("aria-live", "polite");
    this.root.replaceChildren(...Object.values(this.parts));
    this.follower.open(job.id);
    this.draw(new Set(["all"]));
    this.outcome();
    this.reckon();
  }

  // The lists have looked: the job may wait, run or have ended since.
  take(job, waits) {
    if (!this.job || job.id !== this.job.id) return;
    const other = job.state !== this.job.state || job.stopping !== this.job.stopping || waits !== this.waits;
    this.job = job;
    this.waits = waits;
    if (active(job) && !this.follower.following) this.follower.listen();
    if (other) this.draw(new Set(["state"]));
    if (other && !active(job)) this.outcome();
  }

  async again() {
    const job = this.job && await runs.get(this.job.id).catch(() => null);
    if (job) this.take(job, "");
    this.changed(null);
  }

  draw(news) {
    const { job, parts, follower: { seen } } = this;
    if (!job) return;
    const has = (...kinds) => news.has("all") || kinds.some((k) => news.has(k));
    this.root.dataset.state = job.state;
    this.root.dataset.step = seen.step;
    if (has("state", "stage", "end")) this.head();
    this.progress(seen);
    if (has("state", "checkpoint", "end")) this.buttons();
    if (has("state", "warning", "finished", "end") || (this.guess && seen.step === 1)) this.notes();
    if (has("step", "resumed") && seen.losses.length > 1) parts.loss.replaceChildren(lossCurve(seen.losses, seen.total));
    if (has("preview") && seen.previews.size) this.previews();
  }

  head() {
    const { job } = this;
    const stage = job.stopping ? t("run.stopping") : job.state === "running" ? said(this.follower.seen.stage || "Starting") : stateOf(job);
    this.parts.head.replaceChildren(make("h3", {}, job.name, " ", make("small", {}, doing(job.kind))),
      make("span", { class: "s-state", "data-state": job.state, role: "status" }, stage));
  }

  progress(seen) {
    if (!seen.total && !active(this.job)) return; // it ended without a word on how far it was
    const done = seen.total ? (100 * seen.step) / seen.total : 0;
    this.parts.bar.replaceChildren(make("div", { class: "s-bar", role: "progressbar", "aria-label": t("run.progress"),
      "aria-valuenow": String(Math.round(done)), "aria-valuemin": "0", "aria-valuemax": "100" }, make("i", { style: `width:${done}%` })));
    const facts = [[this.job.kind === "train" ? t("run.step") : t("run.done"), seen.total ? t("run.of", { step: seen.step, total: seen.total }) : "–"]];
    const last = seen.losses[seen.losses.length - 1];
    if (last) facts.push([t("run.loss"), decimal(last[1], 4)]);
    if (last && this.job.state === "running") facts.push([t("run.left"), duration(seen.left)]);
    if (last) facts.push([t("run.pace"), seen.pace < 0.1 ? `${number(1000 * seen.pace)} ms` : `${number(seen.pace, 2)} s`]);
    this.parts.facts.replaceChildren(...facts.map(([name, value]) => make("div", {}, make("small", {}, name), make("b", {}, value))));
  }

  // Before the first step: what a training will most likely take.
  async reckon() {
    const { job } = this;
    this.guess = "";
    if (job.kind !== "train" || !active(job)) return;
    const found = await runs.estimateOf(job.id).catch(() => null); // a base that is gone: the run itself will say so
    if (!found || this.job?.id !== job.id) return;
    this.guess = found.says;
    this.notes();
  }

  notes() {
    const { job, follower: { seen } } = this;
    const note = (text, kind = "") => make("div", { class: `s-note ${kind}` }, text);
    const notes = seen.warnings.map((w) => note(said(w)));
    if (job.message) notes.push(note(said(job.message), "bad"));
    if (job.state === "queued" && this.waits) notes.push(note(said(this.waits)));
    if (active(job) && this.guess && !seen.step) notes.push(note(said(this.guess)));
    if (job.state === "finished" && seen.trigger) notes.push(make("div", { class: "s-note good" },
      t("run.ready"), " ", make("b", {}, seen.trigger)));
    this.parts.notes.replaceChildren(...notes);
  }

  buttons() {
    const { job } = this;
    const training = job.kind === "train";
    const kept = this.follower.seen.checkpoints.length > 0;
    const can = (when, label, act, id, title = "") => when && button(label, () => this.act(act), { id, title });
    const held = document.activeElement?.id;
    this.parts.acts.replaceChildren(...[
      can(active(job) && !job.stopping, job.state === "queued" ? t("run.take_out") : t("queue.stop"), () => runs.stop(job.id), "stop",
        training && job.state === "running" ? t("run.stop_hint") : ""),
      can(!active(job) && job.state !== "finished" && job.kind !== "preflight", t("run.resume"), () => runs.resume(job.id), "resume"),
      can(training && job.state === "running", t("run.sample"), () => this.wish("sample", t("run.sampled")), "sample-now"),
      can(training && job.state === "running", t("run.save"), () => this.wish("save", t("run.saved")), "save-now"),
      can(training && kept && job.state !== "finished", t("run.keep"), () => this.keep(null), "keep",
        t("run.keep_hint")),
      can(training && kept && job.state !== "running", t("run.recommend"), () => this.lead(runs.recommend(job.id)), "recommend",
        t("run.recommend_hint")),
      can(training && job.state === "finished", t("run.measure"), () => this.lead(lab.evaluate({ adapter: job.name, run: job.id })), "measure",
        t("run.measure_hint")),
      can(training, t("run.clone"), () => cloneDialog(job, (cloned) => this.lead(cloned)), "clone", t("run.clone_hint")),
      can(job.state !== "running", t("run.delete"), () => this.remove(), "delete-run"),
    ].filter(Boolean));
    if (held) this.parts.acts.querySelector(`#${CSS.escape(held)}`)?.focus();
  }

  async act(run) {
    const { id } = this.job;
    try {
      await run();
      const job = await runs.get(id).catch(() => null);
      if (job && this.job?.id === id) this.take(job, "");
      this.changed(null);
    } catch (error) {
      complain(error);
    }
  }

  async wish(what, told) {
    await runs.now(this.job.id, what);
    toast(told);
  }

  async keep(step) {
    const { adapter } = await runs.keep(this.job.id, step);
    toast(t("run.kept", { name: adapter }));
  }

  // Goes on to the job that was just queued.
  async lead(started) {
    const job = await started;
    this.changed(job.id);
    toast(t("run.queued", { name: job.name, doing: doing(job.kind) }));
  }

  async remove() {
    const { id, name } = this.job;
    await runs.remove(id);
    this.empty();
    toast(t("run.put_away", { name }), { label: t("undo"), run: () => runs.restore(id).then(() => this.changed(id), complain) });
  }

  // Prompts down, steps across; the first column is the same seed without the adapter.
  previews() {
    const { seen } = this.follower;
    const steps = [...seen.previews.keys()].sort((a, b) => a - b);
    const title = (step) => (step === 0 ? t("run.no_adapter") : t("run.at_step", { step }));
    const cell = (step, number) => {
      const file = seen.previews.get(step).get(number);
      const source = file && runs.preview(this.job.id, file);
      return make("td", { class: step === 0 ? "base" : null }, source && make("a", { href: source, target: "_blank" },
        make("img", { src: source, loading: "lazy", alt: `${seen.prompts.get(number)}, ${title(step)}` })));
    };
    const box = this.parts.previews;
    const atEnd = box.scrollLeft + box.clientWidth >= box.scrollWidth - 4;
    box.replaceChildren(make("table", { class: "s-sheet", id: "previews", style: `--columns: ${steps.length}` },
      make("thead", {}, make("tr", {}, make("td", {}), ...steps.map((s) => make("th", { scope: "col", class: s === 0 ? "base" : null }, title(s))))),
      make("tbody", {}, ...[...seen.prompts.keys()].sort().map((number) => make("tr", {},
        make("th", { scope: "row" }, seen.prompts.get(number)), ...steps.map((s) => cell(s, number)))))));
    if (atEnd) box.scrollLeft = box.scrollWidth;
  }

  // What an ended job has to show: a result, or the checkpoint that was chosen for a training.
  async outcome() {
    const { job } = this;
    if (active(job)) return;
    const found = job.kind === "train" ? await runs.recommended(job.id).catch(() => null)
      : job.state === "finished" ? await runs.result(job.id).catch(complain) : null;
    if (!found || this.job?.id !== job.id) return;
    const keep = (step) => this.act(() => this.keep(step));
    this.parts.result.replaceChildren(job.kind === "train" ? recommendation(found, keep) : result(found, job));
  }
}
