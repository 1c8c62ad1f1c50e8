// A run's events, followed from the studio's log: a second browser and a reload see the same, and a lost line goes on.
import { runs } from "./studio.js";

const TYPES = ["stage", "phase", "step", "progress", "preview", "checkpoint", "warning", "resumed", "stopped", "finished", "outcome"];
const RECENT = 30; // steps that the pace is a mean of

// What the events say so far; steps that a resumed run repeats replace the earlier ones.
export class Seen {
  constructor() {
    Object.assign(this, { step: 0, total: 0, stage: "", losses: [], previews: new Map(), prompts: new Map(), checkpoints: [],
      warnings: [], trigger: "", paces: [] });
  }

  take(event) {
    if (event.type === "step") {
      while (this.losses.length && this.losses[this.losses.length - 1][0] >= event.step) this.losses.pop();
      this.losses.push([event.step, event.loss]);
      this.paces = [...this.paces.slice(1 - RECENT), event.seconds];
      [this.step, this.total] = [event.step, event.total];
    } else if (event.type === "progress") [this.step, this.total] = [event.done, event.total];
    else if (event.type === "stage") this.stage = event.text;
    else if (event.type === "preview") {
      if (!this.previews.has(event.step)) this.previews.set(event.step, new Map());
      this.previews.get(event.step).set(event.number, event.file);
      this.prompts.set(event.number, event.prompt || "");
    } else if (event.type === "checkpoint" && !this.checkpoints.includes(event.step)) this.checkpoints.push(event.step);
    else if (event.type === "warning" && !this.warnings.includes(event.text)) this.warnings.push(event.text);
    else if (event.type === "finished") this.trigger = event.trigger;
  }

  get pace() {
    return this.paces.length ? this.paces.reduce((sum, s) => sum + s, 0) / this.paces.length : 0;
  }

  get left() {
    return (this.total - this.step) * this.pace;
  }
}

export class Follower {
  // `drawn(type)` after events have come, the kinds since the last time in a set; `ended()` when the run has.
  constructor(drawn, ended) {
    this.drawn = drawn;
    this.ended = ended;
    this.news = new Set();
  }

  open(id) {
    this.close();
    this.id = id;
    this.last = 0;
    this.seen = new Seen();
    this.listen();
  }

  // Goes on after the last event that came.
  listen() {
    const source = new EventSource(runs.events(this.id, this.last));
    this.source = source;
    for (const type of TYPES) {
      source.addEventListener(type, (message) => {
        if (source !== this.source) return;
        this.last = Number(message.lastEventId);
        this.seen.take(JSON.parse(message.data));
        this.tell(type);
      });
    }
    source.addEventListener("end", () => {
      if (source !== this.source) return;
      this.close();
      this.tell("end");
      this.ended();
    });
    source.onerror = () => {
      // A browser connects again by itself, unless the answer was no stream.
      if (source.readyState === EventSource.CLOSED && source === this.source) {
        this.close();
        this.retry = setTimeout(() => this.listen(), 3000);
      }
    };
  }

  tell(type) {
    this.news.add(type);
    this.timer ||= setTimeout(() => {
      this.timer = null;
      const news = this.news;
      this.news = new Set();
      this.drawn(news);
    }, 120);
  }

  get following() {
    return Boolean(this.source || this.retry);
  }

  close() {
    clearTimeout(this.retry);
    this.retry = null;
    this.source?.close();
    this.source = null;
  }
}
