"""Model cards: what stands in the header that the hub reads, and what a person reads."""

from __future__ import annotations

import re

from huggingface_hub import ModelCard

from adapters.card import model_card, read_figures, renamed_card
from adapters.identity import BaseIdentity
from adapters.record import AdapterRecord, Concept

RECORD = AdapterRecord(
    kind="perfusion", method="perfusion", name="mycat", base=BaseIdentity(family="sd1", name="photo-base", hash="ab12"),
    trigger="<mycat>", class_noun="cat", concepts=(Concept(name="mycat", noun="cat", trigger="<mycat>", learned=True),),
    provenance={"config": {"steps": 400, "seed": 7}, "images_sha256": ["f" * 64], "created": "2026-01-02T03:04:05"})


def test_the_hub_reads_licence_tags_and_the_prompt() -> None:
    data = ModelCard(model_card(RECORD)).data
    assert data.license == "creativeml-openrail-m" and data.instance_prompt == "<mycat>"
    assert {"semblance", "perfusion"} <= set(data.tags or [])


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
