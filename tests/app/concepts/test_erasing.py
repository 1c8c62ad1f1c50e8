"""Erasing finds what was begun from pictures, learned from them under another name, copied, asked for and under way."""

from __future__ import annotations

import io
import json
import shutil
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from fastapi.testclient import TestClient
from PIL import Image
from safetensors.torch import save_file

from adapters.errors import StudioError
from adapters.files import sha256
from adapters.record import AdapterRecord
from app.jobs.job import Kind
from app.jobs.store import JobStore
from app.studio import Studio
from app.system.repair import repair
from app.verbs.cli import main
from pipelines.image_file import save_sheet, tensors_hash
from pipelines.shipped import SAMPLES
from tests.app.http.test_library_routes import word_file
from tests.app.http.test_people import STATEMENT, draft_of, start
from tests.app.tools import FakePainter, begin, made, until

KOALA = SAMPLES / "koala"


@pytest.fixture(autouse=True)
def words(monkeypatch: pytest.MonkeyPatch, record: AdapterRecord) -> None:
    """Every adapter that is painted with has some."""
    monkeypatch.setattr("app.http.image_routes.read_record", lambda path: record)


def koala(number: int) -> bytes:
    return (KOALA / f"{number}.png").read_bytes()


def resaved(data: bytes) -> bytes:
    """The same pixels in another file."""
    out = io.BytesIO()
    Image.open(io.BytesIO(data)).convert("RGB").save(out, "BMP")
    return out.getvalue()


def source(client: TestClient, data: bytes, *, masked: bool = False) -> str:
    files = {"picture": ("p.png", data)}
    if masked:
        mask = io.BytesIO()
        Image.new("L", Image.open(io.BytesIO(data)).size, 255).save(mask, "PNG")
        files["mask"] = ("m.png", mask.getvalue())
    answer = client.post("/studio/images/sources", files=files)
    assert answer.status_code == 200, answer.text
    id: str = answer.json()["source"]
    return id


def painted(client: TestClient, **body: Any) -> str:
    told = made(client, **body)
    assert told["state"] == "done", told
    file: str = told["images"][0][0]
    return file


def consent(client: TestClient, *pictures: int) -> str:
    given = client.post("/studio/consents", json={"draft": draft_of(client, *pictures), **STATEMENT})
    id: str = given.json()["id"]
    return id


def revoke(client: TestClient, id: str) -> list[str]:
    answer = client.post(f"/studio/consents/{id}/revoke")
    assert answer.status_code == 200, answer.text
    removed: list[str] = answer.json()["removed"]
    return removed


def history(studio: Studio) -> set[str]:
    return {p.name for p in studio.home.images.glob("*.png")}


def put(studio: Studio, record: AdapterRecord, name: str, **told: Any) -> Path:
    """An adapter in the library, with tensors of its own."""
    path = studio.home.adapters / f"{name}.safetensors"
    record = record.model_copy(update={"name": name, "provenance": told})
    save_file({"x": torch.full((1,), float(len(list(studio.home.adapters.iterdir()))))}, path, record.to_metadata())
    studio.library.complete(path)
    return path


def test_revoking_takes_what_was_begun_from_its_pictures(client: TestClient, studio: Studio, painter: FakePainter
                                                         ) -> None:
    statement = consent(client, 0, 1)
    whole = painted(client, source=source(client, koala(0)))
    inside = painted(client, source=source(client, koala(1), masked=True))
    copied = painted(client, source=source(client, resaved(koala(0))))
    again = painted(client, source=source(client, client.get(f"/studio/images/{whole}").content))
    deleted = painted(client, source=source(client, koala(0)))
    client.delete(f"/studio/images/{deleted}")
    other, plain = painted(client, source=source(client, koala(2))), painted(client)
    removed = revoke(client, statement)
    assert history(studio) == {other, plain} and not list((studio.home.trash / "images").iterdir())
    assert {f"picture {f}" for f in (whole, inside, copied, again, deleted)} <= set(removed)


