"""Why a claim came out as it did: what its part acts on, measured where it acts, with the part and without.

A method's figures say what came of all its parts together. Here it is asked of the same trained adapters whether a
part did at all what it is there for: whether a word looks where its thing is, how much two concepts overlap that are
taken apart, whether a concept draws the attention that other words need.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from adapters.files import write_text
from adapters.perfusion.edit import Editor
from adapters.record import read_record
from adapters.studio_file import load
from pipelines.attention import AttentionProbe, WordProbe
from pipelines.base_models.load import load_base
from pipelines.dataset import mask_grid, square
from pipelines.encode import encode_images
from pipelines.lab import series
from pipelines.lab.measures import score
from pipelines.lab.tables import figures, markdown, sample_of
from pipelines.lab.trials import Lab, Sample, Trial
from pipelines.mask_sources.attention import attention_resolution, attention_seen
from pipelines.masks import find_masks, open_mask
from pipelines.methods.break_a_scene.scene import prompt_of
from pipelines.references import open_image

FILE = "reasons.json"
Found = dict[str, float]


@dataclass(frozen=True)
class Reason:
    """`titles` says in words what each figure is that `measure` gives of a trained trial."""

    ablation: str
    titles: Mapping[str, str]
    measure: Callable[[Lab, Trial], Found]


def astray(lab: Lab, trial: Trial) -> Found:
    """The share of each word's attention that lies outside its own mask, on the picture that it was learned from."""
    sample, adapter = Sample(trial.samples[0]), lab.adapter(trial, trial.samples[0])
    host = load_base("starter")
    load(adapter)[0].inject(host, "adapter_0")
    words = [c.trigger for c in read_record(adapter).concepts]
    image = open_image(sample.pictures[0])
    masks = [open_mask(m, image) for m in find_masks(sample.pictures)[0]]
    side = attention_resolution(host)
    wanted = mask_grid([square(m, host.resolution) for m in masks], (side, side), soft=False)
    tokens = host.text.tokenize([prompt_of(words)])
    columns = torch.stack([host.text.positions(tokens, w) for w in words], 1)
    maps = attention_seen(host, WordProbe(host, side, words), encode_images(host, [square(image, host.resolution)]),
                          tokens, columns)
    outside = (maps * (1 - wanted)).sum((-1, -2)) / maps.sum((-1, -2))
    return {"astray": float(outside.mean())}


def overlap(lab: Lab, trial: Trial) -> Found:
    """The cosine of two concepts' inputs under C^-1 (see adapters.perfusion.edit): what is there to take apart."""
    host = load_base("starter")
    for number, name in enumerate(trial.samples):
        load(lab.adapter(trial, name))[0].inject(host, f"adapter_{number}")
    a, b = Editor.of(host).concepts
    return {"overlap": float(a.i @ b.v) / float((a.i @ a.v) * (b.i @ b.v)) ** 0.5}


def drawn(lab: Lab, trial: Trial) -> Found:
    """The share of all words' attention that goes to the concept's, on a picture of it and with a scene in the prompt.

    Keys that are learned too are said to draw it to the concept (Tewel et al., arXiv 2305.01644, section 4.1).
    """
    sample, adapter = Sample(trial.samples[0]), lab.adapter(trial, trial.samples[0])
    host = load_base("starter")
    load(adapter)[0].inject(host, "adapter_0")
    word = read_record(adapter).concepts[0].trigger
    tokens = host.text.tokenize([f"a photo of {word} on the beach"])
    said = ~tokens.padding
    said[0, 0] = said[0, int(said[0].sum()) - 1] = False  # where the prompt starts and ends
    columns = torch.stack([host.text.positions(tokens, word), said], 1)
    latents = encode_images(host, [square(open_image(sample.pictures[0]), host.resolution)])
    own, all_words = attention_seen(host, AttentionProbe(host, attention_resolution(host)), latents, tokens,
                                    columns)[0].mean((-1, -2))
    return {"drawn": float(own / all_words)}


