"""The methods over HTTP: cards, every setting with its tooltip and range, and what a preset puts into them."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient

from pipelines.methods import METHODS, config_class
from pipelines.methods.common import TrainingConfig, resolve


def fields(client: TestClient, method: str) -> dict[str, dict[str, Any]]:
    found = client.get("/studio/methods").json()["methods"]
    return {f["name"]: f for f in next(m for m in found if m["method"] == method)["fields"]}


def test_every_method_is_a_card_in_plain_words_with_its_paper_second(client: TestClient) -> None:
    told = client.get("/studio/methods").json()
    assert [m["method"] for m in told["methods"]] == list(METHODS)
    scene = told["methods"][-1]
    assert (scene["title"], scene["several"], scene["needs_masks"]) == (
        "Several things from one masked picture", True, True)
    assert "Avrahami" in scene["paper"] and "Avrahami" not in scene["title"]
    assert [p["name"] for p in told["presets"]] == ["fast", "balanced", "best"] and told["memory"] == ["8", "12", "24"]


@pytest.mark.parametrize("method", METHODS)
def test_every_setting_has_a_field_with_its_docstring(client: TestClient, method: str) -> None:
    found, known = fields(client, method), config_class(method).model_fields
    assert set(found) == set(known) - {"method"}
    for name, field in found.items():
        assert field["tip"] == " ".join((known[name].description or "").split())
    assert [n for n in found if n not in TrainingConfig.model_fields], "a method's own settings are among them"


def test_fields_have_their_kind_and_range(client: TestClient) -> None:
    found = fields(client, "lora")
    assert (found["rank"]["kind"], found["rank"]["min"], found["rank"]["max"]) == ("whole", 1, 512)
    assert (found["ema"]["kind"], found["ema"]["above"], found["ema"]["below"]) == ("number", 0, 1)
    assert found["layers"]["kind"] == "choice" and "all" in found["layers"]["choices"]
    assert (found["dora"]["kind"], found["mask_model"]["kind"]) == ("yes-no", "text")
    assert found["rank"]["own"] and not found["batch"]["own"]


def test_a_method_that_is_added_is_in_the_browser_by_itself(
        client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(METHODS, "lora-again", METHODS["lora"])
    assert [m["method"] for m in client.get("/studio/methods").json()["methods"]][-1] == "lora-again"


def test_a_presets_values_are_those_that_a_run_gets(client: TestClient) -> None:
    told = client.get("/studio/methods/lora/settings?preset=fast&base=starter").json()
    assert told == resolve("lora", "starter", "fast").model_dump(mode="json", exclude={"method"})


@pytest.mark.parametrize(("path", "said"), [
    ("magic/settings", "no method 'magic'"), ("lora/settings?preset=best-of-all", "no preset"),
    ("lora/settings?base=nowhere", "nowhere"), ("lora/settings?memory=7", "7 GB")])
def test_values_that_cannot_be_are_a_sentence(client: TestClient, path: str, said: str) -> None:
    answer = client.get(f"/studio/methods/{path}")
    assert answer.status_code == 400 and said in answer.json()["error"]


def test_settings_have_the_names_that_their_papers_gave_them(client: TestClient) -> None:
    labels = {name: field["label"] for name, field in fields(client, "lora").items()}
    assert labels["rslora"] == "rsLoRA" and labels["dora"] == "DoRA" and labels["learning_rate"] == "Learning rate"