def test_revoking_takes_what_was_begun_from_a_picture_that_is_gone(client: TestClient, studio: Studio,
                                                                   painter: FakePainter) -> None:
    statement = consent(client, 0)
    first = painted(client, source=source(client, koala(0)))
    painted(client, source=source(client, client.get(f"/studio/images/{first}").content))
    (studio.home.images / first).unlink()
    revoke(client, statement)
    assert history(studio) == set()


def test_copies_for_a_day_and_an_hour_go_too(client: TestClient, studio: Studio, record: AdapterRecord) -> None:
    statement = consent(client, 0)
    ours, other = source(client, resaved(koala(0)), masked=True), source(client, koala(2))
    for name, value, told in (("ada", 1.0, {"consent": statement}), ("bob", 2.0, {})):
        word_file(studio.library.folder / f"{name}.safetensors", record, value, name=name, provenance=told)
        client.post(f"/studio/library/{name}/export/a1111", json={}).raise_for_status()
    studio.library.rename("ada", "ida")  # its export is found all the same
    kept = studio.home.temporary
    assert len(list((kept / "exports").iterdir())) == 2 and (kept / "sources" / f"{ours}-mask.png").is_file()
    said = "\n".join(revoke(client, statement))
    assert [p.name for p in (kept / "sources").iterdir()] == [f"{other}.png"]
    assert [f.name for d in (kept / "exports").iterdir() for f in d.glob("*.safetensors")] == ["bob.safetensors"]
    assert f"picture to paint on {ours}" in said and "export " in said


def test_what_was_learned_of_the_same_pictures_under_no_consent_goes_as_well(client: TestClient, studio: Studio,
                                                                             record: AdapterRecord) -> None:
    statement = consent(client, 0, 1)
    other = studio.consents.give(**{**STATEMENT, "images": [sha256(KOALA / "0.png")]})
    run = start(client, draft_of(client, 1, 2, kind="object", name="toy")).json()["id"]
    apart = start(client, draft_of(client, 3, kind="object", name="cup")).json()["id"]
    studio.store.cancel(run)
    put(studio, record, "toy", images_sha256=[sha256(KOALA / "1.png")])
    put(studio, record, "granted", images_sha256=[sha256(KOALA / "0.png")], consent=other.id)
    put(studio, record, "cup", images_sha256=[sha256(KOALA / "3.png"), {}])
    removed = "\n".join(revoke(client, statement))
    assert f"training {run}" in removed and "adapter toy" in removed
    assert [j.id for j in studio.jobs()] == [apart] and (studio.home.runs / apart).is_dir()
    assert sorted(e.name for e in studio.library.entries()) == ["cup", "granted"]


def test_a_comparison_of_the_same_pictures_under_no_consent_goes_as_well(client: TestClient, studio: Studio) -> None:
    statement = consent(client, 0)
    job = studio.lab.compare(draft_of(client, 0, kind="object", name="toy"), ["lora"])
    answer = client.post(f"/studio/consents/{statement}/revoke")
    assert answer.status_code == 400 and "'toy' (comparison) is queued; stop it first" in answer.json()["error"]
    studio.store.cancel(job)
    assert f"compare {job}" in revoke(client, statement)


@pytest.mark.parametrize("state", ["queued", "running"])
@pytest.mark.parametrize(("kind", "task", "said"), [
    ("evaluate", {"adapter": "ADA:0.8"}, "evaluation"), ("evaluate", {"adapter": "ada-step00000500:1"}, "evaluation"),
    ("recommend", {"run": "ada-run"}, "choice of a checkpoint"), ("compare", {"draft": "DRAFT"}, "comparison")])