REASONS = (
    Reason("key locking", {"drawn": "share of the words' attention that the concept draws"}, drawn),
    Reason("attention loss", {"astray": "share of a word's attention outside its mask"}, astray),
    Reason("orthogonal combination", {"overlap": "overlap of the two concepts"}, overlap),
)


def look(lab: Lab, file: Path, say: Callable[[str], None]) -> None:
    """Measure what is not in `file` yet, of trials that were run on this base; it is kept after each."""
    kept = read_kept(file)
    for reason, trial in _asked():
        key = f"{reason.ablation} {trial.key(lab.base)}"
        if key in kept or lab.find(trial) is None:
            continue
        kept[key] = {k: round(v, 4) for k, v in reason.measure(lab, trial).items()}
        write_text(file, json.dumps(kept, indent=1) + "\n")
        say(f"{reason.ablation}: {'+'.join(trial.samples)} {dict(trial.settings)} {kept[key]}")


def _asked() -> Iterator[tuple[Reason, Trial]]:
    by_name = {a.name: a for a in series.ablations()}
    for reason in REASONS:
        for whole, without in by_name[reason.ablation].pairs():
            yield reason, whole
            if whole.orthogonal == without.orthogonal:  # else they are the same adapters
                yield reason, without


def read_kept(file: Path) -> dict[str, Found]:
    """What was measured, by ablation and trial."""
    found: dict[str, Found] = json.loads(file.read_text("utf-8")) if file.exists() else {}
    return found


def gather(lab: Lab, file: Path) -> list[dict[str, Any]]:
    """Each ablation's pairs that were measured: sample, the figure of the claim, and what was found, with and without.
    """
    kept, by_name, rows = read_kept(file), {a.name: a for a in series.ablations()}, []
    for reason in REASONS:
        ablation = by_name[reason.ablation]
        for whole, without in ablation.pairs():
            lines = [lab.find(t) for t in (whole, without)]
            told = [kept.get(f"{reason.ablation} {t.key(lab.base)}") for t in (whole, without)]
            if not (lines[0] and lines[1] and told[0]):
                continue
            claimed = [figures(line)[ablation.figure] for line in lines if line]
            rows.append({"ablation": reason.ablation, "sample": sample_of(lines[0]), "figure": ablation.figure,
                         "claimed": [round(float(v or 0), 4) for v in claimed], "found": told[0],
                         "found_without": told[1]})
    return rows


def section(rows: list[dict[str, Any]]) -> str:
    """The tables as Markdown, '' when nothing was measured."""
    parts = []
    for reason in REASONS:
        mine = [r for r in rows if r["ablation"] == reason.ablation]
        if not mine:
            continue
        head = ["sample", f"{mine[0]['figure']}, with minus without"]
        paired = all(r["found_without"] for r in mine)
        for title in reason.titles.values():
            head += [f"{title}, with", "without"] if paired else [title]
        body = [[r["sample"], f"{r['claimed'][0] - r['claimed'][1]:+.3f}", *_cells(reason, r, paired)] for r in mine]
        last = ["**mean**", str(score([r["claimed"][0] - r["claimed"][1] for r in mine]))]
        for key in reason.titles:
            last += [str(score([r[side][key] for r in mine]))
                     for side in (("found", "found_without") if paired else ("found",))]
        parts.append(f"### {reason.ablation.capitalize()}\n\n{markdown(head, [*body, last])}")
    said = "## Where the parts act\n\nThe same trained adapters: whether a part does at all what it is there for.\n\n"
    return said + "\n".join(parts) if parts else ""


def _cells(reason: Reason, row: dict[str, Any], paired: bool) -> list[str]:
    sides = ("found", "found_without") if paired else ("found",)
    return [f"{row[side][key]:.3f}" for key in reason.titles for side in sides]
