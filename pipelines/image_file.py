"""Pictures that carry what made them: A1111's text chunk, and the studio's JSON. Imports no torch."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from PIL import ExifTags, Image, PngImagePlugin
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from adapters.errors import StudioError
from adapters.files import write_atomic
from adapters.prompt_syntax import MAX_WEIGHT
from pipelines.base_models.locate import named
from pipelines.references import opened
from pipelines.request import Request
from pipelines.samplers import AUTOMATIC, SAMPLERS, SCHEDULES

Safety = Literal["none", "passed", "withheld"]
"""Of a picture: its base has no safety checker, or the checker let it pass, or blackened it."""
VERSION = "Semblance-0.1"
MAX_TEXT = 64 * 1024  # characters of settings in a picture
_PAIR = re.compile(r'(\w[\w \-/]{0,40}):\s?("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)')
_AT_LEAST = 3  # pairs: what A1111 takes for a line of settings


@dataclass(frozen=True)
class UsedAdapter:
    """An adapter that a picture was painted with; `hash` is of its tensors (see `tensors_hash`), '' when unknown."""

    name: str
    strength: Annotated[float, Field(ge=-MAX_WEIGHT, le=MAX_WEIGHT)]
    dials: Mapping[str, str] = field(default_factory=dict)
    hash: str = ""


_USED = TypeAdapter(list[UsedAdapter])


class Made(BaseModel):
    """What a picture says it was made with, as far as it can be made again here."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    request: dict[str, Any]
    """Fields of a `Request`, each of them possible."""
    base: str = ""
    """What to give as `--base`; '' when it is not known here."""
    adapters: list[tuple[str, float, dict[str, str]]] = Field(default_factory=list)
    """Name, strength and dials. A1111's stand as tags in the prompt instead."""
    safety: Safety = "none"
    """What the base's safety checker did; "none" also where the file does not say."""
    notices: list[str] = Field(default_factory=list)
    """What could not be taken over, a sentence each."""


def tensors_hash(path: Path) -> str:
    """A1111's 12 characters for a LoRA: SHA-256 of a safetensors file behind its header."""
    with path.open("rb") as file:
        file.seek(int.from_bytes(file.read(8), "little"), 1)
        return hashlib.file_digest(file, "sha256").hexdigest()[:12]


def base_told(base: str, hash: str) -> dict[str, str]:
    """What a picture says of its base, given as `--base`: its name, and the hash of its weights where that is known.

    Where it lies on this machine is nobody's business who gets the picture.
    """
    return {"base": named(base), **({"base_hash": hash} if hash else {})}


def parameters(settings: Mapping[str, Any], adapters: Sequence[UsedAdapter]) -> str:
    """The `parameters` text that A1111, ComfyUI, InvokeAI and Civitai read."""
    tags = "".join(f" <lora:{a.name}:{a.strength:g}>" for a in adapters)
    lines = [f"{settings['prompt']}{tags}"]
    if settings["negative_prompt"]:
        lines.append(f"Negative prompt: {settings['negative_prompt']}")
    hashes = ", ".join(f"{a.name}: {a.hash}" for a in adapters if a.hash)
    pairs = {
        "Steps": settings["steps"], "Sampler": settings["sampler"],
        "Schedule type": settings.get("schedule", AUTOMATIC), "CFG scale": f"{settings['guidance']:g}",
        "Seed": settings["seed"], "Size": f"{settings['width']}x{settings['height']}",
        "Model hash": settings.get("model_hash"),
        "Model": Path(settings["base"]).stem if Path(settings["base"]).suffix else settings["base"].split("/")[-1],
        "Denoising strength": settings.get("strength"),
        **({"Denoising strength": settings["upscale_strength"], "Hires upscale": f"{settings['upscale']:g}",
            "Hires upscaler": "Lanczos"} if "upscale" in settings else {}),
        "Lora hashes": hashes, "Version": VERSION,
    }
    lines.append(", ".join(f"{k}: {_quoted(str(v))}" for k, v in pairs.items() if v not in (None, "")))
    return "\n".join(lines)


