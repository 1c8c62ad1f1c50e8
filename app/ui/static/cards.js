// The pictures of a draft as cards. A card stays the same element for as long as its picture is there, and what was typed in
// it is left alone until it is saved: nothing takes words or the focus from a person.
import { drafts, pictureAt } from "./api.js";
import { button, complain, make } from "./dom.js";
import { edit } from "./editor.js";
import { t } from "./i18n.js";
import { later } from "./saving.js";

class Card {
  // `room` has the draft, takes what the studio answers, checks, and takes a picture out.
  constructor(room, shot) {
    Object.assign(this, { room, shot });
    const { id } = room.draft;
    this.save = later(async (caption) => room.take(await drafts.change(id, shot.id, { caption })));
    this.caption = make("textarea", { rows: 2, maxlength: 2000, "aria-label": t("concepts.caption_of", { name: shot.name }),
      placeholder: t("concepts.caption_example"), oninput: () => this.save(this.caption.value) });
    this.image = make("img", { src: pictureAt(id, shot.id, true), alt: shot.name, loading: "lazy" });
    this.frame = make("div", { class: "s-frame" }, this.image);
    this.mask = button("", this.edit("brush"), { "data-act": "mask" });
    this.element = make("div", { class: "s-shot", "data-shot": shot.id },
      make("button", { class: "s-open", type: "button", onclick: this.edit("brush"),
                       "aria-label": t("concepts.masks_on", { name: shot.name }) }, this.frame),
      this.caption,
      make("div", { class: "s-acts" }, this.mask, button(t("editor.crop"), this.edit("crop"), { "data-act": "crop" }),
        button(t("concepts.flip"), () => this.flip().catch(complain), { "data-act": "flip" }),
        button(t("concepts.remove"), () => room.takeOut(this.shot), { "data-act": "remove" })));
  }

  draw(shot, things) {
    this.shot = shot;
    const masks = shot.masks.filter((m) => things.some((t) => t.id === m)).length;
    const [left, top, right, bottom] = shot.crop || [0, 0, 1, 1];
    this.element.dataset.masks = String(masks);
    this.mask.textContent = masks ? t("concepts.masks", { n: masks }) : t("concepts.mask");
    this.frame.style.aspectRatio = `${(right - left) * shot.width}/${(bottom - top) * shot.height}`;
    this.frame.style.transform = shot.flipped ? "scaleX(-1)" : "";
    Object.assign(this.image.style, { width: `${100 / (right - left)}%`, left: `${-100 * left / (right - left)}%`,
                                      top: `${-100 * top / (bottom - top)}%`, height: `${100 / (bottom - top)}%` });
    if (!this.save.unsaved() && this.caption.value !== shot.caption) this.caption.value = shot.caption;
  }

  edit(tool) {
    return () => edit(this.room.draft, this.shot, (draft) => this.room.take(draft), () => this.room.check(), tool).catch(complain);
  }

  async flip() {
    await this.save.flush();
    this.room.take(await drafts.change(this.room.draft.id, this.shot.id, { flipped: !this.shot.flipped }));
  }
}

export class Cards {
  constructor(room) {
    Object.assign(this, { room, cards: new Map() });
    this.empty = make("p", { class: "s-empty" }, t("concepts.empty"));
    this.element = make("div", { class: "s-shots", id: "shots" });
  }

  draw({ shots, things }) {
    for (const [id, card] of this.cards) {
      if (shots.some((s) => s.id === id)) continue;
      card.save.forget();
      card.element.remove();
      this.cards.delete(id);
    }
    this.empty.remove();
    shots.forEach((shot, n) => {
      if (!this.cards.has(shot.id)) this.cards.set(shot.id, new Card(this.room, shot));
      const card = this.cards.get(shot.id);
      card.draw(shot, things);
      const there = this.element.children[n];
      if (there !== card.element) this.element.insertBefore(card.element, there || null); // only what is new: a move would blur
    });
    if (!shots.length) this.element.append(this.empty);
    this.element.dataset.count = shots.length;
  }

  flush() {
    return Promise.all([...this.cards.values()].map((card) => card.save.flush()));
  }
}
