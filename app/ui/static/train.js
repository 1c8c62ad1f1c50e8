// The Train room: a draft, a method and a few decisions on one side, the queue and the run that is shown on the other.
import { drafts, pictureAt } from "./api.js";
import { BaseChoice } from "./base_choice.js";
import { chosenFor, keepChosen, onTeach } from "./chosen.js";
import { compareDialog } from "./comparing.js";
import { button, complain, make, toast, whenThere } from "./dom.js";
import { language, onNewLanguage, said, t } from "./i18n.js";
import { Preflight } from "./preflight.js";
import { QueueList } from "./queue.js";
import { openRoom } from "./rooms.js";
import { RunPanel } from "./run.js";
import { Settings } from "./settings.js";
import { doing, methods, queue, runs } from "./studio.js";

const HERE = "semblance.run"; // which run this browser looked at last
const LOOK = 1500; // milliseconds between two looks at the queue

class Room {
  constructor(root) {
    this.root = root;
    this.draft = null;
    this.opening = Promise.resolve();
    this.queue = new QueueList((id) => this.open(id));
    this.run = new RunPanel((id) => this.look(id).catch(complain));
    this.preflight = new Preflight();
    this.settings = new Settings(() => { this.preflight.stale(); this.keep(); this.reckon(); });
  }

  // `kept` is what was chosen in a room that stood here before, in another language.
  async begin(kept = null) {
    this.known = kept?.known || await methods.all();
    this.layout();
    this.choose(this.known.methods[0].method);
    if (kept) this.recall(kept);
    const sent = onTeach((id) => this.take(id));
    await this.list();
    if (!sent && this.choices.options.length) this.take(this.choices.value);
    await this.look(new URLSearchParams(location.search).get("run") || localStorage.getItem(HERE));
    this.shows = new IntersectionObserver(([entry]) => entry.isIntersecting && this.list().catch(complain));
    this.shows.observe(this.root);
    this.root.dataset.ready = "true";
    this.watch();
  }

  // Again and again, one look at a time; a studio that does not answer is looked for until it does.
  async watch() {
    while (!this.over) {
      await new Promise((done) => { setTimeout(done, LOOK); });
      if (!document.hidden && !this.over) await this.look(null).catch(() => {});
    }
  }

  // What a person has chosen so far; nothing here goes on after that.
  end() {
    this.over = true;
    this.shows?.disconnect();
    this.run.follower.close();
    return { known: this.known, wanted: this.wanted, ...this.all() };
  }

  all() {
    return { method: this.method, chosen: this.chosen(), typed: this.settings.typed() };
  }

  recall({ wanted, method, chosen, typed }) {
    this.wanted = wanted || this.wanted;
    this.base.value = chosen.base;
    this.memory.value = chosen.memory;
    this.root.querySelector(`input[name=preset][value="${CSS.escape(chosen.preset)}"]`).checked = true;
    this.choose(method);
    this.settings.retype(typed);
    this.keep();
  }

  keep() {
    if (!this.draft || this.draft.id !== this.wanted) return;
    keepChosen(this.draft.id, { things: this.draft.things.length, ...this.all(), settings: this.settings.values() });
  }

  // What was chosen for a draft before, where it is still possible.
  kept(draft) {
    const found = chosenFor(draft.id);
    const there = found && this.known.methods.some((m) => m.method === found.method) && this.known.presets.some((p) => p.name === found.chosen.preset);
    return there && found.things === draft.things.length ? found : null;
  }

  layout() {
    this.choices = make("select", { id: "draft", onchange: (e) => this.take(e.target.value) });
    this.about = make("div", { id: "about-draft", class: "s-about", "aria-live": "polite" });
    this.startButton = button(t("train.start"), () => this.start(), { class: "s-button s-primary", id: "start", "aria-describedby": "about-draft" });
    this.guess = make("p", { class: "s-hint", id: "estimate", "aria-live": "polite" });
    this.shown = make("select", { id: "run", onchange: (e) => this.open(e.target.value) });
    this.root.replaceChildren(make("div", { class: "s-train" },
      make("div", { class: "s-teach" },
        make("label", { class: "s-labelled" }, t("concepts.draft"), this.choices), this.about, this.cards(), this.thorough(), this.advanced(),
        make("div", { class: "s-foot" }, this.startButton,
          button(t("train.preflight"), () => this.tryAStep(), { id: "preflight", title: t("train.preflight_hint") }),
          button(t("train.compare"), () => this.compare(), { id: "compare-methods" })),
        this.guess, this.preflight.root),
      make("div", { class: "s-side-by" }, this.queue.root,
        make("label", { class: "s-labelled" }, t("train.shown"), this.shown), this.run.root)));
  }

