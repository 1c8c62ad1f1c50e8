// The Concepts room: pictures, captions, things and masks of one draft. The server keeps everything at each change.
import { drafts, later, pictureAt } from "./api.js";
import { baseFor, teach } from "./chosen.js";
import { button, complain, make, toast, whenThere } from "./dom.js";
import { edit } from "./editor.js";
import { onNewLanguage, said, t } from "./i18n.js";
import { consentPanel, kindSelect } from "./people.js";
import { openRoom } from "./rooms.js";

const HERE = "semblance.draft"; // which draft this browser looked at last
const SUFFIXES = /\.(png|jpe?g|webp|bmp)$/i;

class Room {
  constructor(root) {
    this.root = root;
    this.cards = new Map();
    this.saveThings = later((things) => this.put(drafts.update(this.draft.id, { things }), false));
    this.saveAffixes = later((fields) => this.put(drafts.update(this.draft.id, fields), false));
  }

  async open() {
    const all = await drafts.all();
    const wanted = new URLSearchParams(location.search).get("draft") || localStorage.getItem(HERE);
    const found = all.find((d) => d.id === wanted) || all[0];
    await this.show(found ? await drafts.get(found.id) : await drafts.create());
    onNewLanguage(() => this.flush().then(() => this.show(this.draft)).catch(complain));
  }

  async show(draft) {
    this.draft = draft;
    localStorage.setItem(HERE, draft.id);
    this.cards.clear();
    this.head = make("div", { class: "s-drafts" });
    this.things = make("div", { class: "s-things" });
    this.grid = make("div", { class: "s-shots", id: "shots" });
    this.findings = make("div", { class: "s-findings", id: "findings" });
    this.consent = make("div", {});
    this.root.replaceChildren(this.head, make("div", { class: "s-concepts" },
      make("div", { class: "s-side" }, this.things, this.consent, this.wording(), this.foot()),
      make("div", { class: "s-main" }, this.drop(), this.findings, this.grid)));
    await this.list();
    this.drawThings();
    this.drawShots();
    this.check();
    this.root.dataset.ready = "true";
  }

  // An answer of the server becomes what is shown; `whole` draws the pictures again.
  async put(answer, whole = true) {
    try {
      const told = await answer;
      const draft = told.draft || told;
      if (draft.id !== this.draft.id) return told; // another draft was opened meanwhile
      this.draft = draft;
      if (whole) this.drawShots();
      this.list();
      this.root.dataset.saved = String(Date.now());
      return told;
    } catch (error) {
      complain(error);
      return null;
    }
  }

  async list() {
    const all = await drafts.all();
    const name = (d) => `${d.label} (${d.pictures})`;
    const select = make("select", { id: "drafts", "aria-label": t("concepts.draft"),
      onchange: async (e) => this.show(await drafts.get(e.target.value)) },
      ...all.map((d) => make("option", { value: d.id, selected: d.id === this.draft.id }, name(d))));
    this.head.replaceChildren(make("label", {}, make("span", {}, t("concepts.draft")), select),
      button(t("concepts.new"), async () => this.show(await drafts.create()), { id: "new-draft" }),
      button(t("concepts.delete"), () => this.remove(), { id: "delete-draft" }),
      make("small", { class: "s-hint" }, t("concepts.kept")));
  }

  async remove() {
    const { id, label } = this.draft;
    await drafts.remove(id);
    const left = await drafts.all();
    await this.show(left.length ? await drafts.get(left[0].id) : await drafts.create());
    toast(t("concepts.put_away", { label }), { label: t("undo"), run: async () => this.show(await drafts.restore(id)) });
  }

  drop() {
    const input = make("input", { type: "file", accept: "image/*", multiple: true, id: "pictures", hidden: true,
      onchange: (e) => { this.add([...e.target.files]); e.target.value = ""; } });
    const area = make("div", { class: "s-drop", role: "button", tabindex: 0, id: "drop",
      onclick: () => input.click(), onkeydown: (e) => (e.key === "Enter" || e.key === " ") && input.click() },
      make("b", {}, t("concepts.drop")), make("span", {}, t("concepts.drop_hint")), input);
    const over = (on) => (event) => { event.preventDefault(); area.classList.toggle("over", on); };
    area.addEventListener("dragover", over(true));
    area.addEventListener("dragleave", over(false));
    area.addEventListener("drop", (event) => { over(false)(event); this.add([...event.dataTransfer.files]); });
    return area;
  }

