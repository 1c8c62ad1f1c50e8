"""Which kinds can be written as what, said without torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from adapters.errors import StudioError
from adapters.formats import FORMATS, check_format, formats_of, title
from adapters.record import AdapterRecord

REPOSITORY = Path(__file__).resolve().parents[2]
KINDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "lora": ((), ("diffusers", "kohya", "studio")), "tokens": ((), ("diffusers", "a1111", "studio")),
    "bundle": (("tokens", "lora"), ("diffusers", "kohya", "studio")), "perfusion": ((), ("studio",)),
    "full": ((), ("studio",)), "later": ((), ("studio",)),
}


def of(record: AdapterRecord, kind: str, parts: tuple[str, ...] = ()) -> AdapterRecord:
    spec: dict[str, Any] = {"parts": {k: {"kind": k, "spec": {}} for k in parts}} if parts else {}
    return record.model_copy(update={"kind": kind, "spec": spec})


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_is_offered_the_formats_that_hold_it_and_refused_the_others(record: AdapterRecord, kind: str) -> None:
    parts, formats = KINDS[kind]
    record = of(record, kind, parts)
    assert formats_of(record) == formats
    for format in FORMATS:
        if format in formats:
            check_format(record, format)
        else:
            with pytest.raises(StudioError, match=f"'mycat'.*{format}.*choose"):
                check_format(record, format)


@pytest.mark.parametrize("parts", [(), ("tokens", "full")])
def test_only_an_explicit_approximation_lets_the_others_out(record: AdapterRecord, parts: tuple[str, ...]) -> None:
    record = of(record, "bundle" if parts else "perfusion", parts)
    for format in ("diffusers", "kohya"):
        check_format(record, format, approximate=True)
    with pytest.raises(StudioError, match=r"a diffusers or kohya LoRA .*--approximate"):
        check_format(record, "a1111", approximate=True)


@pytest.mark.parametrize("spec", [{}, {"parts": None}, {"parts": {"a": 3}}, {"parts": [1]}])
def test_a_damaged_bundle_has_the_studios_form_alone(record: AdapterRecord, spec: dict[str, Any]) -> None:
    assert formats_of(record.model_copy(update={"kind": "bundle", "spec": spec})) == ("studio",)


def test_titles_say_what_the_files_hold(record: AdapterRecord) -> None:
    assert title(record, "kohya") == "kohya LoRA"
    assert title(of(record, "tokens"), "a1111") == "a1111 embedding"
    assert title(of(record, "bundle", ("tokens", "lora")), "diffusers") == "diffusers LoRA + words"
    assert title(record, "studio") == "studio file"


def test_the_table_loads_no_torch() -> None:
    code = "import sys, adapters.formats, adapters.labels; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, check=False).returncode == 0
