// The Concepts room: pictures, captions, things and masks of one draft. The server keeps everything at each change.
import { drafts } from "./api.js";
import { Captions } from "./captions.js";
import { Cards } from "./cards.js";
import { baseFor, teach } from "./chosen.js";
import { button, complain, holdFocus, make, toast, whenThere } from "./dom.js";
import { FindAll } from "./find_all.js";
import { onNewLanguage, said, t } from "./i18n.js";
import { consentPanel, kindSelect } from "./people.js";
import { openRoom } from "./rooms.js";
import { later } from "./saving.js";

const HERE = "semblance.draft"; // which draft this browser looked at last
const SUFFIXES = /\.(png|jpe?g|webp|bmp)$/i;

class Room {
  constructor(root) {
    Object.assign(this, { root, checks: 0 });
  }

  async open() {
    const all = await drafts.all();
    const wanted = new URLSearchParams(location.search).get("draft") || localStorage.getItem(HERE);
    const found = all.find((d) => d.id === wanted) || all[0];
    await this.show(found ? await drafts.get(found.id) : await drafts.create());
    onNewLanguage(() => this.go(() => this.draft));
  }

  async show(draft) {
    const back = holdFocus(this.root);
    this.draft = draft;
    this.listed = "";
    localStorage.setItem(HERE, draft.id);
    this.saveThings = later(async (things) => this.take(await drafts.update(draft.id, { things })));
    this.captions = new Captions(this);
    this.cards = new Cards(this);
    this.findAll = new FindAll(this);
    this.head = make("div", { class: "s-drafts" });
    this.things = make("div", { class: "s-things" });
    this.coming = make("p", { class: "s-hint", role: "status", id: "coming" });
    this.findings = make("div", { class: "s-findings", id: "findings" });
    this.consent = make("div", {});
    this.root.replaceChildren(this.head, make("div", { class: "s-concepts" },
      make("div", { class: "s-side" }, this.things, this.findAll.element, this.consent, this.captions.element, this.foot()),
      make("div", { class: "s-main" }, this.drop(), this.coming, this.findings, this.cards.element)));
    await this.list();
    this.drawThings();
    this.cards.draw(this.draft);
    back();
    this.check();
    this.root.dataset.ready = "true";
  }

  // Another draft, once what was typed in this one is kept; what cannot be now is tried again meanwhile.
  go(next) {
    this.going = this.flush().catch(() => {}).then(next).then((draft) => this.show(draft)).catch(complain);
    return this.going;
  }

  // An answer of the studio is what is shown, unless it is about another draft or older than what is.
  take(told) {
    const draft = told.draft || told;
    if (draft.id !== this.draft.id || draft.changed < this.draft.changed) return;
    this.draft = draft;
    this.cards.draw(draft);
    this.list().catch(complain);
    this.root.dataset.saved = String(Date.now());
  }

  // Does something to the draft with all that was typed in it; whether it was done.
  async act(answer) {
    try {
      await this.flush();
      this.take(await answer());
      return true;
    } catch (error) {
      complain(error);
      return false;
    }
  }

  async list() {
    const all = await drafts.all();
    const told = JSON.stringify([this.draft.id, ...all.map((d) => [d.id, d.label, d.pictures])]);
    if (told === this.listed) return;
    this.listed = told;
    const back = holdFocus(this.head);
    const name = (d) => `${d.label} (${d.pictures})`;
    const select = make("select", { id: "drafts", "aria-label": t("concepts.draft"), "data-key": "drafts",
      onchange: (e) => this.go(() => drafts.get(e.target.value)) },
      ...all.map((d) => make("option", { value: d.id, selected: d.id === this.draft.id }, name(d))));
    this.head.replaceChildren(make("label", {}, make("span", {}, t("concepts.draft")), select),
      button(t("concepts.new"), () => this.go(drafts.create), { id: "new-draft", "data-key": "new" }),
      button(t("concepts.delete"), () => this.remove().catch(complain), { id: "delete-draft", "data-key": "delete" }),
      make("small", { class: "s-hint" }, t("concepts.kept")));
    back();
  }

  async remove() {
    const { id, label } = this.draft;
    await this.flush();
    await drafts.remove(id);
    const left = await drafts.all();
    await this.show(left.length ? await drafts.get(left[0].id) : await drafts.create());
    toast(t("concepts.put_away", { label }), { label: t("undo"), run: () => this.go(() => drafts.restore(id)) });
  }