  async add(files) {
    const texts = files.filter((f) => /\.txt$/i.test(f.name));
    const pictures = files.filter((f) => SUFFIXES.test(f.name) || f.type.startsWith("image/"));
    this.root.dataset.busy = "true";
    if (pictures.length) {
      const told = await this.put(drafts.add(this.draft.id, pictures));
      if (told?.refused.length) toast(told.refused.slice(0, 3).map(said).join(" "));
    }
    if (texts.length) {
      const told = await this.put(drafts.captions(this.draft.id, texts));
      if (told) toast([t("concepts.captions_found", { n: told.found }), ...told.notices.slice(0, 2).map(said)].join(" "));
    }
    delete this.root.dataset.busy;
    this.check();
  }

  drawThings() {
    const things = this.draft.things.map((t) => ({ ...t }));
    const save = () => this.saveThings(things);
    const field = (thing, key, label, hint, id) => make("label", {}, label, make("input", {
      type: "text", id, value: thing[key], placeholder: hint, maxlength: key === "name" ? 64 : 40,
      oninput: (e) => { thing[key] = e.target.value; save(); } }));
    this.things.replaceChildren(make("h3", {}, things.length > 1 ? t("concepts.things") : t("concepts.thing")),
      ...things.map((thing, n) => make("div", { class: "s-row" },
        field(thing, "name", t("concepts.name"), t("concepts.name_example"), `name-${n}`),
        field(thing, "noun", t("concepts.noun"), t("concepts.noun_example"), `noun-${n}`),
        kindSelect(thing.kind, t("concepts.kind_of", { name: thing.name || t("concepts.nth", { n: n + 1 }) }), async (kind) => {
          thing.kind = kind;
          await this.saveThings.flush();
          await this.put(drafts.update(this.draft.id, { things }));
          this.check();
        }),
        things.length > 1 && button("×", async () => {
          await this.saveThings.flush();
          await this.put(drafts.update(this.draft.id, { things: things.filter((t) => t !== thing) }));
          this.drawThings();
        }, { "aria-label": t("concepts.take_thing", { n: n + 1 }) }))),
      button(t("concepts.another"), async () => {
        await this.saveThings.flush();
        await this.put(drafts.update(this.draft.id, { things: [...things, { name: "", noun: "", kind: "object" }] }));
        this.drawThings();
      }, { id: "add-thing" }));
  }

  wording() {
    const text = (key, label) => make("label", {}, label, make("input", { type: "text", value: this.draft[key], id: key,
      oninput: (e) => { this.draft[key] = e.target.value; this.saveAffixes({ prefix: this.draft.prefix, suffix: this.draft.suffix }); } }));
    const find = make("input", { type: "text", id: "find", placeholder: t("concepts.find"), "aria-label": t("concepts.find") });
    const put = make("input", { type: "text", id: "put", placeholder: t("concepts.put"), "aria-label": t("concepts.put") });
    const replace = async () => {
      await this.flush();
      const told = await this.put(drafts.replace(this.draft.id, find.value, put.value));
      if (told) toast(t("concepts.replaced", { n: told.changed }));
    };
    this.writing = make("div", { class: "s-writing" });
    this.offerCaptioners([]);
    return make("details", { class: "s-more", ontoggle: (e) => e.target.open && drafts.captioners().then((here) => this.offerCaptioners(here), complain) },
      make("summary", {}, t("concepts.captions")),
      make("p", { class: "s-hint" }, t("concepts.captions_hint")),
      text("prefix", t("concepts.prefix")), text("suffix", t("concepts.suffix")),
      make("div", { class: "s-row" }, find, put, button(t("concepts.replace"), replace, { id: "replace" })),
      this.writing);
  }

  // What can write captions here; without any it is said what to do.
  offerCaptioners(here) {
    if (!here.includes(this.writer)) this.writer = "";
    const select = make("select", { id: "captioner", onchange: (e) => { this.writer = e.target.value; } },
      make("option", { value: "" }, t("create.automatic")), ...here.map((place) => make("option", { value: place, selected: place === this.writer }, place)));
    this.writing.replaceChildren(here.length ? make("label", {}, t("concepts.captioner"), select)
      : make("p", { class: "s-hint", id: "no-captioner" }, t("concepts.no_captioner")),
      button(t("concepts.write"), () => this.write(), { id: "write-captions", disabled: !here.length, "aria-describedby": here.length ? null : "no-captioner" }));
  }

