// The Create room: a form, what it paints, and the history. The server paints; a reload finds it where it is.
import { images } from "./api.js";
import { Form } from "./create_form.js";
import { complain, dropZone, make, toast, whenThere } from "./dom.js";
import { History } from "./history.js";
import { onNewLanguage, said, t } from "./i18n.js";
import { Source } from "./source.js";
import { Stage } from "./stage.js";

class Room {
  constructor(root) {
    this.root = root;
  }

  async open() {
    this.choices = await images.choices();
    const acts = {
      use: (file) => this.use(images.made(file)), // the settings of a picture that is here
      from: (file) => this.source.takeOwn(file).catch(complain),
      inside: (file) => this.source.takeOwn(file).then(() => this.source.paintMask()).catch(complain),
      likes: (file) => this.history.likes(file),
      like: (file, favourite) => this.like(file, favourite),
      remove: (file) => this.remove(file),
    };
    this.source = new Source(() => { this.form.draw(); this.form.remember(); });
    this.form = new Form(this.choices, this.source, {
      paint: (body, live) => this.paint(body, live), file: (file) => this.dropped(file),
    });
    this.stage = new Stage(acts, () => this.history.refresh());
    this.history = new History(acts);
    this.root.replaceChildren(make("div", { class: "s-create" }, this.form.element,
      make("div", { class: "s-main" }, this.stage.element, this.history.element)));
    dropZone(this.root, (file) => this.dropped(file));
    new IntersectionObserver((seen) => seen.some((s) => s.isIntersecting) && this.refresh()).observe(this.root);
    await Promise.all([this.history.refresh(), this.resume(), this.form.recall().catch(complain)]);
    onNewLanguage(() => { for (const part of [this.form, this.stage, this.history]) part.redraw(); });
    this.root.dataset.ready = "true";
  }

  async refresh() {
    this.form.offer(await images.choices().catch(() => this.choices));
  }

  // What is under way, or was painted last, is shown again after a reload.
  async resume() {
    const last = (await images.paintings()).pop();
    if (last) this.stage.follow(last);
  }

  // One after the other: a painting can be cancelled once it was answered what it is called.
  paint(body, live) {
    this.asked = (this.asked || Promise.resolve()).then(() => this.ask(body, live));
    return this.asked;
  }

  async ask(body, live) {
    try {
      if (live) await this.stage.cancel();
      this.stage.follow(await images.paint({ ...body, ...await this.form.sent() }));
      if (!live) this.stage.element.scrollIntoView({ behavior: "smooth", block: "start" });
    } catch (error) {
      complain(error);
    }
  }

  async use(answer) {
    try {
      const made = await answer;
      const back = this.form.restore(made);
      toast([t("create.restored"), ...made.notices.map(said)].join(" "), { label: t("undo"), run: back });
    } catch (error) {
      complain(error);
    }
  }

  async dropped(file) {
    try {
      await this.use(Promise.resolve(await images.settings(file)));
    } catch (error) {
      toast(said(error.message), { label: t("viewer.from"), run: () => this.source.take(file).catch(complain) });
    }
  }

  // Whether it is a favourite then.
  async like(file, favourite) {
    try {
      this.history.changed(await images.favour(file, favourite));
      return favourite;
    } catch (error) {
      complain(error);
      return !favourite;
    }
  }

  async remove(file) {
    try {
      await images.remove(file);
      this.stage.forget(file);
      this.history.forget(file);
      toast(t("create.trashed"), { label: t("undo"), run: async () => {
        await images.restore(file).catch(complain);
        this.history.refresh();
      } });
    } catch (error) {
      complain(error);
    }
  }
}

whenThere("#create-room", (root) => new Room(root).open().catch(complain));