  radio(name, value, changed, ...label) {
    return make("label", { class: "s-pick" }, make("input", { type: "radio", name, value, onchange: () => changed(value) }), ...label);
  }

  // Plain words first, the paper second.
  cards() {
    return make("fieldset", { class: "s-methods", id: "method" }, make("legend", {}, t("train.method")),
      ...this.known.methods.map((m) => this.radio("method", m.method, (v) => this.choose(v),
        make("span", {}, make("b", {}, said(m.title)), make("small", {}, m.paper), m.needs_masks && make("small", {}, t("train.needs_masks"))))));
  }

  thorough() {
    const boxes = this.known.presets.map((p) => this.radio("preset", p.name, () => this.values(), said(p.label)));
    boxes.find((b) => b.firstChild.value === "balanced").firstChild.checked = true;
    return make("fieldset", { class: "s-inline", id: "preset" }, make("legend", {}, t("train.preset")), ...boxes);
  }

  advanced() {
    this.base = new BaseChoice("starter", () => this.values(), { id: "train-base", "aria-describedby": "train-base-tip" });
    this.memory = make("select", { id: "memory", onchange: () => this.values(), "aria-describedby": "memory-tip" }, make("option", { value: "" }, t("train.any")),
      ...this.known.memory.map((m) => make("option", { value: m }, `${m} GB`)));
    this.fault = make("div", { "aria-live": "polite" });
    const tip = (id, text) => make("p", { class: "s-tip", id, role: "tooltip" }, text);
    return make("details", { class: "s-more", id: "advanced" }, make("summary", {}, t("train.advanced")),
      make("div", { class: "s-settings" },
        make("div", { class: "s-setting" }, make("label", {}, t("train.base"), this.base.select), this.base.typed, this.base.reason,
          tip("train-base-tip", t("train.base_hint"))),
        make("div", { class: "s-setting" }, make("label", {}, t("train.memory"), this.memory),
          tip("memory-tip", t("train.memory_hint")))),
      this.fault, make("p", { class: "s-hint" }, t("train.empty_fields")), this.settings.root);
  }

  get method() {
    return this.root.querySelector("input[name=method]:checked")?.value;
  }

  choose(method) {
    this.root.querySelector(`input[name=method][value="${CSS.escape(method)}"]`).checked = true;
    this.settings.show(this.known.methods.find((m) => m.method === method));
    this.values();
  }

  chosen() {
    return { base: this.base.value, memory: this.memory.value,
      preset: this.root.querySelector("input[name=preset]:checked").value };
  }

  // The preset's values under the fields; what cannot be is said beside them.
  async values() {
    this.preflight.stale();
    this.keep();
    try {
      await this.settings.presets(this.chosen());
      this.fault.replaceChildren();
    } catch (error) {
      this.fault.replaceChildren(make("div", { class: "s-note bad" }, said(error.message)));
    }
    this.reckon();
  }

  // What it will take, reckoned at once; what cannot be is said beside the settings and when it is started.
  async reckon() {
    this.reckoned = (this.reckoned || 0) + 1;
    const turn = this.reckoned;
    const asked = this.draft && { draft: this.draft.id, method: this.method, ...this.chosen(), settings: this.settings.values() };
    const found = asked && await runs.estimate(asked).catch(() => null);
    if (turn === this.reckoned) this.guess.textContent = found ? said(found.says) : "";
  }

  async list() {
    this.base.refresh();
    const all = (await drafts.all()).filter((d) => d.pictures || d.id === this.wanted);
    const kept = this.wanted || this.choices.value;
    this.choices.replaceChildren(...all.map((d) => make("option", { value: d.id, selected: d.id === kept },
      t("train.draft_of", { label: d.label, n: d.pictures }))));
    this.choices.parentElement.hidden = !all.length;
    if (!all.length) {
      this.about.replaceChildren(make("div", { class: "s-empty" }, make("p", {}, t("train.no_pictures")),
        button(t("train.to_concepts"), () => openRoom("concepts"), { id: "to-concepts" })));
    }
    this.startButton.disabled = !all.length;
    this.startButton.title = all.length ? "" : t("train.no_pictures");
    const gone = this.draft && !all.some((d) => d.id === this.draft.id);
    if (gone && this.wanted === this.draft.id) {
      this.draft = null;
      if (all.length) this.take(all[0].id);
    } else if (this.wanted) this.take(this.wanted);
  }

  // From the first moment nothing but this draft is shown or can be started.
  take(id) {
    if (id !== this.draft?.id) {
      this.about.replaceChildren(make("p", { class: "s-hint" }, t("train.opening")));
      this.preflight.clear();
    }
    this.wanted = id;
    this.opening = this.openDraft(id).catch(complain);
  }

