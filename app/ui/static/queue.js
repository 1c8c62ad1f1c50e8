// The queue: what runs, what waits and for what, and whose turn it is; pictures are painted beside it, in their order.
import { images } from "./api.js";
import { button, complain, holdFocus, make, toast } from "./dom.js";
import { said, t } from "./i18n.js";
import { openRoom } from "./rooms.js";
import { doing, queue, runs } from "./studio.js";

export class QueueList {
  // `show(id)` opens a job beside the list.
  constructor(show) {
    this.show = show;
    this.list = make("ul", { id: "waiting", class: "s-queue" });
    this.beside = make("ul", { id: "beside", class: "s-queue" });
    this.pause = make("span", {});
    this.gone = make("ul", { class: "s-queue" });
    this.trash = make("details", { class: "s-more", id: "put-away" }, make("summary", {}, t("queue.put_away")), this.gone);
    this.root = make("section", { id: "queue", "aria-labelledby": "queue-title" },
      make("div", { class: "s-head" }, make("h3", { id: "queue-title" }, t("queue.title")), this.pause), this.list, this.beside, this.trash);
    this.later = null; // the job whose start is being put off
  }

  // What `queue.seen()` answered; drawn only when it says something new, and never under a person's hands.
  take(seen, again = false) {
    const told = JSON.stringify(seen);
    if (!again && (told === this.told || this.list.contains(document.activeElement) && document.activeElement.tagName === "INPUT")) return;
    this.told = told;
    this.seen = seen;
    const back = holdFocus(this.root);
    this.pause.replaceChildren(seen.paused
      ? button(t("queue.go_on"), () => this.act(queue.pause(false)), { id: "queue-go-on", "data-key": "pause" })
      : button(t("queue.pause"), () => this.act(queue.pause(true)), { id: "queue-pause", "data-key": "pause", title: t("queue.pause_hint") }));
    const items = seen.waiting.map((job, n) => this.waiting(job, n, seen.waiting.length));
    if (seen.running) items.unshift(this.running(seen.running));
    this.list.replaceChildren(...items);
    this.drawBeside(seen.beside);
    if (!items.length) this.list.replaceChildren(make("li", { class: "s-hint" }, seen.paused ? t("queue.empty_paused") : t("queue.empty")));
    this.trash.hidden = !seen.deleted.length;
    this.gone.replaceChildren(...seen.deleted.map((job) => make("li", { "data-run": job.id },
      make("span", { class: "s-name" }, make("b", {}, job.name), make("small", {}, doing(job.kind))),
      make("div", { class: "s-acts" }, button(t("queue.back"), () => this.act(runs.restore(job.id).then(queue.seen)),
        { "aria-label": t("queue.back_of", { name: job.name }), "data-key": `back ${job.id}` })))));
    back();
  }

  async act(answer) {
    try {
      this.take(await answer, true);
    } catch (error) {
      complain(error);
    }
  }

  title(job) {
    return make("button", { type: "button", class: "s-open s-name", "data-key": `show ${job.id}`, onclick: () => this.show(job.id) },
      make("b", {}, job.name), make("small", {}, doing(job.kind)));
  }

  running(job) {
    return make("li", { "data-run": job.id, "data-state": "running" }, this.title(job),
      make("p", { class: "s-hint", role: "status" }, job.stopping ? t("run.stopping") : t("queue.runs")),
      make("div", { class: "s-acts" }, !job.stopping && button(t("queue.stop"), () => this.act(runs.stop(job.id).then(queue.seen)),
        { "aria-label": t("queue.stop_of", { name: job.name }), "data-key": `stop ${job.id}` })));
  }

  // First, up, down: where there is somewhere to go.
  turns(id, name, n, count, move) {
    const act = (label, where, can) => can && button(label, () => this.act(move(where)),
      { "aria-label": t("queue.act_of", { act: label, name }), "data-key": `${where} ${id}` });
    return [act(t("queue.first"), "first", n > 0), act(t("queue.up"), "up", n > 0), act(t("queue.down"), "down", n < count - 1)];
  }

  waiting(job, n, count) {
    return make("li", { "data-run": job.id, "data-state": "queued" }, this.title(job),
      make("p", { class: "s-hint" }, said(job.waits)),
      make("div", { class: "s-acts" }, ...this.turns(job.id, job.name, n, count, (where) => queue.move(job.id, where)),
        job.not_before
          ? button(t("queue.in_turn"), () => this.act(queue.later(job.id, null)), { "data-key": `later ${job.id}` })
          : button(t("queue.later"), () => { this.later = this.later === job.id ? null : job.id; this.take(this.seen, true); },
            { "aria-label": t("queue.later_of", { name: job.name }), "aria-expanded": String(this.later === job.id), "data-key": `later ${job.id}` }),
        button(t("queue.out"), () => this.takeOut(job), { "aria-label": t("queue.out_of", { name: job.name }), "data-key": `out ${job.id}` })),
      this.later === job.id && this.when(job));
  }

  // Pictures: light work, painted beside whatever has the device, one sheet after the other.
  drawBeside(paintings) {
    const waiting = paintings.filter((p) => p.state === "waiting");
    this.beside.hidden = !paintings.length;
    this.beside.replaceChildren(...paintings.map((p) => {
      const name = p.name || t("queue.unnamed");
      return make("li", { "data-painting": p.id, "data-state": p.state === "painting" ? "running" : "queued" },
        make("button", { type: "button", class: "s-open s-name", "data-key": `show ${p.id}`, onclick: () => openRoom("create") },
          make("b", {}, name), make("small", {}, doing("paint"))),
        make("p", { class: "s-hint" }, p.state === "painting" ? t("queue.paints", { done: p.done, total: p.total }) : t("queue.paints_next", { total: p.total })),
        make("div", { class: "s-acts" },
          ...(p.state === "waiting" ? this.turns(p.id, name, waiting.indexOf(p), waiting.length, (where) => images.move(p.id, where).then(queue.seen)) : []),
          button(t("queue.cancel"), () => this.act(images.cancel(p.id).then(queue.seen)),
            { "aria-label": t("queue.cancel_of", { name }), "data-key": `out ${p.id}` })));
    }));
  }

  when(job) {
    const soon = new Date(Date.now() + 3600e3 - new Date().getTimezoneOffset() * 60e3).toISOString().slice(0, 16);
    const input = make("input", { type: "datetime-local", value: soon });
    return make("form", { class: "s-row", onsubmit: (event) => {
      event.preventDefault();
      this.later = null;
      this.act(queue.later(job.id, new Date(input.value).getTime() / 1000));
    } }, make("label", {}, t("queue.not_before"), input), make("button", { type: "submit", class: "s-button" }, t("queue.set")));
  }

  async takeOut(job) {
    try {
      await runs.stop(job.id);
      this.take(await queue.seen(), true);
      toast(t("queue.taken_out", { name: job.name }), { label: t("undo"), run: () => this.act(runs.resume(job.id).then(queue.seen)) });
    } catch (error) {
      complain(error);
    }
  }
}
