// The chosen adapters: how strongly each, its words, and Perfusion's dials.
import { button, field, holdFocus, make } from "./dom.js";
import { decimal, t } from "./i18n.js";
import { Layer } from "./layers.js";
import { MaskDialog } from "./source.js";

const DIALS = {
  bias: () => [t("rows.bias"), 0, 1.5, 0.05, t("rows.bias_hint")],
  temperature: () => [t("rows.temperature"), 0.01, 0.5, 0.01, t("rows.temperature_hint")],
};

const fixed = (value) => decimal(Number(value), 2);

// An empty sheet of the picture's shape.
function blank({ width, height }) {
  const canvas = make("canvas", { width: Number(width) || 512, height: Number(height) || 512 });
  const pen = canvas.getContext("2d");
  pen.fillStyle = "#d6d3d1";
  pen.fillRect(0, 0, canvas.width, canvas.height);
  return canvas;
}

export class AdapterRows {
  constructor(form) {
    this.form = form;
    this.element = make("div", { class: "s-adapters" });
  }

  draw() {
    const { adapters } = this.form.state;
    const back = holdFocus(this.element);
    this.element.replaceChildren(...adapters.map((a) => this.row(a)), this.checkpoint());
    back();
  }

  row(adapter) {
    const known = this.form.known(adapter.name);
    const insert = (known?.phrases || []).map((p) => button(t("rows.insert", { words: p }), () => this.form.insert(p), { class: "s-button s-chip" }));
    return make("fieldset", { class: "s-adapter", "data-adapter": adapter.name },
      make("legend", {}, adapter.name),
      this.slider(t("rows.strength"), adapter.weight, [0, 2, 0.05], (v) => { adapter.weight = v; }, "adapter-strength"),
      ...Object.entries(adapter.dials || {}).map(([name, value]) => this.dial(adapter, name, value)),
      make("div", { class: "s-row" }, ...this.region(adapter.name)),
      make("div", { class: "s-row" }, ...insert, button(t("queue.out"), () => this.form.toggle(adapter.name), { class: "s-button s-chip" })));
  }

  // Where in the picture: everywhere, or in a painted region.
  region(name) {
    const { regions, source } = this.form;
    const known = regions.get(name);
    const act = () => {
      const shown = source.picture?.shown || document.querySelector("#pictures img") || blank(this.form.state);
      const layer = new Layer(shown.naturalWidth || shown.width, shown.naturalHeight || shown.height);
      if (known) layer.restore(known.scaledTo(layer));
      new MaskDialog(shown, layer, () => {
        if (layer.painted) regions.set(name, layer);
        else regions.delete(name);
        this.form.follow();
        this.form.remember();
      }, t("rows.where", { name }), t("rows.where_hint")).open();
    };
    return [button(known ? t("rows.in_region") : t("rows.everywhere"), act, { class: "s-button s-chip", "data-region": name, "data-key": `region ${name}`, title: t("rows.region_hint") }),
      known && button(t("rows.everywhere_again"), () => { regions.delete(name); this.form.follow(); this.form.remember(); }, { class: "s-button s-chip" })].filter(Boolean);
  }

  dial(adapter, name, value) {
    const set = (v) => { adapter.dials[name] = v; };
    if (name === "locking") {
      const select = make("select", { id: "locking", onchange: (e) => { set(e.target.value); this.form.changed(); } },
        make("option", { value: "local" }, t("rows.local")), make("option", { value: "global" }, t("rows.global")));
      select.value = value;
      return field(t("rows.locking"), select);
    }
    if (!DIALS[name]) return null;
    const [label, low, high, step, hint] = DIALS[name]();
    return this.slider(label, value, [low, high, step], set, name, hint);
  }

  slider(label, value, [low, high, step], set, id, hint = "") {
    const shown = make("output", {}, fixed(value));
    const range = make("input", { type: "range", min: String(low), max: String(high), step: String(step), value: String(value),
      "data-dial": id, "aria-label": label,
      oninput: (e) => { const v = Number(e.target.value); shown.textContent = fixed(v); set(v); this.form.changed(); } });
    return make("label", { class: "s-field" }, make("span", { class: "s-between" }, label, shown), range, hint && make("small", { class: "s-hint" }, hint));
  }

  checkpoint() {
    const { checkpoints } = this.form.choices;
    if (!checkpoints.length) return make("span", {});
    return field(t("rows.checkpoint"), make("select", { id: "checkpoint",
      onchange: (e) => { if (e.target.value) this.form.toggle(e.target.value); e.target.value = ""; } },
      make("option", { value: "" }, t("rows.add")), ...checkpoints.map((c) => make("option", { value: c }, c))));
  }
}
