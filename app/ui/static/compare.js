// How many things at once: pictures alone, adapters side by side, or a grid over two settings.
import { button, field, make } from "./dom.js";

const MODES = [["plain", "Pictures"], ["beside", "Side by side"], ["grid", "X/Y grid"]];

export class Compare {
  constructor(form) {
    this.form = form;
    this.element = make("fieldset", { class: "s-compare" });
  }

  draw() {
    const { state } = this.form;
    const pick = (mode) => { state.mode = mode; this.form.keep(); this.draw(); this.element.querySelector(`[data-mode=${mode}]`).focus(); };
    this.element.replaceChildren(make("legend", {}, "What to make"),
      make("div", { class: "s-chips" }, ...MODES.map(([mode, label]) => button(label, () => pick(mode),
        { class: "s-button s-chip", "aria-pressed": String(state.mode === mode), "data-mode": mode }))),
      ...{ plain: () => this.plain(), beside: () => this.beside(), grid: () => this.grid() }[state.mode]());
  }

  plain() {
    return [make("label", { class: "s-check" }, this.form.check("compare", "compare"), "Also without the concept, side by side")];
  }

  beside() {
    const { state, choices } = this.form;
    const names = [...choices.adapters.map((a) => a.name), ...choices.checkpoints];
    const method = (name) => choices.adapters.find((a) => a.name === name)?.method || "a checkpoint";
    const toggle = (name) => {
      state.beside = state.beside.includes(name) ? state.beside.filter((n) => n !== name) : [...state.beside, name];
      this.form.keep();
      this.draw();
    };
    if (!names.length) return [make("p", { class: "s-hint" }, "There is nothing to compare yet: teach a concept, or import a LoRA in the Library.")];
    return [make("p", { class: "s-hint" }, "Each adapter alone at the same prompt and seeds, and a column without any. Write {} in the prompt "
      + "where each one's own words belong."),
    make("div", { class: "s-chips s-many" }, ...names.map((n) => button(n, () => toggle(n), {
      class: "s-button s-chip", "data-beside": n, title: method(n), "aria-pressed": String(state.beside.includes(n)) })))];
  }

  grid() {
    return [this.axis("x", "Across"), this.axis("y", "Down"),
      make("p", { class: "s-hint" }, "Values with commas between them, or one a line. For words of the prompt, the first is what the others replace.")];
  }

  axis(name, label) {
    const { state, choices } = this.form;
    const axis = state[name];
    const hints = { sampler: choices.samplers, schedule: choices.schedules, adapter: ["", ...choices.adapters.map((a) => a.name)],
                    locking: ["local", "global"], steps: [10, 20, 40], guidance: [2, 4, 8], weight: [0, 0.5, 1], seed: [1, 2, 3] };
    const values = make("textarea", { rows: 2, placeholder: (hints[axis.field] || []).slice(0, 4).join(", "), id: `${name}-values`,
      oninput: (e) => { axis.values = e.target.value; this.form.keep(); } });
    values.value = axis.values;
    const select = make("select", { id: `${name}-field`, onchange: (e) => { axis.field = e.target.value; this.form.keep(); this.draw(); } },
      ...Object.entries(choices.axes).map(([key, title]) => make("option", { value: key }, title)));
    select.value = axis.field;
    return make("div", { class: "s-row" }, field(label, select), field("values", values));
  }

  // The axes as the server takes them.
  axes() {
    const { state } = this.form;
    const read = ({ field: name, values }) => ({ field: name,
      values: values.split(values.includes("\n") ? "\n" : ",").map((v) => v.trim()).filter((v) => v || name === "adapter") });
    if (state.mode === "beside") return { x: { field: "adapter", values: ["", ...state.beside] }, sheet: true };
    if (state.mode === "grid") return { x: read(state.x), y: read(state.y), sheet: true };
    if (state.compare && state.adapters.length) return { x: { field: "adapter", values: ["*", ""] }, sheet: false };
    return {};
  }
}
