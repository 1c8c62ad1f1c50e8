"""Model cards: what stands in the header that the hub reads, and what a person reads."""

from __future__ import annotations

import re

import pytest
from huggingface_hub import ModelCard

from adapters.card import model_card, read_figures, renamed_card
from adapters.identity import BaseIdentity, Family
from adapters.record import AdapterRecord, Concept

RECORD = AdapterRecord(
    kind="perfusion", method="perfusion", name="mycat", base=BaseIdentity(family="sd1", name="photo-base", hash="ab12"),
    trigger="<mycat>", class_noun="cat", concepts=(Concept(name="mycat", noun="cat", trigger="<mycat>", learned=True),),
    provenance={"config": {"steps": 400, "seed": 7}, "images_sha256": ["f" * 64], "created": "2026-01-02T03:04:05"})


@pytest.mark.parametrize(("kind", "family", "expected"), [
    ("lora", "sd1", ["diffusers", "stable-diffusion", "stable-diffusion-diffusers", "lora", "template:sd-lora"]),
    ("lora", "sdxl", ["diffusers", "stable-diffusion-xl", "stable-diffusion-xl-diffusers", "lora"]),
    ("tokens", "sd2", ["stable-diffusion", "textual_inversion"]), ("bundle", "sd1", ["lora", "textual_inversion"]),
    ("perfusion", "sd1", ["stable-diffusion", "perfusion"]), ("full", "starter", ["full-finetune"])])
def test_the_hub_reads_each_kind_as_diffusers_own_cards_say_it(kind: str, family: Family, expected: list[str]) -> None:
    base = BaseIdentity(family=family, name="owner/photo-base", hash="ab12")
    card = ModelCard(model_card(RECORD.model_copy(update={"kind": kind, "base": base})))
    data = card.data.to_dict()
    assert (data["base_model"], data["instance_prompt"], data["pipeline_tag"]) == (
        "owner/photo-base", "<mycat>", "text-to-image")
    assert data["widget"] == [{"text": "a photo of <mycat>"}]
    tags = data["tags"]
    assert {"text-to-image", "semblance", *expected} <= set(tags) and len(set(tags)) == len(tags)
    assert ("diffusers" in tags) is (data.get("library_name") == "diffusers") is ("diffusers" in expected)


def test_a_word_that_was_exported_is_one_that_diffusers_reads() -> None:
    data = ModelCard(model_card(RECORD.model_copy(update={"kind": "tokens"}), exported=True)).data
    assert data.library_name == "diffusers" and {"diffusers", "textual_inversion"} <= set(data.tags or [])


@pytest.mark.parametrize("name", ["starter", "photo-base", "v1-5.safetensors", ""])
def test_a_base_that_the_hub_cannot_know_is_not_named_to_it(name: str) -> None:
    record = RECORD.model_copy(update={"base": BaseIdentity(family="sd1", name=name, hash="")})
    assert ModelCard(model_card(record)).data.base_model is None


def test_the_hub_reads_the_licence_and_a_prompt_with_every_concept() -> None:
    several = (*RECORD.concepts, Concept(name="mug", noun="cup", trigger="<mug>", learned=True))
    data = ModelCard(model_card(RECORD.model_copy(update={"concepts": several}))).data
    assert data.license == "creativeml-openrail-m" and data.instance_prompt == "<mycat>"
    assert data.widget == [{"text": "a photo of <mycat> and <mug>"}]


def test_a_person_reads_words_base_settings_and_picture_hashes() -> None:
    text = model_card(RECORD)
    for said in ("`<mycat>`", "photo-base", "ab12", "| steps | 400 |", "`" + "f" * 16 + "`", "2026-01-02"):
        assert said in text
    assert "Nothing yet" in text


def test_figures_stand_beside_their_encoder_count_and_interval() -> None:
    text = model_card(RECORD, {"encoder": "CLIP x", "images": 32, "identity": 0.71, "prompt": 0.3, "copied": None,
                               "interval": {"identity": 0.02, "prompt": None}})
    assert "CLIP x on 32 pictures" in text
    assert "| identity | 0.71 ± 0.02 |" in text and "| prompt | 0.3 |" in text and "copied" not in text


def test_an_adapter_without_words_says_so() -> None:
    bare = AdapterRecord(kind="lora", method="imported", name="x", base=BaseIdentity(family="sdxl", name="", hash=""))
    assert "trigger word is not known" in model_card(bare) and "pictures are not known" in model_card(bare)


def test_figures_are_read_back_from_the_card() -> None:
    figures = {"encoder": "CLIP x", "images": 32, "identity": 0.71, "prompt": -0.03, "prior_collapse": 0.0,
               "interval": {"identity": 0.02}}
    assert read_figures(model_card(RECORD, figures)) == figures
    assert read_figures(model_card(RECORD)) == {} == read_figures("| identity | 0.7 |")
    assert read_figures("\n## Measured\n| identity | 1.2.3 |\n| odd | 0.5 |\n") == {}


def test_a_renamed_card_keeps_what_a_person_wrote() -> None:
    text = model_card(RECORD, {"identity": 0.7}) + "\nmycat likes fish.\n"
    renamed = renamed_card(text, "mycat", "tom")
    assert "\n# tom\n" in renamed and "\n| tom | `<mycat>` |" in renamed
    assert renamed.replace("# tom", "# mycat").replace("| tom |", "| mycat |") == text


def test_what_a_file_from_elsewhere_says_of_itself_stays_text() -> None:
    evil = "\n# Hi\n`<img src=x>`](http://e) ![t](http://e/t.png) | " + "long " * 200
    record = AdapterRecord(
        kind="lora", method=evil, name=evil, base=BaseIdentity(family="sd1", name=evil, hash=evil), trigger=evil,
        class_noun=evil, concepts=(Concept(name=evil, noun=evil, trigger=evil),),
        provenance={"config": {"steps": evil}, "images_sha256": [evil], "created": evil})
    text = ModelCard(model_card(record)).text
    assert re.findall(r"^#.*", text, re.MULTILINE)[1:] == ["## Words", "## Made from", "## Measured", "## Limits"]
    shown = re.sub(r"`[^`\n]*`", "", re.sub(r"\\.", "", text))  # but for what is escaped, and for code
    assert not re.search(r"[`<>\[\]]", shown) and len(text) < 5000