def _quoted(value: str) -> str:
    return json.dumps(value, ensure_ascii=False) if re.search(r'[,:\n"]', value) else value


def save_png(image: Image.Image, path: Path, settings: Mapping[str, Any], adapters: Sequence[UsedAdapter]) -> None:
    """Write a PNG atomically with both text chunks; with `private` settings they leave the prompts out."""
    if settings.get("private"):
        settings = {**settings, "prompt": "", "negative_prompt": ""}
    chunks = PngImagePlugin.PngInfo()
    chunks.add_itxt("parameters", parameters(settings, adapters))
    told = {**settings, "adapters": [asdict(a) for a in adapters], "pixels": pixels_hash(image)}
    chunks.add_itxt("semblance", json.dumps(told))
    write_atomic(path, lambda p: image.save(p, "PNG", pnginfo=chunks))


def save_sheet(image: Image.Image, path: Path, files: Sequence[Path]) -> None:
    """Write a PNG that shows the pictures in `files`: how the first was made, with the adapters of all of them."""
    chunks = PngImagePlugin.PngInfo()
    told: list[dict[str, Any]] = []
    for file in files:
        with Image.open(file) as shown:
            if isinstance(text := shown.info.get("semblance"), str):
                told.append(json.loads(text))
            if file == files[0] and isinstance(line := shown.info.get("parameters"), str):
                chunks.add_itxt("parameters", line)
    if told:
        used = {(a["name"], a["hash"]): a for t in reversed(told) for a in t["adapters"]}
        withheld = {"safety": "withheld"} if any(t.get("safety") == "withheld" for t in told) else {}
        chunks.add_itxt("semblance", json.dumps({**told[0], **withheld, "adapters": list(used.values()),
                                                 "pixels": pixels_hash(image)}))
    write_atomic(path, lambda p: image.save(p, "PNG", pnginfo=chunks))


def pixels_hash(image: Image.Image) -> str:
    """Hex SHA-256 of an RGB picture's size and pixels."""
    plain = image.convert("RGB")
    return hashlib.sha256(f"{plain.width}x{plain.height} ".encode() + plain.tobytes()).hexdigest()


def intact(path: Path) -> bool | None:
    """Whether a picture's pixels are those that this studio saved; None when it does not say that it made them.

    It tells what was edited or recompressed from the original. It is no signature.
    """
    with opened(path) as image:
        own = image.info.get("semblance")
        try:
            noted = json.loads(own).get("pixels") if isinstance(own, str) and len(own) <= MAX_TEXT else None
        except (ValueError, AttributeError, RecursionError):
            return None
        return None if not isinstance(noted, str) else noted == pixels_hash(image)


def read_settings(path: Path) -> Made:
    """What a picture was made with, by this studio or by a program that writes A1111's form.

    PNG text chunks, or the EXIF comment of a JPEG or WebP; no pixel is decoded. Raises StudioError for what is no
    picture or has no settings.
    """
    with opened(path) as image:
        own, foreign = image.info.get("semblance"), image.info.get("parameters")
        if image.format != "PNG":  # whose EXIF may stand behind the pixels
            foreign = _comment(image.getexif().get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.UserComment))
    made = None
    if isinstance(own, str) and len(own) <= MAX_TEXT:
        made = _read_own(own)
    if made is None and isinstance(foreign, str) and len(foreign) <= MAX_TEXT:
        made = _read_a1111(foreign)
    if made is None:
        raise StudioError(f"'{path.name}' does not say how it was made; take a picture as this studio or A1111 saved "
                          "it, not a copy that a website or messenger has stripped.")
    return made


def _comment(raw: object) -> str | None:
    """EXIF's UserComment: eight bytes that name the encoding, then the text."""
    if not isinstance(raw, bytes) or len(raw) > 2 * MAX_TEXT:
        return None
    encodings = {b"UNICODE\0": "utf-16-be", b"ASCII\0\0\0": "ascii"}
    text = raw[8:].decode(encodings.get(raw[:8], "utf-8"), "replace")
    return text.strip("\0") or None


