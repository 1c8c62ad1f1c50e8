// The helpers of the System room: optional models, what each is good for, and a way to fetch it.
import { progress } from "./bases.js";
import { button, complain, holdFocus, make } from "./dom.js";
import { bytes, said, t } from "./i18n.js";
import { bases } from "./system_api.js";

const POLL = 1000;

export class Helpers {
  // `offline()` says whether nothing may be fetched now.
  constructor(offline) {
    this.offline = offline;
    this.list = make("div", { class: "s-list", id: "helpers" });
    this.element = make("section", { class: "s-block" }, make("h3", {}, t("helpers.title")),
      make("p", { class: "s-hint" }, t("helpers.about")), this.list);
    this.offered = null; // what the hub says of the one that was asked about
    this.refused = null; // {id, message} of the last refusal
  }

  async refresh() {
    try {
      [this.known, this.coming] = await Promise.all([bases.helpers(), bases.downloads()]);
      this.draw();
    } catch (error) {
      complain(error);
    }
    clearTimeout(this.timer);
    if (this.coming?.some((d) => d.helper && d.state === "running") && this.element.isConnected) this.timer = setTimeout(() => this.refresh(), POLL);
  }

  draw() {
    if (!this.known) return;
    const back = holdFocus(this.list);
    this.list.replaceChildren(...(this.offline() && this.known.some((h) => !h.here) ? [make("p", { class: "s-hint" }, t("helpers.offline"))] : []),
      ...this.known.map((helper) => this.row(helper)));
    back();
  }

  row(helper) {
    const { id, title, good_for: use, licence, here } = helper;
    const coming = this.coming.find((d) => d.id === id && !here);
    const size = helper.bytes ? (here ? bytes(helper.bytes) : t("helpers.about_size", { size: bytes(helper.bytes) })) : "";
    const facts = [here ? t("helpers.here") : t("helpers.missing"), size, licence && t("bases.licence", { licence })].filter(Boolean);
    return make("div", { class: "s-line", "data-helper": id, "data-here": String(here) },
      make("div", { class: "s-base" }, make("b", {}, title), make("span", {}, said(use)), make("small", {}, `${facts.join(" · ")} · ${id}`),
        this.refused?.id === id && make("div", { class: "s-note bad", role: "status" }, said(this.refused.message)),
        coming?.state === "failed" && make("div", { class: "s-note bad", role: "status" }, said(coming.message)),
        coming?.state === "cancelled" && make("small", {}, t("bases.cancelled")),
        this.offered?.id === id && this.offer(this.offered)),
      ...this.act(helper, coming));
  }

  act({ id, title, here }, coming) {
    if (coming?.state === "running") {
      return [progress(coming.done, coming.total),
        button(t("bases.cancel"), () => this.run(id, bases.cancel(id)), { "data-key": `cancel ${id}` })];
    }
    if (here || this.offline() || this.offered?.id === id) return [];
    return [button(t("helpers.fetch"), () => this.look(id), { "aria-label": t("helpers.fetch_of", { name: title }), "data-key": `fetch ${id}`,
      title: t("helpers.unread") })];
  }

  offer({ id, licence, licence_link: link, bytes: size }) {
    return make("div", { class: "s-offer" },
      make("p", {}, licence ? t("bases.under", { licence }) : t("bases.no_licence"), link ? ` (${link})` : ""),
      make("p", {}, t("bases.fetches", { size: bytes(size) })),
      button(t("bases.download"), () => this.run(id, bases.download(id)), { class: "s-button s-primary", "data-key": `fetch ${id}` }));
  }

  async look(id) {
    await this.run(id, bases.look(id).then((told) => { this.offered = told; }));
  }

  // Something that was asked for; a refusal stands beside its helper.
  async run(id, asked) {
    [this.refused, this.offered] = [null, null];
    try {
      await asked;
    } catch (error) {
      this.refused = { id, message: error.message };
    }
    await this.refresh();
  }
}
