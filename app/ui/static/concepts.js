// The Concepts room: pictures, captions, things and masks of one draft. The server keeps everything at each change.
import { drafts, later, pictureAt } from "./api.js";
import { button, complain, make, toast, whenThere } from "./dom.js";
import { edit } from "./editor.js";
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
    this.show(found ? await drafts.get(found.id) : await drafts.create());
  }

  async show(draft) {
    this.draft = draft;
    localStorage.setItem(HERE, draft.id);
    this.cards.clear();
    this.head = make("div", { class: "s-drafts" });
    this.things = make("div", { class: "s-things" });
    this.grid = make("div", { class: "s-shots", id: "shots" });
    this.findings = make("div", { class: "s-findings", id: "findings" });
    this.root.replaceChildren(this.head, make("div", { class: "s-concepts" },
      make("div", { class: "s-side" }, this.things, this.wording(), this.foot()),
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
    const select = make("select", { id: "drafts", "aria-label": "Draft",
      onchange: async (e) => this.show(await drafts.get(e.target.value)) },
      ...all.map((d) => make("option", { value: d.id, selected: d.id === this.draft.id }, name(d))));
    this.head.replaceChildren(make("label", {}, "Draft ", select),
      button("New", async () => this.show(await drafts.create()), { id: "new-draft" }),
      button("Delete", () => this.remove(), { id: "delete-draft" }),
      make("small", { class: "s-hint" }, "Everything is kept as you type, on this machine."));
  }

  async remove() {
    const { id, label } = this.draft;
    await drafts.remove(id);
    const left = await drafts.all();
    await this.show(left.length ? await drafts.get(left[0].id) : await drafts.create());
    toast(`The draft '${label}' is put away.`, { label: "Undo", run: async () => this.show(await drafts.restore(id)) });
  }

  drop() {
    const input = make("input", { type: "file", accept: "image/*", multiple: true, id: "pictures", hidden: true,
      onchange: (e) => { this.add([...e.target.files]); e.target.value = ""; } });
    const area = make("div", { class: "s-drop", role: "button", tabindex: 0, id: "drop",
      onclick: () => input.click(), onkeydown: (e) => (e.key === "Enter" || e.key === " ") && input.click() },
      make("b", {}, "Drop pictures here"), make("span", {}, "or press to choose; PNG, JPEG, WebP or BMP, up to 30"), input);
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
      if (told?.refused.length) toast(told.refused.slice(0, 3).join(" "));
    }
    if (texts.length) {
      const told = await this.put(drafts.captions(this.draft.id, texts));
      if (told) toast(`${told.found} captions found their pictures. ${told.notices.slice(0, 2).join(" ")}`);
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
    this.things.replaceChildren(make("h3", {}, things.length > 1 ? "The things" : "The thing"),
      ...things.map((thing, n) => make("div", { class: "s-row" },
        field(thing, "name", "Name", "mycat", `name-${n}`), field(thing, "noun", "What is it?", "cat", `noun-${n}`),
        things.length > 1 && button("×", async () => {
          await this.saveThings.flush();
          await this.put(drafts.update(this.draft.id, { things: things.filter((t) => t !== thing) }));
          this.drawThings();
        }, { "aria-label": `Take thing ${n + 1} out` }))),
      button("Another thing in the same pictures", async () => {
        await this.saveThings.flush();
        await this.put(drafts.update(this.draft.id, { things: [...things, { name: "", noun: "" }] }));
        this.drawThings();
      }, { id: "add-thing" }));
  }

  wording() {
    const text = (key, label) => make("label", {}, label, make("input", { type: "text", value: this.draft[key], id: key,
      oninput: (e) => { this.draft[key] = e.target.value; this.saveAffixes({ prefix: this.draft.prefix, suffix: this.draft.suffix }); } }));
    const find = make("input", { type: "text", id: "find", placeholder: "find" });
    const put = make("input", { type: "text", id: "put", placeholder: "replace with" });
    const replace = async () => {
      await this.flush();
      const told = await this.put(drafts.replace(this.draft.id, find.value, put.value));
      if (told) toast(`Replaced in ${told.changed} captions.`);
    };
    return make("details", { class: "s-more" }, make("summary", {}, "Captions"),
      make("p", { class: "s-hint" }, "Without captions each picture is “a photo of” the thing. Write [trigger] where its "
        + "name belongs. Text files that you drop beside the pictures are read too."),
      text("prefix", "Before every caption"), text("suffix", "After every caption"),
      make("div", { class: "s-row" }, find, put, button("Replace in all", replace, { id: "replace" })));
  }

  foot() {
    return make("div", { class: "s-foot" },
      button("Teach this", () => this.teach(), { class: "s-button s-primary", id: "teach-this" }));
  }

  async teach() {
    await this.flush();
    const field = document.querySelector("#chosen-draft textarea, #chosen-draft input");
    field.value = this.draft.id;
    field.dispatchEvent(new Event("input", { bubbles: true }));
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
      "No pictures yet. Four to six of one thing, from different sides and in different places, teach the most."));
  }

  card(shot) {
    const known = this.cards.get(shot.id);
    const caption = known?.caption || make("textarea", { rows: 2, "aria-label": `Caption of ${shot.name}`, maxlength: 2000,
      placeholder: "a photo of [trigger] …" });
    const save = known?.save || later((text) => this.put(drafts.change(this.draft.id, shot.id, { caption: text }), false));
    if (document.activeElement !== caption) caption.value = shot.caption;
    caption.oninput = () => save(caption.value);
    this.cards.set(shot.id, { caption, save });
    const changed = (draft) => { if (draft.id !== this.draft.id) return; this.draft = draft; this.drawShots(); this.root.dataset.saved = String(Date.now()); };
    const act = (tool) => () => edit(this.draft, this.draft.shots.find((s) => s.id === shot.id), changed, tool).catch(complain);
    const masks = shot.masks.filter((m) => this.draft.things.some((t) => t.id === m)).length;
    const [left, top, right, bottom] = shot.crop || [0, 0, 1, 1];
    const frame = make("div", { class: "s-frame", style: `aspect-ratio:${(right - left) * shot.width}/${(bottom - top) * shot.height}` },
      make("img", { src: pictureAt(this.draft.id, shot.id, true), alt: shot.name, loading: "lazy",
        style: `width:${100 / (right - left)}%;left:${-100 * left / (right - left)}%;top:${-100 * top / (bottom - top)}%;`
          + `height:${100 / (bottom - top)}%;` }));
    if (shot.flipped) frame.style.transform = "scaleX(-1)";
    return make("div", { class: "s-shot", "data-shot": shot.id, "data-masks": masks },
      make("button", { class: "s-open", type: "button", onclick: act("brush"), "aria-label": `Paint masks on ${shot.name}` }, frame),
      caption,
      make("div", { class: "s-acts" },
        button(masks ? `Masks ${masks}` : "Mask", act("brush"), { "data-act": "mask" }), button("Crop", act("crop"), { "data-act": "crop" }),
        button("Flip", () => this.put(drafts.change(this.draft.id, shot.id, { flipped: !shot.flipped })), { "data-act": "flip" }),
        button("Remove", () => this.take(shot), { "data-act": "remove" })));
  }

  async take(shot) {
    await this.flush();
    await this.put(drafts.take(this.draft.id, shot.id));
    this.check();
    toast(`'${shot.name}' is taken out.`, { label: "Undo", run: async () => {
      await this.put(drafts.takeBack(this.draft.id, shot.id));
      this.check();
    } });
  }

  async check() {
    const found = await drafts.checks(this.draft.id, 256).catch(() => []);
    this.findings.replaceChildren(...found.map((f) => make("div", { class: "s-note" }, f.text)));
  }
}

whenThere("#concepts-room", (root) => new Room(root).open().catch(complain));
