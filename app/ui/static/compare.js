// How many things at once: pictures alone, adapters side by side, or a grid over two settings.
import { button, field, holdFocus, make } from "./dom.js";
import { said, t } from "./i18n.js";

const MODES = () => [["plain", t("compare.plain")], ["beside", t("compare.beside")], ["grid", t("compare.grid")]];

export class Compare {
  constructor(form) {
    this.form = form;
    this.element = make("fieldset", { class: "s-compare" });
  }

  draw() {
    const { state } = this.form;
    const back = holdFocus(this.element);
    const pick = (mode) => { state.mode = mode; this.form.keep(); this.draw(); };
    this.element.replaceChildren(make("legend", {}, t("compare.title")),
      make("div", { class: "s-chips" }, ...MODES().map(([mode, label]) => button(label, () => pick(mode),
        { class: "s-button s-chip", "aria-pressed": String(state.mode === mode), "data-mode": mode, "data-key": mode }))),
      ...{ plain: () => this.plain(), beside: () => this.beside(), grid: () => this.grid() }[state.mode]());
    back();
  }

  plain() {
    return [make("label", { class: "s-check" }, this.form.check("compare", "compare"), t("compare.without"))];
  }

  beside() {
    const { state, choices } = this.form;
    const names = [...choices.adapters.map((a) => a.name), ...choices.checkpoints];
    const method = (name) => choices.adapters.find((a) => a.name === name)?.method || t("compare.checkpoint");
    const toggle = (name) => {
      state.beside = state.beside.includes(name) ? state.beside.filter((n) => n !== name) : [...state.beside, name];
      this.form.keep();
      this.draw();
    };
    if (!names.length) return [make("p", { class: "s-hint" }, t("compare.nothing"))];
    this.same = make("p", { class: "s-note", id: "same-words" }, t("compare.same_words"));
    this.hint();
    return [make("p", { class: "s-hint" }, t("compare.beside_hint")), this.same,
    make("div", { class: "s-chips s-many" }, ...names.map((n) => button(n, () => toggle(n), {
      class: "s-button s-chip", "data-beside": n, "data-key": `beside ${n}`, title: method(n), "aria-pressed": String(state.beside.includes(n)) })))];
  }

  // Without a place for each one's own words, all columns would be painted with the same: most often the first one's.
  hint() {
    const { prompt, mode, beside } = this.form.state;
    if (this.same) this.same.hidden = mode !== "beside" || !beside.length || !prompt.trim() || prompt.includes("{}");
  }

  grid() {
    return [this.axis("x", t("compare.across")), this.axis("y", t("compare.down")),
      make("p", { class: "s-hint" }, t("compare.values_hint"))];
  }

  // What an axis can go over; these are meant where none were typed.
  examples(axis) {
    const { choices } = this.form;
    const hints = { sampler: choices.samplers, schedule: choices.schedules, adapter: ["", ...choices.adapters.map((a) => a.name)],
                    locking: ["local", "global"], steps: [10, 20, 40], guidance: [2, 4, 8], weight: [0, 0.5, 1], seed: [1, 2, 3] };
    return (hints[axis.field] || []).slice(0, 4).map(String);
  }

  axis(name, label) {
    const { state, choices } = this.form;
    const axis = state[name];
    const values = make("textarea", { rows: 2, placeholder: this.examples(axis).join(", "), id: `${name}-values`,
      oninput: (e) => { axis.values = e.target.value; this.form.keep(); } });
    values.value = axis.values;
    const select = make("select", { id: `${name}-field`, "data-key": name, onchange: (e) => { axis.field = e.target.value; this.form.keep(); this.draw(); } },
      ...Object.entries(choices.axes).map(([key, title]) => make("option", { value: key }, said(title))));
    select.value = axis.field;
    return make("div", { class: "s-row" }, field(label, select), field(t("compare.values"), values));
  }

  // The axes as the server takes them. Throws where one has no values.
  axes() {
    const { state, choices } = this.form;
    const read = (axis) => {
      const { field: name, values } = axis;
      const typed = values.split(values.includes("\n") ? "\n" : ",").map((v) => v.trim()).filter((v) => v || name === "adapter");
      const found = values.trim() ? typed : this.examples(axis);
      if (!found.length) throw new Error(t("compare.no_values", { axis: said(choices.axes[name]) }));
      return { field: name, values: found };
    };
    if (state.mode === "beside") return { x: { field: "adapter", values: ["", ...state.beside] }, sheet: true };
    if (state.mode === "grid") return { x: read(state.x), y: read(state.y), sheet: true };
    if (state.compare && state.adapters.length) return { x: { field: "adapter", values: ["*", ""] }, sheet: false };
    return {};
  }
}
