// What stands in all captions of a draft, and a model that writes those that are missing, picture by picture.
import { drafts } from "./api.js";
import { button, complain, holdFocus, make, toast } from "./dom.js";
import { t } from "./i18n.js";
import { OneByOne } from "./one_by_one.js";
import { later } from "./saving.js";

export class Captions {
  // `room` has the draft, takes what the studio answers, and flushes what was typed.
  constructor(room) {
    Object.assign(this, { room, here: [], writer: "" });
    this.turns = new OneByOne(room, () => this.draw());
    const { id } = room.draft;
    this.save = later(async (fields) => room.take(await drafts.update(id, fields)));
    const [prefix, suffix] = ["prefix", "suffix"].map((key) => make("input", { type: "text", id: key, value: room.draft[key],
      oninput: () => this.save({ prefix: prefix.value, suffix: suffix.value }) }));
    const find = make("input", { type: "text", id: "find", placeholder: t("concepts.find"), "aria-label": t("concepts.find") });
    const put = make("input", { type: "text", id: "put", placeholder: t("concepts.put"), "aria-label": t("concepts.put") });
    this.writing = make("div", { class: "s-writing" });
    this.element = make("details", { class: "s-more", ontoggle: (e) => e.target.open && this.look().catch(complain) },
      make("summary", {}, t("concepts.captions")),
      make("p", { class: "s-hint" }, t("concepts.captions_hint")),
      make("label", {}, t("concepts.prefix"), prefix), make("label", {}, t("concepts.suffix"), suffix),
      make("div", { class: "s-row" }, find, put,
        button(t("concepts.replace"), () => this.replace(find.value, put.value).catch(complain), { id: "replace" })),
      this.writing);
    this.draw();
  }

  async replace(find, put) {
    await this.room.flush();
    const told = await drafts.replace(this.room.draft.id, find, put);
    this.room.take(told);
    toast(t("concepts.replaced", { n: told.changed }));
  }

  async look() {
    this.here = await drafts.captioners();
    if (!this.here.includes(this.writer)) this.writer = "";
    this.draw();
  }

  // What can write captions here; without any it is said what to do.
  draw() {
    const back = holdFocus(this.writing);
    const none = !this.here.length;
    const { at } = this.turns;
    const select = make("select", { id: "captioner", "data-key": "captioner", onchange: (e) => { this.writer = e.target.value; } },
      make("option", { value: "" }, t("create.automatic")),
      ...this.here.map((place) => make("option", { value: place, selected: place === this.writer }, place)));
    const write = { id: "write-captions", disabled: none || Boolean(at), title: at ? t("concepts.writing_hint") : null, "data-key": "write" };
    this.writing.replaceChildren(
      none ? make("p", { class: "s-hint", id: "no-captioner" }, t("concepts.no_captioner")) : make("label", {}, t("concepts.captioner"), select),
      button(at ? t("concepts.writing", at) : t("concepts.write"), () => this.write().catch(complain),
        none ? { ...write, "aria-describedby": "no-captioner" } : write),
      at ? button(t("queue.cancel"), () => this.turns.stop(), { id: "stop-writing", "data-key": "write" }) : "");
    back();
  }

  // One after the other, so that each can be read when it comes, and left where another draft is opened.
  async write() {
    const { room } = this;
    await room.flush();
    const { id, shots } = room.draft;
    const bare = shots.filter((s) => !s.caption.trim());
    if (!bare.length) {
      toast(t("concepts.all_written"));
      return;
    }
    const writers = [];
    await this.turns.each(bare, async (shot) => {
      const told = await drafts.write(id, shot.id, this.writer);
      room.take(told);
      if (told.written_by) writers.push(told.written_by);
    });
    if (writers.length) toast(t("concepts.written", { n: writers.length, by: writers.at(-1) }));
  }
}
