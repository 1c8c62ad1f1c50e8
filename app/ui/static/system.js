// The System room: what this machine has, what is missing, the bases, and the switches.
import { Bases } from "./bases.js";
import { button, complain, holdFocus, make, toast, whenThere } from "./dom.js";
import { Helpers } from "./helpers.js";
import { LANGUAGES, bytes, language, number, onLanguage, setLanguage, t } from "./i18n.js";
import { whenShown } from "./rooms.js";
import { system } from "./system_api.js";
import { THEMES, setTheme, theme } from "./theme.js";

const block = (title, ...children) => make("section", { class: "s-block" }, make("h3", {}, title), ...children);
const fact = (label, ...value) => make("div", { class: "s-fact" }, make("dt", {}, label), make("dd", {}, ...value));

// One of a few, as buttons beside each other.
function choice(id, label, options, chosen, pick) {
  return make("div", { class: "s-choice" }, make("span", {}, label), make("div", { class: "s-segments", role: "group", "aria-label": label, id },
    ...options.map(([value, name]) => make("button", { type: "button", "data-value": value, "data-key": `${id} ${value}`, "aria-pressed": String(value === chosen),
      onclick: () => pick(value) }, name))));
}

function meter(label, used, total, note) {
  return make("div", { class: "s-meter" }, make("div", { class: "s-meter-head" }, make("span", {}, label), make("small", {}, note)),
    make("div", { class: "s-bar" }, make("i", { style: `width:${(100 * used / Math.max(total, 1)).toFixed(1)}%` })));
}

class Room {
  constructor(root) {
    this.root = root;
    onLanguage(() => {
      const back = holdFocus(root);
      this.frame();
      if (this.found) this.refresh().then(back);
    });
    whenShown(root, () => this.refresh());
  }

  frame() {
    this.machine = make("div", { class: "s-col", id: "doctor" });
    this.storage = make("div", { class: "s-col", id: "storage" });
    this.switches = make("div", { class: "s-col", id: "switches" });
    this.bases = new Bases();
    this.helpers = new Helpers(() => this.found?.offline);
    this.root.replaceChildren(make("div", { class: "s-system" },
      make("div", { class: "s-col" }, block(t("system.settings"), this.switches), block(t("system.machine"), this.machine),
        block(t("system.storage"), this.storage)),
      make("div", { class: "s-col" }, this.bases.element, this.helpers.element)));
  }

  async refresh() {
    try {
      this.found = await system.get();
      this.draw();
      await Promise.all([this.bases.refresh(), this.helpers.refresh()]);
      this.root.dataset.ready = "true";
    } catch (error) {
      complain(error);
    }
    if (!this.device) this.lookForDevice();
  }

  async lookForDevice() {
    this.device = { waiting: true };
    try {
      this.device = await system.device();
    } catch (error) {
      this.device = { problem: error.message };
    }
    this.draw();
  }

  draw() {
    this.drawSwitches();
    this.drawMachine();
    this.drawStorage();
  }

  drawSwitches() {
    const themes = { system: () => t("system.theme_system"), light: () => t("system.theme_light"), dark: () => t("system.theme_dark") };
    const { offline, told_offline: told } = this.found;
    const turn = async (value) => {
      try {
        this.found = await system.offline(value === "on");
        this.drawSwitches();
        this.helpers.draw();
      } catch (error) {
        complain(error);
      }
    };
    const back = holdFocus(this.switches);
    this.switches.replaceChildren(
      choice("language", t("system.language"), Object.entries(LANGUAGES), language(), (code) => setLanguage(code).catch(complain)),
      choice("theme", t("system.theme"), THEMES.map((name) => [name, themes[name]()]), theme(),
        (name) => { setTheme(name); this.drawSwitches(); }),
      choice("offline", t("system.offline"), [["off", t("system.off")], ["on", t("system.on")]], offline ? "on" : "off", turn),
      make("p", { class: "s-hint" }, told ? t("system.offline_told") : offline ? t("system.offline_on") : t("system.offline_off")),
      make("p", { class: "s-hint" }, t("system.browser_kept")));
    back();
  }

  drawMachine() {
    const { memory, cores, system: name, versions, missing } = this.found;
    const device = this.device || { waiting: true };
    const lacks = [...new Set([...missing, ...(device.missing || [])])];
    const card = device.card ? ` · ${device.card}` : "";
    this.machine.replaceChildren(
      make("dl", { class: "s-origin" },
        fact(t("system.device"), device.waiting ? t("system.looking") : device.problem
          || t("system.computes", { device: device.device.toUpperCase() + card, precision: device.precision })),
        device.card ? fact(t("system.card_memory"), t("system.free_of", { free: bytes(device.card_free), total: bytes(device.card_memory) })) : null,
        fact(t("system.system"), `${name}, ${t("system.cores", { n: cores })}`)),
      ...(memory ? [meter(t("system.memory"), memory.total - memory.free, memory.total,
        t("system.free_of", { free: bytes(memory.free), total: bytes(memory.total) }))] : []),
      ...(lacks.length || device.device ? [make("div", { class: lacks.length ? "s-note bad" : "s-note good", id: "missing" },
        lacks.length ? `${t("system.missing")} ${lacks.join("; ")}` : t("system.nothing_missing"))] : []), // nothing is said before the look is done
      make("details", { class: "s-fold" }, make("summary", {}, t("system.versions")),
        make("ul", { class: "s-keys" }, ...Object.entries(versions).map(([part, version]) => make("li", {}, `${part} ${version}`)))));
  }

  drawStorage() {
    const { disk, parts, home } = this.found;
    const names = { adapters: () => t("part.adapters"), runs: () => t("part.runs"), drafts: () => t("part.drafts"), images: () => t("part.images"),
                    bases: () => t("part.bases"), cache: () => t("part.cache"), trash: () => t("part.trash"), temporary: () => t("part.temporary") };
    const trash = parts.find((part) => part.name === "trash")?.bytes;
    const whole = parts.reduce((sum, part) => sum + part.bytes, 0);
    this.storage.replaceChildren(
      meter(t("system.disk"), disk.total - disk.free, disk.total, t("system.free_of", { free: bytes(disk.free), total: bytes(disk.total) })),
      make("p", { class: "s-hint s-path" }, t("system.home", { home, size: bytes(whole) })),
      ...parts.filter((part) => part.bytes).sort((a, b) => b.bytes - a.bytes).map((part) =>
        meter(names[part.name](), part.bytes, whole, `${bytes(part.bytes)} · ${number(100 * part.bytes / whole)} %`)),
      ...(trash ? [make("div", { class: "s-acts" }, button(t("system.empty_trash"), () => this.emptyTrash(trash),
        { class: "s-button s-danger", id: "empty-trash" }))] : []));
  }

  async emptyTrash(size) {
    if (!window.confirm(t("system.sure", { size: bytes(size) }))) return;
    try {
      const { freed } = await system.emptyTrash();
      toast(t("system.emptied", { size: bytes(freed) }));
      await this.refresh();
    } catch (error) {
      complain(error);
    }
  }
}

whenThere("#system-room", (root) => new Room(root));