  drop() {
    const input = make("input", { type: "file", accept: "image/*,.txt", multiple: true, id: "pictures", hidden: true,
      onchange: (e) => { const files = [...e.target.files]; e.target.value = ""; this.add(files); } });
    const area = make("div", { class: "s-drop", role: "button", tabindex: 0, id: "drop", "data-key": "drop", onclick: () => input.click(),
      onkeydown: (e) => { if (e.key === "Enter" || e.key === " ") { e.preventDefault(); input.click(); } } },
      make("b", {}, t("concepts.drop")), make("span", {}, t("concepts.drop_hint")), input);
    const over = (on) => (event) => { event.preventDefault(); area.classList.toggle("over", on); };
    area.addEventListener("dragover", over(true));
    area.addEventListener("dragleave", over(false));
    area.addEventListener("drop", (event) => { over(false)(event); this.add([...event.dataTransfer.files]); });
    return area;
  }

  // Picture by picture, so that it is seen how far it is; then the texts, which find their pictures by name.
  async add(files) {
    await this.going; // what is dropped behind a press of "New" is for the new one
    const { draft: { id }, coming } = this;
    const texts = files.filter((f) => /\.txt$/i.test(f.name));
    const pictures = files.filter((f) => SUFFIXES.test(f.name) || f.type.startsWith("image/"));
    const news = [];
    this.root.dataset.busy = "true";
    try {
      for (const [n, picture] of pictures.entries()) {
        coming.textContent = t("concepts.taking", { n: n + 1, total: pictures.length });
        const told = await drafts.add(id, [picture]);
        this.take(told);
        news.push(...told.refused.map(said));
      }
      if (texts.length) {
        const told = await drafts.captions(id, texts);
        this.take(told);
        news.push(t("concepts.captions_found", { n: told.found }), ...told.notices.map(said));
      }
    } catch (error) {
      news.push(said(error.message));
    }
    delete this.root.dataset.busy;
    if (news.length) toast(news.slice(0, 3).join(" "));
    this.check();
  }

  drawThings() {
    const things = this.draft.things.map((t) => ({ ...t }));
    const save = () => this.saveThings(things);
    const update = async (wanted) => {
      if (await this.act(() => drafts.update(this.draft.id, { things: wanted }))) this.drawThings();
    };
    const add = button(t("concepts.another"), () => update([...things, { name: "", noun: "", kind: "object" }]),
      { id: "add-thing", "data-key": "add" });
    const back = holdFocus(this.things, add);
    const field = (thing, key, label, hint, id) => make("label", {}, label, make("input", {
      type: "text", id, value: thing[key], placeholder: hint, maxlength: key === "name" ? 64 : 40,
      oninput: (e) => { thing[key] = e.target.value; save(); } }));
    this.things.replaceChildren(make("h3", {}, things.length > 1 ? t("concepts.things") : t("concepts.thing")),
      ...things.map((thing, n) => make("div", { class: "s-row" },
        field(thing, "name", t("concepts.name"), t("concepts.name_example"), `name-${n}`),
        field(thing, "noun", t("concepts.noun"), t("concepts.noun_example"), `noun-${n}`),
        kindSelect(thing.kind, t("concepts.kind_of", { name: thing.name || t("concepts.nth", { n: n + 1 }) }), async (kind) => {
          thing.kind = kind;
          await this.act(() => drafts.update(this.draft.id, { things }));
          this.check();
        }),
        things.length > 1 && button("×", () => update(things.filter((t) => t !== thing)),
          { "aria-label": t("concepts.take_thing", { n: n + 1 }), "data-key": `take ${n}` }))), add);
    back();
  }

  foot() {
    return make("div", { class: "s-foot" },
      button(t("concepts.teach"), () => this.teach(), { class: "s-button s-primary", id: "teach-this" }));
  }

  async teach() {
    try {
      await this.flush();
    } catch (error) {
      complain(error); // a training would learn what was there before
      return;
    }
    teach(this.draft.id);
    openRoom("train");
  }

  flush() {
    return Promise.all([this.saveThings.flush(), this.captions.save.flush(), this.cards.flush()]);
  }

  async takeOut(shot) {
    const { id } = this.draft;
    if (!await this.act(() => drafts.take(id, shot.id))) return;
    this.check();
    toast(t("concepts.taken", { name: shot.name }), { label: t("undo"), run: async () => {
      await this.act(() => drafts.takeBack(id, shot.id));
      this.check();
    } });
  }

  // What the pictures lack; the answer to an older question, or about another draft, is not shown.
  async check() {
    const { draft, coming, findings } = this;
    this.checks += 1;
    const turn = this.checks;
    consentPanel(this.consent, draft, () => this.go(() => drafts.get(draft.id)));
    coming.textContent = t("concepts.checking");
    const found = await drafts.checks(draft.id, baseFor(draft.id)).catch(() => []);
    if (turn !== this.checks || draft.id !== this.draft.id) return;
    coming.textContent = "";
    findings.replaceChildren(...found.map((f) => make("div", { class: "s-note" }, said(f.text))));
  }
}

whenThere("#concepts-room", (root) => new Room(root).open().catch(complain));
