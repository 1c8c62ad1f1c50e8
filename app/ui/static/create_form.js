// The form of the Create room: what is asked for. What is typed stays in this browser over reloads, private prompts aside.
import { images } from "./api.js";
import { AdapterRows } from "./adapter_rows.js";
import { BaseChoice } from "./base_choice.js";
import { Compare } from "./compare.js";
import { button, complain, field, holdFocus, make } from "./dom.js";
import { t } from "./i18n.js";
import { later } from "./saving.js";
import { kept, layerOf } from "./source.js";

const HERE = "semblance.create";
const FRESH = {
  prompt: "", negative_prompt: "", seed: 0, lock: false, images: 2, steps: "", guidance: "", width: "", height: "",
  sampler: "", schedule: "", upscale: "", upscale_strength: 0.5, strength: 0.75, base: "starter", adapters: [], live: false,
  compare: true, private: false, mode: "plain", beside: [], x: { field: "steps", values: "" }, y: { field: "guidance", values: "" },
  source: "", regions: {},
};
const PRIVATE = { prompt: "", negative_prompt: "", source: "", regions: {} }; // what is kept of these when it is private
const WORDS = ["negative_prompt", "sampler", "schedule"];
const MANY = 12; // adapters from which on they can be looked for
const NUMBERS = ["steps", "guidance", "width", "height", "upscale"];

function remembered() {
  try {
    return { ...FRESH, ...JSON.parse(localStorage.getItem(HERE) || "{}") };
  } catch {
    return { ...FRESH };
  }
}

const article = (phrase) => (/^[aeiou]/i.test(phrase) ? "an" : "a");

export class Form {
  constructor(choices, source, { paint, file }) {
    Object.assign(this, { choices, source, paint, file, state: remembered() });
    this.keep = later(() => localStorage.setItem(HERE, JSON.stringify(
      this.state.private ? { ...this.state, ...PRIVATE } : this.state)), 200);
    this.live = later(() => this.state.live && this.start(true), 350);
    this.regions = new Map(); // adapters to the masks of where they are
    this.rows = new AdapterRows(this);
    this.compare = new Compare(this);
    this.filter = make("input", { type: "search", id: "find-concept", oninput: () => this.drawChips(),
      onkeydown: (e) => e.key === "Enter" && !e.ctrlKey && e.preventDefault() }); // it would paint
    this.chips = make("div", { class: "s-chips s-many", id: "concept", role: "group", "aria-label": t("room.concepts") });
    this.styles = make("div", { class: "s-chips", role: "group", "aria-label": t("create.styles") });
    this.element = make("form", { class: "s-side", onsubmit: (e) => { e.preventDefault(); this.start(); } });
    this.base = new BaseChoice(this.state.base, (spec) => { this.state.base = spec; this.keep(); }, { id: "base" });
    this.element.addEventListener("keydown", (e) => e.key === "Enter" && (e.ctrlKey || e.metaKey) && this.start());
    this.draw();
  }

  offer(choices) {
    this.choices = choices;
    this.base.refresh();
    this.drawChips();
    this.drawStyles();
    this.rows.draw();
    this.compare.draw();
  }

  known(name) {
    return this.choices.adapters.find((a) => a.name === name);
  }

  changed() {
    this.keep();
    this.live();
  }

  // In another language.
  redraw() {
    this.chips.setAttribute("aria-label", t("room.concepts"));
    this.styles.setAttribute("aria-label", t("create.styles"));
    this.draw();
  }

  draw() {
    const s = this.state;
    const back = holdFocus(this.element);
    for (const name of ["placeholder", "aria-label"]) this.filter.setAttribute(name, t("create.find_concept"));
    this.prompt = make("textarea", { rows: 4, maxlength: 4000, placeholder: t("create.prompt_example"),
      oninput: (e) => { s.prompt = e.target.value; this.compare.hint(); this.keep(); } });
    this.prompt.value = s.prompt;
    this.drawChips();
    this.drawStyles();
    this.rows.draw();
    this.compare.draw();
    this.base.value = s.base;
    this.element.replaceChildren(
      field(t("create.prompt"), this.prompt, t("create.prompt_hint"), { id: "prompt" }),
      make("div", { class: "s-part" }, make("h3", {}, t("room.concepts")), this.filter, this.chips, this.rows.element),
      field(t("create.negative"), this.input("negative_prompt", { type: "text", maxlength: 4000 }), "", { id: "negative" }),
      make("details", { class: "s-more" }, make("summary", {}, t("create.styles")), this.styles),
      this.source.element(s, () => this.keep()),
      make("div", { class: "s-row" },
        field(t("create.images"), this.input("images", { type: "number", min: 1, max: 64 }), "", { id: "images" }),
        field(t("create.seed"), this.input("seed", { type: "number", min: 0, max: 2 ** 53 - 1 }), "", { id: "seed" }),
        make("label", { class: "s-check" }, this.check("lock", "lock"), t("create.lock"))),
      this.advanced(), this.compare.element,
      make("div", { class: "s-foot" },
        button(t("create.paint"), null, { type: "submit", class: "s-button s-primary", id: "paint", title: t("create.keys") }),
        make("label", { class: "s-check" }, this.check("live", "live"), t("create.live")),
        this.pick()));
    back();
  }