  async openDraft(id) {
    const draft = await drafts.get(id);
    if (this.wanted !== id) return; // another was chosen meanwhile
    const other = id !== this.draft?.id || draft.things.length !== this.draft.things.length;
    const kept = id !== this.draft?.id && this.kept(draft);
    this.draft = draft;
    if (![...this.choices.options].some((o) => o.value === id)) this.choices.append(make("option", { value: id }, draft.label));
    this.choices.value = id;
    const things = draft.things.flatMap((thing, n) => [n ? ", " : "", make("b", {}, thing.name || t("train.no_name")), t("train.a_noun", { noun: thing.noun || "…" })]);
    const masked = draft.shots.filter((s) => draft.things.every((t) => s.masks.includes(t.id))).length;
    this.about.dataset.draft = id;
    this.about.replaceChildren(make("div", { class: "s-strip" }, ...draft.shots.slice(0, 8).map((s) =>
      make("img", { src: pictureAt(id, s.id, true), alt: s.name, loading: "lazy" }))),
      make("p", {}, ...things, draft.shots.length ? "" : t("train.none_yet"), masked ? t("train.masked", { masked, of: draft.shots.length }) : ""));
    if (kept) this.recall(kept);
    else if (other) this.choose(this.fitting());
    else this.reckon();
    this.preflight.about(id);
  }

  // Several things want a method that learns them apart; one keeps what was chosen for one.
  fitting() {
    const several = this.draft.things.length > 1;
    const now = this.known.methods.find((m) => m.method === this.method);
    return (now?.several === several ? now : this.known.methods.find((m) => m.several === several) || this.known.methods[0]).method;
  }

  // What is asked for, once the draft that was chosen last stands there.
  async asked() {
    await this.opening;
    if (!this.draft || this.draft.id !== this.wanted) throw new Error(t("train.first"));
    return { draft: this.draft.id, method: this.method, ...this.chosen(), settings: this.settings.values() };
  }

  // `name` is another than the draft's, which a concept has already.
  async start(name = "") {
    this.startButton.disabled = true; // one press, one training
    try {
      const job = await runs.start({ ...await this.asked(), name });
      await this.look(job.id);
      if (innerWidth <= 900) this.queue.root.scrollIntoView({ behavior: "smooth" });
    } catch (error) {
      const free = error.told?.free;
      if (free) toast(said(error.message), { label: t("train.start_as", { name: free }), run: () => this.start(free) });
      else complain(error);
    }
    this.startButton.disabled = false;
  }

  async tryAStep() {
    try {
      await this.preflight.start(await this.asked());
    } catch (error) {
      complain(error);
    }
  }

  async compare() {
    try {
      const { draft, base, preset, settings: { steps = null } } = await this.asked();
      compareDialog(this.known.methods, this.draft, { draft, base, preset, steps }, (job) => this.look(job.id).catch(complain));
    } catch (error) {
      complain(error);
    }
  }

  // The queue and all runs as they are now; `id` is shown from now on.
  async look(id) {
    this.asking = (this.asking || 0) + 1;
    const turn = this.asking;
    this.next = id || this.next;
    const [seen, all] = await Promise.all([queue.seen(), runs.all()]);
    if (this.over || turn < this.answered) return; // a later look has been answered before
    this.answered = turn;
    const jobs = all.filter((j) => j.kind !== "preflight");
    this.queue.take(seen);
    this.preflight.look(all, seen);
    const date = (j) => new Date(1000 * j.created).toLocaleString(language(), { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
    const told = JSON.stringify(jobs.map((j) => [j.id, j.state]));
    const job = jobs.find((j) => j.id === this.next) || jobs.find((j) => j.id === this.run.job?.id)
      || jobs.find((j) => j.state === "running") || jobs[0];
    if (job && job.id === this.next) this.next = null;
    if (told !== this.told) {
      this.shown.replaceChildren(...jobs.map((j) => make("option", { value: j.id }, `${j.name}, ${doing(j.kind)}, ${date(j)}`)));
      if (job) this.shown.value = job.id;
      this.reckon(); // what has ended says how fast this machine is
    }
    this.told = told;
    this.shown.parentElement.hidden = !jobs.length;
    if (!job) this.run.empty();
    else if (job.id !== this.run.job?.id) this.show(job);
    else this.run.take(job, seen.waiting.find((w) => w.id === job.id)?.waits || "");
  }

  open(id) {
    this.look(id).catch(complain);
  }

  show(job) {
    localStorage.setItem(HERE, job.id);
    this.shown.value = job.id;
    this.run.show(job);
  }
}

whenThere("#train-room", (root) => {
  let room = new Room(root);
  room.begin().catch(complain);
  onNewLanguage(() => {
    const kept = room.known && room.settings.method ? room.end() : null;
    room = new Room(root);
    room.begin(kept).catch(complain);
  });
});
