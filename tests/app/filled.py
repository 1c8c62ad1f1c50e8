"""A data folder in which every room has something to show, made without training anything."""

from __future__ import annotations

import json
from pathlib import Path

from PIL import Image

from adapters.identity import BaseIdentity
from adapters.record import AdapterRecord
from app.concepts.drafts import Drafts
from app.home import Home
from app.jobs.lab_jobs import TASK, CompareTask
from app.jobs.runs import EventLog
from app.jobs.store import JobStore
from app.library.library import Library
from pipelines.image_file import UsedAdapter, save_png
from pipelines.request import Request
from pipelines.shipped import SAMPLES
from tests.app.http.test_library_routes import word_file

KOALAS = sorted((SAMPLES / "koala").glob("*.png"))
PROMPTS = ("a photo of a zok bear", "a zok bear on the beach")
STEPS = (0, 30, 60, 90, 120)


def fill(root: Path) -> None:
    """Adapters, a draft with a mask, a finished training, a comparison and painted pictures."""
    home = Home.open(str(root))
    store = JobStore(home.database)
    _adapters(home)
    _draft(home)
    _training(home, store)
    _comparison(home, store)
    for n, koala in enumerate(KOALAS[:3]):
        asked = Request(prompt=PROMPTS[n % 2], seed=n, steps=20, guidance=4.0, sampler="DDIM", width=256, height=256)
        with Image.open(koala) as picture:
            save_png(picture.convert("RGB"), home.images / f"20260102-030405-00000{n}-0.png",
                     {**asked.model_dump(exclude_none=True), "base": "starter"}, [UsedAdapter("tiger", 1.0, {})])


def _adapters(home: Home) -> None:
    library = Library(home)
    base = AdapterRecord(kind="tokens", method="textual-inversion", name="", class_noun="cat",
                         base=BaseIdentity(family="sd1", name="v1-5", hash="0123456789abcdef"))
    for name, preview in (("tiger", KOALAS[0]), ("mybear", KOALAS[1]), ("mycup", None)):
        made = word_file(home.root / f"{name}.safetensors", base.model_copy(update={"name": name}))
        library.add(made, name, preview)
        made.unlink()
    library.add_figures("tiger", {"encoder": "the judge", "images": 8, "identity": 0.71, "prompt": 0.27,
                                  "interval": {"identity": 0.02, "prompt": 0.01}})
    library.remark("mybear", ["toys"], "fond of honey")


def _draft(home: Home) -> None:
    drafts = Drafts(home.drafts, home.trash / "drafts")
    draft = drafts.new()
    for koala in KOALAS[:2]:
        shot = drafts.add(draft.id, koala.name, koala)
    things = [{**t.model_dump(), "name": "mykoala", "noun": "bear"} for t in drafts.get(draft.id).things]
    drafts.update(draft.id, things=things)
    mask = home.root / "mask.png"
    Image.new("L", (shot.width, shot.height), 255).save(mask)
    drafts.set_mask(draft.id, shot.id, drafts.get(draft.id).things[0].id, mask)
    mask.unlink()


def _training(home: Home, store: JobStore) -> None:
    folder = home.runs / "mykoala-20260101000000-000001"
    (folder / "previews").mkdir(parents=True)
    log = EventLog(folder)
    for step in range(1, 121):
        log({"type": "step", "step": step, "total": 120, "loss": 0.2 / step + 0.01, "seconds": 0.05})
    for step in STEPS:
        for n, prompt in enumerate(PROMPTS):
            file = f"step{step:08d}-{n}.png"
            (folder / "previews" / file).write_bytes(KOALAS[n].read_bytes())
            log({"type": "preview", "step": step, "number": n, "file": file, "prompt": prompt})
        log({"type": "checkpoint", "step": step})
    log({"type": "finished", "trigger": "zok"})
    log({"type": "outcome", "state": "finished", "message": ""})
    store.add(folder.name, "mykoala")
    store.end(folder.name, "finished")


def _comparison(home: Home, store: JobStore) -> None:
    folder = home.runs / "mykoala-compare-20260101000000-000002"
    task = CompareTask(base="starter", noun="bear", methods=("lora", "perfusion"), prompts=("a photo of {}",))
    rows = []
    labels = ("base alone", "lora", *(f"perfusion (bias {b})" for b in (0.35, 0.55, 0.75, 0.95)))
    for n, label in enumerate(labels):
        place = folder / "pictures" / f"{n:012x}"
        place.mkdir(parents=True)
        (place / "0000.png").write_bytes(KOALAS[n % len(KOALAS)].read_bytes())
        figures = {"encoder": "the judge", "identity": 0.7 - 0.003 * n, "prompt": 0.25 + 0.002 * n, "copied": 0.1,
                   "interval": {"identity": 0.01, "prompt": 0.01}}
        rows.append({"method": label.split()[0], "label": label, "figures": figures, "seconds": 3.0 * n,
                     "peak_bytes": 10**9, "file_bytes": 10**5, "pictures": [str(place / "0000.png")]})
    (folder / TASK).write_text(task.model_dump_json())
    (folder / "result.json").write_text(json.dumps(rows))
    EventLog(folder)({"type": "outcome", "state": "finished", "message": ""})
    store.add(folder.name, "mykoala", kind="compare")
    store.end(folder.name, "finished")