  pick() {
    const input = make("input", { type: "file", accept: "image/*", hidden: true, id: "settings-file",
      onchange: (e) => { const [file] = e.target.files; e.target.value = ""; if (file) this.file(file); } });
    return make("div", { class: "s-part" }, input, button(t("create.settings"), () => input.click()),
      make("small", { class: "s-hint" }, t("create.settings_hint")));
  }

  // A field of the state; numbers that are not set are the base's own.
  input(key, attributes) {
    const input = make("input", { ...attributes, value: String(this.state[key] ?? "") });
    input.addEventListener("input", () => {
      const { value } = input;
      this.state[key] = attributes.type === "number" && value !== "" ? Number(value) : value;
      this.keep();
    });
    return input;
  }

  check(key, id) {
    return make("input", { type: "checkbox", id, checked: Boolean(this.state[key]),
      onchange: (e) => { this.state[key] = e.target.checked; this.keep(); } });
  }

  select(key, names, none, id) {
    const select = make("select", { id, onchange: (e) => { this.state[key] = e.target.value; this.keep(); } },
      make("option", { value: "" }, none), ...names.map((n) => make("option", { value: n }, n)));
    select.value = this.state[key];
    return select;
  }

  advanced() {
    const number = (key, label, min, max, step, id) => field(label, this.input(key, {
      type: "number", min, max, step, placeholder: t("create.own"), id }));
    const { samplers, schedules } = this.choices;
    return make("details", { class: "s-more", open: this.state.opened, ontoggle: (e) => { this.state.opened = e.target.open; this.keep(); } },
      make("summary", {}, t("create.more")),
      make("div", { class: "s-row" }, number("steps", t("create.steps"), 1, 500, 1, "gen-steps"), number("guidance", t("create.guidance"), 1, 50, 0.5, "guidance")),
      make("div", { class: "s-row" }, field(t("create.sampler"), this.select("sampler", samplers, t("create.own"), "gen-sampler")),
        field(t("create.schedule"), this.select("schedule", schedules, t("create.automatic"), "gen-schedule"))),
      make("div", { class: "s-row" }, number("width", t("create.width"), 64, 4096, 8, "width"), number("height", t("create.height"), 64, 4096, 8, "height")),
      make("div", { class: "s-row" },
        field(t("create.upscale"), this.input("upscale", { type: "number", min: 1.1, max: 4, step: 0.1, placeholder: t("create.none"), id: "upscale" })),
        field(t("create.upscale_strength"), this.input("upscale_strength", { type: "number", min: 0.05, max: 1, step: 0.05, id: "upscale-strength" }))),
      make("label", { class: "s-check", title: t("create.private_hint") }, this.check("private", "private"), t("create.private")),
      field(t("train.base"), this.base.select), this.base.typed, this.base.reason);
  }

  // Those that are chosen stand there whatever is looked for.
  drawChips() {
    const { adapters } = this.choices;
    const back = holdFocus(this.chips);
    const chosen = (name) => this.state.adapters.some((a) => a.name === name);
    const wanted = this.filter.value.trim().toLowerCase();
    const found = adapters.filter((a) => chosen(a.name) || [a.name, ...a.phrases].some((w) => w.toLowerCase().includes(wanted)));
    this.filter.hidden = adapters.length < MANY && !wanted;
    this.chips.replaceChildren(...found.map((a) => button(a.name, () => this.toggle(a.name), { class: "s-button s-chip",
      "data-name": a.name, "data-key": a.name, "aria-pressed": String(chosen(a.name)), title: a.phrases.join(", ") })));
    if (!found.length) this.chips.replaceChildren(make("p", { class: "s-hint" },
      adapters.length ? t("create.none_found") : t("create.no_concepts")));
    back();
  }

  toggle(name) {
    const { adapters } = this.state;
    const at = adapters.findIndex((a) => a.name === name);
    const known = this.known(name);
    const phrase = known?.phrases[0] || "";
    if (at >= 0) {
      adapters.splice(at, 1);
      if (phrase) this.write(this.prompt.value.replace(phrase, known.noun || ""));
    } else {
      adapters.push({ name, weight: 1, dials: { ...known?.dials } });
      if (known?.base && adapters.length === 1) this.state.base = known.base;
      this.insert(phrase);
    }
    this.follow();
  }

  // Chips, rows and the base's field as the state says, without losing what has the focus.
  follow() {
    this.drawChips();
    this.rows.draw();
    this.compare.draw();
    this.base.value = this.state.base;
    this.changed();
  }

