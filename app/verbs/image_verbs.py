"""The verbs of pictures: paint one, and read back how one was made."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from adapters.errors import StudioError
from app.arguments import parse_adapter, with_tags
from app.library import credentials
from app.studio import Studio
from pipelines.image_file import read_settings
from pipelines.methods.common import settings_error
from pipelines.request import Request
from pipelines.samplers import SAMPLERS, SCHEDULES

Verb = Callable[[str, Callable[[argparse.Namespace], dict[str, Any]], str], argparse.ArgumentParser]
_FIELDS: dict[str, type] = {"seed": int, "steps": int, "width": int, "height": int, "images": int, "guidance": float,
                            "strength": float, "upscale": float, "upscale_strength": float}


def add(verb: Verb, open_studio: Callable[[argparse.Namespace], Studio]) -> None:
    """Register them on the command line."""
    generate = verb("generate", lambda o: _generate(o, open_studio(o)), "paint a picture")
    generate.add_argument("--base", default="starter")
    generate.add_argument("--adapter", action="append", default=[], metavar="NAME:WEIGHT[:DIAL=VALUE,...]",
                          help="Perfusion has the dials bias, temperature, locking and branches")
    generate.add_argument("--prompt", required=True,
                          help="with A1111's (words:1.3), [words], BREAK and <lora:name:0.8>")
    generate.add_argument("--negative-prompt", default="")
    for field, kind in _FIELDS.items():
        about = Request.model_fields[field].description
        generate.add_argument(f"--{field.replace('_', '-')}", type=kind, help=about)
    generate.add_argument("--sampler", help=", ".join(SAMPLERS))
    generate.add_argument("--schedule", help=", ".join(SCHEDULES))
    generate.add_argument("--from", type=Path, dest="start", metavar="PICTURE",
                          help="paint this picture anew by --strength")
    generate.add_argument("--edit", type=Path, metavar="PICTURE", help="paint this picture anew inside --mask alone")
    generate.add_argument("--mask", type=Path, help="of the picture's size, white where it is painted")
    generate.add_argument("--region", action="append", default=[], metavar="NAME=MASK",
                          help="let this adapter be where the mask is white, and nowhere else")
    generate.add_argument("--private", action="store_true", help=Request.model_fields["private"].description)
    generate.add_argument("--out", type=Path, required=True)
    settings = verb("settings", _settings, "say how a picture was made, by this studio or A1111")
    settings.add_argument("file", type=Path)


def _say(options: argparse.Namespace, text: str) -> None:
    print(text, file=sys.stderr if getattr(options, "json", False) else sys.stdout, flush=True)


def _generate(options: argparse.Namespace, studio: Studio) -> dict[str, Any]:
    from pipelines.painter import Painter

    if (options.edit is None) != (options.mask is None):
        raise StudioError("--edit and --mask belong together; give a picture and a mask of its size.")
    if options.edit and options.start:
        raise StudioError("--from and --edit both name the picture to paint on; give one of them.")
    fields = ("prompt", "negative_prompt", "sampler", "schedule", "private", *_FIELDS)
    given = {f: getattr(options, f) for f in fields if getattr(options, f) is not None}
    try:
        request = Request.model_validate(given)
    except ValidationError as error:
        raise settings_error(error) from error
    prompt, chosen = with_tags(request.prompt, [parse_adapter(a) for a in options.adapter])
    paths = [(studio.adapter_file(name), strength, dials) for name, strength, dials in chosen]
    out: Path = options.out
    files = [out] if request.images == 1 else [
        out.with_name(f"{out.stem}-{n}{out.suffix}") for n in range(request.images)]
    source = options.edit or options.start
    settings = Painter().paint_files(options.base, paths, request.model_copy(update={"prompt": prompt}), files,
                                     offline=studio.stays, edit=(source, options.mask) if source else None,
                                     regions=_regions(options.region, {n: studio.adapter_file(n) for n, *_ in chosen}))
    for file in files:
        credentials.sign(file, studio.home.root)
    _say(options, "\n".join(map(str, files)))
    return {"files": [str(f) for f in files], **settings}


def _regions(given: list[str], chosen: dict[str, Path]) -> dict[Path, Path]:
    """Adapter files and masks of NAME=MASK."""
    pairs = [g.partition("=") for g in given]
    for name, _, mask in pairs:
        if name not in chosen or not mask:
            raise StudioError(f"'{name[:60]}' in --region is none of the adapters; write NAME=MASK.png with the name "
                              "of one that --adapter gives.")
    return {chosen[name]: Path(mask) for name, _, mask in pairs}


def _settings(options: argparse.Namespace) -> dict[str, Any]:
    made = read_settings(options.file)
    for name, value in made.request.items():
        _say(options, f"{name.replace('_', ' '):17} {value}")
    if made.base:
        _say(options, f"{'base':17} {made.base}")
    for adapter, strength, dials in made.adapters:
        _say(options, f"{'adapter':17} {adapter}:{strength:g}{':' if dials else ''}"
                      f"{','.join(f'{k}={v}' for k, v in dials.items())}")
    for notice in made.notices:
        print(notice, file=sys.stderr, flush=True)
    return made.model_dump()