def test_a_job_that_uses_the_adapter_is_stopped_first(client: TestClient, studio: Studio, record: AdapterRecord,
                                                      kind: Kind, task: dict[str, str], said: str, state: str) -> None:
    draft = draft_of(client, 0)
    statement = client.post("/studio/consents", json={"draft": draft, **STATEMENT}).json()["id"]
    put(studio, record, "ada", consent=statement, run="ada-run")
    config = {"name": "ada", "consent": statement, "draft": draft}
    for id, file, told in (("ada-run", "config.json", config), ("job", "task.json", {"kind": kind, **task})):
        (studio.home.runs / id).mkdir()
        (studio.home.runs / id / file).write_text(json.dumps(told).replace("DRAFT", draft))
    if task.get("draft"):  # it says its consent as well
        (studio.home.runs / "job" / "task.json").write_text(
            json.dumps({"kind": kind, "draft": draft, "consent": statement}))
    studio.store.add("job", "ada", kind=kind, running_in=1 if state == "running" else None)
    for path in (f"/studio/consents/{statement}/revoke", "/studio/concepts/ada/erase"):
        answer = client.post(path)
        assert answer.status_code == 400, path
        assert answer.json()["error"] == f"'ada' ({said}) is {state}; stop it first, then erase."
    assert studio.library.has("ada") and (studio.home.runs / "job").is_dir()
    studio.store.end("job", "stopped")
    revoke(client, statement)
    assert not studio.library.has("ada") and not (studio.home.runs / "job").exists()


def test_what_waits_and_what_is_painted_is_cancelled(client: TestClient, studio: Studio, record: AdapterRecord,
                                                     painter: FakePainter) -> None:
    statement = consent(client, 0)
    put(studio, record, "ada", consent=statement)
    photo = source(client, koala(0))
    painter.hold = True
    running = begin(client, adapters=["ada-step00000500:1"])
    tag, other = begin(client, "a cat <lora:Ada:0.5>"), begin(client, "a dog", adapters=["bob"])
    begun = begin(client, "a bird", source=photo)
    until(client, running, "painting")
    revoke(client, statement)
    states = [client.get(f"/studio/images/paintings/{p}").json()["state"] for p in (running, tag, begun)]
    assert states == ["cancelled"] * 3
    painter.hold = False
    assert until(client, other, "done")["done"] == 1
    assert len(history(studio)) == 1


