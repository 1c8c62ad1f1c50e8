// Has each thing of a draft found by its noun, in every picture that has no mask of it yet.
import { drafts } from "./api.js";
import { baseFor } from "./chosen.js";
import { button, complain, holdFocus, make, toast } from "./dom.js";
import { said, t } from "./i18n.js";
import { OneByOne } from "./one_by_one.js";

export class FindAll {
  // `room` has the draft, takes what the studio answers, flushes what was typed, and checks.
  constructor(room) {
    this.room = room;
    this.turns = new OneByOne(room, () => this.draw());
    this.acts = make("div", { class: "s-row" });
    this.progress = make("p", { class: "s-hint", role: "status", id: "finding-all" });
    this.faults = make("div", { class: "s-findings", id: "not-found", "aria-live": "polite" });
    this.element = make("div", { class: "s-writing" }, this.acts, this.progress, this.faults);
    this.draw();
  }

  draw() {
    const { at } = this.turns;
    const back = holdFocus(this.acts);
    this.progress.textContent = at ? t("masks.looking", at) : "";
    this.acts.replaceChildren(button(t("masks.find_all"), () => this.find().catch(complain),
      { id: "find-all", "data-key": "find", disabled: Boolean(at), title: t("masks.find_all_hint"), "aria-describedby": "finding-all" }),
      at ? button(t("queue.cancel"), () => this.turns.stop(), { id: "stop-finding", "data-key": "find" }) : "");
    back();
  }

  async find() {
    const { room } = this;
    await room.flush(); // the studio looks for the noun that it has
    const { id, shots, things } = room.draft;
    const named = things.filter((thing) => thing.noun.trim());
    const bare = shots.flatMap((shot) => named.filter((thing) => !shot.masks.includes(thing.id)).map((thing) => ({ shot, thing })));
    this.faults.replaceChildren();
    if (!bare.length) {
      toast(!shots.length ? t("concepts.empty") : named.length ? t("masks.all_there") : t("masks.no_noun"));
      return;
    }
    const finders = [];
    await this.turns.each(bare, async ({ shot, thing }) => {
      try {
        const told = await drafts.findThing(id, shot.id, thing.id, baseFor(id));
        room.take(told);
        if (told.found_by) finders.push(told.found_by);
      } catch (error) {
        if (!error.status) throw error; // a studio that is silent is so for all of them
        this.faults.append(make("div", { class: "s-note bad" }, t("masks.failed", { noun: thing.noun, name: shot.name, why: said(error.message) })));
      }
    });
    if (finders.length) toast(t("masks.found", { n: finders.length, by: finders.at(-1).split(",")[0] }));
    if (room.draft.id === id) room.check();
  }
}