def _read_own(text: str) -> Made | None:
    """The studio's own chunk, None when it is not one."""
    try:
        found = json.loads(text)
        if not isinstance(found, dict) or not isinstance(found.get("prompt"), str):
            return None
        used = _USED.validate_python(found.get("adapters", []))
    except (ValueError, RecursionError):
        return None
    request, notices = _possible({k: v for k, v in found.items() if k in Request.model_fields})
    if found.get("edit"):
        notices.append("It was painted inside a mask; the picture and the mask are not in it.")
    elif found.get("strength"):
        notices.append("It was begun from another picture, which is not in it.")
    if found.get("regions"):
        notices.append("Its adapters were bound to painted regions, which are not in it.")
    if found.get("private"):
        notices.append("Its prompt was kept private and is not in it.")
    if (safety := found.get("safety")) == "withheld":
        notices.append("The base's safety checker withheld this picture.")
    base = found.get("base")
    return Made(request=request, base=base if isinstance(base, str) else "", notices=notices,
                safety=safety if safety in get_args(Safety) else "none",
                adapters=[(a.name, a.strength, dict(a.dials)) for a in used])


def _read_a1111(text: str) -> Made | None:
    """A1111's text (`parse_generation_parameters` in its `modules/infotext_utils.py`), None without settings."""
    *lines, last = text.strip().split("\n")
    pairs = {k.strip(): _plain(v.strip()) for k, v in _PAIR.findall(last)}
    if len(pairs) < _AT_LEAST:
        return None
    at = next((n for n, line in enumerate(lines) if line.startswith("Negative prompt:")), len(lines))
    negative = "\n".join(lines[at:]).removeprefix("Negative prompt:").strip()
    found: dict[str, Any] = {"prompt": "\n".join(lines[:at]).strip(), "negative_prompt": negative}
    for key, name in (("Steps", "steps"), ("CFG scale", "guidance"), ("Seed", "seed")):
        if key in pairs:
            found[name] = pairs[key]
    if size := re.fullmatch(r"(\d{1,5})x(\d{1,5})", pairs.get("Size", "")):
        found |= {"width": size[1], "height": size[2]}
    if "Hires upscale" in pairs:
        found["upscale"] = pairs["Hires upscale"]
        found["upscale_strength"] = pairs.get("Denoising strength", 0.5)
    sampler, schedule = pairs.get("Sampler", ""), pairs.get("Schedule type", AUTOMATIC)
    for known in SCHEDULES:  # 'DPM++ 2M Karras', before A1111 1.9
        if sampler.endswith(f" {known}"):
            sampler, schedule = sampler.removesuffix(f" {known}"), known
    notices = []
    for value, names, field_name in ((sampler, SAMPLERS, "sampler"), (schedule, SCHEDULES, "schedule")):
        if value in names:
            found[field_name] = value
        elif value not in ("", AUTOMATIC):
            notices.append(f"The {field_name} '{value[:40]}' is not known here; the base's own is taken.")
    if model := pairs.get("Model"):
        notices.append(f"It was painted with the model '{model[:80]}'; choose that as the base if you have it.")
    if "Denoising strength" in pairs and "Hires upscale" not in pairs:
        notices.append("It was begun from another picture, which is not in it.")
    request, left_out = _possible(found)
    return Made(request=request, notices=notices + left_out)


def _plain(value: str) -> str:
    if value.startswith('"') and value.endswith('"'):
        try:
            return str(json.loads(value))
        except ValueError:
            return value
    return value


def _possible(found: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The fields that a Request can have, and a sentence for each that it cannot."""
    wanted = {k: v for k, v in found.items() if v is not None and k not in ("images", "strength")}
    notices = []
    try:
        Request.model_validate(wanted)
    except ValidationError as error:
        for name in dict.fromkeys(str(e["loc"][0]) for e in error.errors()):
            notices.append(f"Its {name.replace('_', ' ')} '{str(wanted.pop(name, ''))[:40]}' is not possible here and "
                           "left out.")
    wanted.setdefault("prompt", "")
    return Request.model_validate(wanted).model_dump(exclude_unset=True), notices