@pytest.mark.parametrize("what", ["adapter", "source"])
def test_a_picture_that_is_finished_afterwards_is_not_kept(client: TestClient, studio: Studio, record: AdapterRecord,
                                                           monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    fake, statement = FakePainter(), consent(client, 0)
    fake.hold = True
    put(studio, record, "ada", consent=statement)
    monkeypatch.setattr(studio.painter, "paint", fake.paint)
    monkeypatch.setattr(studio.paintings, "call_off", lambda concerned: None)  # longer than anybody waits for
    id = begin(client, adapters=["ada"]) if what == "adapter" else begin(client, source=source(client, koala(0)))
    while client.get(f"/studio/images/paintings/{id}").json()["step"] == [0, 0]:
        time.sleep(0.005)
    revoke(client, statement)
    fake.hold = False
    told = until(client, id, "failed", "done")
    assert told["state"] == "failed" and history(studio) == set()
    assert "was deleted meanwhile, so the picture was not kept" in told["message"]


def test_what_comes_while_all_is_erased_is_found(studio: Studio, client: TestClient, record: AdapterRecord,
                                                 painter: FakePainter, monkeypatch: pytest.MonkeyPatch) -> None:
    """Finished after pictures and exports were looked through, before the adapter is gone."""
    statement = consent(client, 0)
    hash = tensors_hash(put(studio, record, "ada", consent=statement))
    export = studio.home.temporary / "exports" / f"{hash}{'0' * 16}"
    late, erase = studio.home.images / "20260101-000000-abcdef-0.png", studio.eraser._erase_adapters

    def erase_late(found: Any) -> Any:
        if found.adapters:  # the first time
            shutil.copyfile(studio.home.images / painted(client, adapters=["ada"]), late)
            export.mkdir(parents=True)
        return erase(found)

    monkeypatch.setattr(studio.eraser, "_erase_adapters", erase_late)
    assert f"picture {late.name}" in revoke(client, statement) and history(studio) == set()
    assert not export.exists()


def test_a_sheet_of_pictures_that_went_is_not_kept(client: TestClient, studio: Studio, painter: FakePainter,
                                                   monkeypatch: pytest.MonkeyPatch) -> None:
    def late(image: Image.Image, path: Path, files: Sequence[Path]) -> None:
        save_sheet(image, path, files)
        for file in files:
            file.unlink()

    monkeypatch.setattr("app.painting.paintings.save_sheet", late)
    told = made(client, images=2, sheet=True)
    assert told["state"] == "failed" and "was deleted meanwhile" in told["message"] and history(studio) == set()


def test_a_concept_goes_with_what_was_begun_from_its_pictures_and_from_its_checkpoints(
        client: TestClient, studio: Studio, record: AdapterRecord, painter: FakePainter) -> None:
    draft_of(client, 0, kind="object", name="toy")
    (studio.home.runs / "toy-run").mkdir()
    (studio.home.runs / "toy-run" / "config.json").write_text(json.dumps({"name": "toy"}))
    put(studio, record, "renamed", run="toy-run")
    painted(client, source=source(client, resaved(koala(0))))
    step = painted(client, adapters=["toy-step00000500"])
    painted(client, source=source(client, client.get(f"/studio/images/{step}").content))
    other = painted(client, source=source(client, koala(1)))
    assert client.post("/studio/concepts/renamed/erase").status_code == 200
    assert other in history(studio) and step not in history(studio)
    client.post("/studio/concepts/toy/erase")
    assert history(studio) == {other}
    assert [p.stem for p in (studio.home.temporary / "sources").iterdir()] != []


def test_the_run_that_a_file_names_leads_nowhere_else(client: TestClient, studio: Studio, record: AdapterRecord
                                                      ) -> None:
    put(studio, record, "evil", run="../drafts")
    draft = draft_of(client, 0, name="mine")
    assert client.post("/studio/concepts/evil/erase").status_code == 200
    assert (studio.home.drafts / draft).is_dir()


def test_a_direct_picture_of_an_adapter_that_went_is_a_sentence(studio: Studio, record: AdapterRecord,
                                                                monkeypatch: pytest.MonkeyPatch) -> None:
    path = put(studio, record, "ada")

    def paint(base: str, adapters: Any, request: Any, files: list[Path], **_: Any) -> None:
        files[0].touch()
        path.unlink()

    monkeypatch.setattr(studio.painter, "paint", paint)
    monkeypatch.setattr("app.studio.credentials.sign", lambda *_: False)
    with pytest.raises(StudioError, match=r"'ada'.* was deleted meanwhile"):
        studio.generate({"prompt": "a"}, adapters=[("ada", 1.0, {})])
    assert history(studio) == set()


def test_a_statement_of_the_command_line_names_pixels_too(client: TestClient, studio: Studio, painter: FakePainter,
                                                          tmp_path: Path) -> None:
    (tmp_path / "ada").mkdir()
    shutil.copyfile(KOALA / "0.png", tmp_path / "ada" / "0.png")
    told = [f"--{k}={v}" for k, v in STATEMENT.items()]
    assert main(["consent", "give", "--images", str(tmp_path / "ada"), "--home", str(studio.home.root), *told]) == 0
    painted(client, source=source(client, resaved(koala(0))))
    assert main(["consent", "revoke", studio.consents.all()[0].id, "--home", str(studio.home.root)]) == 0
    assert history(studio) == set()


def test_an_export_that_is_finished_afterwards_is_not_kept(client: TestClient, studio: Studio, record: AdapterRecord,
                                                           monkeypatch: pytest.MonkeyPatch) -> None:
    word_file(studio.library.folder / "ada.safetensors", record, name="ada")
    export = studio.export

    def slow(name: str, format: str, out: Path) -> Any:
        report = export(name, format, out)
        studio.erase("ada")
        out.parent.mkdir(exist_ok=True)
        out.touch()
        return report

    monkeypatch.setattr(studio, "export", slow)
    assert client.post("/studio/library/ada/export/a1111", json={}).status_code == 400
    assert list((studio.home.temporary / "exports").iterdir()) == []


def test_what_is_queued_while_a_statement_is_revoked_comes_before_it_or_not_at_all(
        client: TestClient, studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    """The slip: consent is looked at, it is revoked and nothing is found, and then the training is queued."""
    statement, draft = consent(client, 0, 1), draft_of(client, 0, 1)
    begun, revoked = threading.Event(), list[str]()
    prepare = studio.prepare_run

    def slowly(*given: Any, **options: Any) -> Path:
        begun.set()
        time.sleep(0.5)  # in which revoking would be done, if it did not wait
        return prepare(*given, **options)

    def revoke_meanwhile() -> None:
        begun.wait(10)
        try:
            studio.revoke(statement)
        except StudioError as error:
            revoked.append(str(error))

    monkeypatch.setattr(studio, "prepare_run", slowly)
    other = threading.Thread(target=revoke_meanwhile)
    other.start()
    run = studio.teach(draft, steps=4)
    other.join()
    assert revoked == [f"'{studio.job(run).name}' (training) is queued; stop it first, then erase."]
    assert studio.consents.stands(statement)


def test_nothing_is_queued_under_a_statement_that_was_revoked_since_it_was_looked_for(
        client: TestClient, studio: Studio) -> None:
    statement = consent(client, 0)
    studio.revoke(statement)
    with pytest.raises(StudioError, match="was revoked, so nothing is learned or kept under it"):
        studio.start_training([KOALA / "0.png"], "mum", "woman", kinds=["person"], consent=statement)
    with studio.consents.held("0123456789ab"):  # of an adapter from elsewhere: not revoked here
        assert studio.store.all() == [] and not list(studio.home.runs.iterdir())


def test_after_erasing_no_file_of_the_data_folder_has_its_name(client: TestClient, studio: Studio,
                                                               painter: FakePainter, record: AdapterRecord) -> None:
    name = "quuxkoala"
    run = start(client, draft_of(client, 0, kind="object", name=name)).json()["id"]
    client.post(f"/studio/runs/{run}/stop").raise_for_status()
    assert repair(studio.home)  # which keeps the old list
    damaged = studio.home.backups / "list-older" / "studio.db"
    damaged.parent.mkdir()
    whole = next(studio.home.backups.glob("list-2*/studio.db")).read_bytes()
    damaged.write_bytes(whole.replace(b"SQLite format 3", b"x" * 15))
    settings = studio.home.backups / "format-1" / "runs" / run / "config.json"
    settings.parent.mkdir(parents=True)
    shutil.copyfile(studio.home.runs / run / "config.json", settings)
    other = start(client, draft_of(client, 1, kind="object", name="tom")).json()["id"]
    client.post(f"/studio/runs/{other}/stop").raise_for_status()
    repair(studio.home)
    put(studio, record, name, run=run)
    client.put("/studio/images/styles", json={"name": "s", "prompt": f"<lora:{name}:1>"}).raise_for_status()
    for deleted in (False, True):
        file = painted(client, adapters=[name], request={"prompt": f"a {name}", "seed": 1})
        client.patch(f"/studio/images/{file}", json={"favourite": True}).raise_for_status()
        if deleted:
            client.delete(f"/studio/images/{file}").raise_for_status()
    studio.library.delete(name)
    put(studio, record, name, run=run)

    def mentioned() -> list[str]:
        fake = studio.home.temporary / f"{name}.safetensors"
        files = (p for p in studio.home.root.rglob("*") if p != fake)
        return [str(p.relative_to(studio.home.root)) for p in files
                if name in p.name or (p.is_file() and name.encode() in p.read_bytes())]

    assert len(mentioned()) > 10
    client.post(f"/studio/concepts/{name}/erase").raise_for_status()
    assert mentioned() == []
    kept = [j.id for lists in studio.home.backups.glob("list-2*/studio.db") for j in JobStore(lists).all()]
    assert kept == [other]