  async write() {
    await this.flush();
    toast(t("concepts.writing"));
    const told = await this.put(drafts.write(this.draft.id, this.writer));
    if (told) toast(t("concepts.written", { n: told.written, by: told.written_by }));
  }

  foot() {
    return make("div", { class: "s-foot" },
      button(t("concepts.teach"), () => this.teach(), { class: "s-button s-primary", id: "teach-this" }));
  }

  async teach() {
    await this.flush();
    teach(this.draft.id);
    openRoom("train");
  }

  async flush() {
    await Promise.all([this.saveThings.flush(), this.saveAffixes.flush(),
                       ...[...this.cards.values()].map((c) => c.save.flush())]);
  }

  drawShots() {
    const cards = this.draft.shots.map((shot) => this.card(shot));
    this.grid.replaceChildren(...cards);
    this.grid.dataset.count = cards.length;
    if (!cards.length) this.grid.replaceChildren(make("p", { class: "s-empty" },
      t("concepts.empty")));
  }

  card(shot) {
    const known = this.cards.get(shot.id);
    const caption = known?.caption || make("textarea", { rows: 2, "aria-label": t("concepts.caption_of", { name: shot.name }), maxlength: 2000,
      placeholder: t("concepts.caption_example") });
    const save = known?.save || later((text) => this.put(drafts.change(this.draft.id, shot.id, { caption: text }), false));
    if (document.activeElement !== caption) caption.value = shot.caption;
    caption.oninput = () => save(caption.value);
    this.cards.set(shot.id, { caption, save });
    const changed = (draft) => { if (draft.id !== this.draft.id) return; this.draft = draft; this.drawShots(); this.root.dataset.saved = String(Date.now()); };
    const act = (tool) => () => edit(this.draft, this.draft.shots.find((s) => s.id === shot.id), changed, () => this.check(), tool).catch(complain);
    const masks = shot.masks.filter((m) => this.draft.things.some((t) => t.id === m)).length;
    const [left, top, right, bottom] = shot.crop || [0, 0, 1, 1];
    const frame = make("div", { class: "s-frame", style: `aspect-ratio:${(right - left) * shot.width}/${(bottom - top) * shot.height}` },
      make("img", { src: pictureAt(this.draft.id, shot.id, true), alt: shot.name, loading: "lazy",
        style: `width:${100 / (right - left)}%;left:${-100 * left / (right - left)}%;top:${-100 * top / (bottom - top)}%;`
          + `height:${100 / (bottom - top)}%;` }));
    if (shot.flipped) frame.style.transform = "scaleX(-1)";
    return make("div", { class: "s-shot", "data-shot": shot.id, "data-masks": masks },
      make("button", { class: "s-open", type: "button", onclick: act("brush"), "aria-label": t("concepts.masks_on", { name: shot.name }) }, frame),
      caption,
      make("div", { class: "s-acts" },
        button(masks ? t("concepts.masks", { n: masks }) : t("concepts.mask"), act("brush"), { "data-act": "mask" }), button(t("editor.crop"), act("crop"), { "data-act": "crop" }),
        button(t("concepts.flip"), () => this.put(drafts.change(this.draft.id, shot.id, { flipped: !shot.flipped })), { "data-act": "flip" }),
        button(t("concepts.remove"), () => this.take(shot), { "data-act": "remove" })));
  }

  async take(shot) {
    await this.flush();
    await this.put(drafts.take(this.draft.id, shot.id));
    this.check();
    toast(t("concepts.taken", { name: shot.name }), { label: t("undo"), run: async () => {
      await this.put(drafts.takeBack(this.draft.id, shot.id));
      this.check();
    } });
  }

  checkConsent() {
    return consentPanel(this.consent, this.draft, async () => this.show(await drafts.get(this.draft.id)));
  }

  async check() {
    const found = await drafts.checks(this.draft.id, baseFor(this.draft.id)).catch(() => []);
    this.checkConsent();
    this.findings.replaceChildren(...found.map((f) => make("div", { class: "s-note" }, said(f.text))));
  }
}

whenThere("#concepts-room", (root) => new Room(root).open().catch(complain));