  insert(phrase) {
    const text = this.prompt.value;
    if (!phrase || text.includes(phrase) || text.includes("{}")) return;
    if (!text.trim()) return this.write(`a photo of ${article(phrase)} ${phrase}`);
    const at = this.prompt.selectionEnd ?? text.length;
    const [before, after] = [text.slice(0, at), text.slice(at)];
    this.write(before + (/\s$|^$/.test(before) ? "" : " ") + phrase + (/^[\s,.)]|^$/.test(after) ? "" : " ") + after);
  }

  write(text) {
    this.state.prompt = this.prompt.value = text;
    this.compare.hint();
    this.keep();
  }

  drawStyles() {
    const apply = (style) => {
      const { prompt } = this.state;
      if (style.prompt) this.write(style.prompt.includes("{prompt}") ? style.prompt.replace("{prompt}", prompt) : [prompt, style.prompt].filter(Boolean).join(", "));
      if (style.negative_prompt) this.state.negative_prompt = [this.state.negative_prompt, style.negative_prompt].filter(Boolean).join(", ");
      this.draw();
    };
    const put = async (answer) => {
      try {
        this.choices.styles = await answer;
        this.drawStyles();
      } catch (error) {
        complain(error);
      }
    };
    const back = holdFocus(this.styles);
    const name = make("input", { type: "text", placeholder: t("create.style_name"), maxlength: 60, "aria-label": t("create.style_name"), id: "style-name" });
    this.styles.replaceChildren(
      ...this.choices.styles.map((style) => make("span", { class: "s-pair-chip" },
        button(style.name, () => apply(style), { class: "s-button s-chip", title: style.prompt, "data-key": `style ${style.name}` }),
        button("×", () => put(images.dropStyle(style.name)), { class: "s-button s-chip", "aria-label": t("create.style_delete", { name: style.name }) }))),
      make("p", { class: "s-hint", hidden: this.choices.styles.length > 0 }, t("create.style_hint", { prompt: "{prompt}" })),
      make("div", { class: "s-row" }, name, button(t("create.style_keep"), () => put(images.keepStyle({
        name: name.value, prompt: this.state.prompt, negative_prompt: this.state.negative_prompt })), { id: "keep-style", "data-key": "keep" })));
    back();
  }

  start(live = false) {
    const s = this.state;
    if (!s.lock && !live) {
      s.seed = Math.floor(Math.random() * 2 ** 31);
      const shown = this.element.querySelector("#seed input");
      if (shown) shown.value = s.seed;
    }
    this.keep();
    try {
      this.paint(this.body(), live);
    } catch (error) {
      complain(error);
    }
  }

  body() {
    const s = this.state;
    const request = { prompt: s.prompt, seed: Number(s.seed) || 0, images: Number(s.images) || 1 };
    for (const key of WORDS) if (s[key]) request[key] = s[key];
    for (const key of NUMBERS) if (s[key] !== "") request[key] = Number(s[key]);
    if (s.private) request.private = true;
    if (request.upscale) request.upscale_strength = Number(s.upscale_strength);
    if (this.source.picture) request.strength = Number(s.strength);
    const adapters = s.adapters.map(({ name, weight, dials }) =>
      `${name}:${weight}:${Object.entries(dials || {}).map(([k, v]) => `${k}=${v}`).join(",")}`.replace(/:$/, ""));
    return { request, adapters, base: s.base, ...this.compare.axes() };
  }

  // What the server calls the picture to paint from and the masks of adapters that are bound to a region; a reload finds
  // them by it.
  async sent() {
    this.sending = (this.sending || 0) + 1;
    const turn = this.sending;
    const source = await this.source.id();
    const regions = {};
    for (const { name } of this.state.adapters) {
      const layer = this.regions.get(name);
      if (layer) regions[name] = (await images.source(await layer.mask(), null)).source;
    }
    if (turn === this.sending) Object.assign(this.state, { source, regions }); // else there is another one since
    this.keep();
    return { source, regions };
  }

  // The picture, its mask or a region is another. What is private is not sent before it is painted.
  remember() {
    if (!this.state.private) this.sent().catch(() => {}); // painting says what is wrong with it
  }

  // After a reload, what the server keeps still.
  async recall() {
    const { source, regions, adapters } = this.state;
    const bound = adapters.filter((a) => regions[a.name]);
    if (!source && !bound.length) return;
    await Promise.all([source && this.source.recall(source), ...bound.map(async ({ name }) => {
      const grey = await kept(regions[name]);
      if (grey) this.regions.set(name, await layerOf(grey));
    })]);
    this.draw();
  }

  // The settings of a picture take the place of all that is set, but for what is not a setting; private stays private.
  // What it answers puts all back as it was before.
  restore(made) {
    const [before, regions] = [structuredClone(this.state), this.regions];
    const { images: count, compare, opened, beside, x, y, source, base } = before;
    this.become({ ...FRESH, images: count, compare, opened, beside, x, y, source, lock: true, ...made.request,
      private: before.private || Boolean(made.request.private), base: made.base || base,
      adapters: made.adapters.map(([name, weight, dials]) => ({ name, weight, dials })) }, new Map());
    return () => this.become(before, regions);
  }

  become(state, regions) {
    Object.assign(this, { state, regions });
    this.draw();
    this.keep();
  }
}
