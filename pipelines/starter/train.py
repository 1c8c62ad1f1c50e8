"""Train the starter: `python -m pipelines.starter.train [--stage NAME] [--work DIR]`.

Stages run in order and resume where they stopped: hours on two CPU cores, minutes on a GPU. They need the emoji
font. What each should reach on unseen scenes:

  autoencoder  at least 28 dB on scenes; where SEMBLANCE_PHOTOS names a folder, it also prints its decibels on
               photos of subjects that were kept out
  diffusion    judged by the report after the export
  pair         at least 80 of the 100 packed scenes find their own caption
  judges       at least 0.98 of scenes, 0.95 of classes, styles, sides and stacks, 0.9 of colours right
  export       replaces what --out holds: fp16 pipeline, judges, evaluation set, words, model card
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from adapters.errors import StudioError
from pipelines.starter.config import CONFIG_PATH, StarterConfig

STAGES = ("autoencoder", "diffusion", "pair", "judges", "export")


def run_stage(stage: str, config: StarterConfig, work: Path, out: Path) -> None:
    """One of STAGES. Its modules are imported here: processes that only draw scenes import this one too."""
    if stage == "autoencoder":
        from pipelines.starter import autoencoder

        autoencoder.train(config, work)
    elif stage == "diffusion":
        from pipelines.starter import diffusion

        diffusion.train(config, work)
    elif stage == "pair":
        from pipelines.starter import pair

        pair.train(config, work)
    elif stage == "judges":
        from pipelines.starter import train_judges

        train_judges.train(config, work)
    else:
        from pipelines.starter import export

        export.export(config, work, out)


def main() -> int:
    """Run one stage or all; exit code 2 when something that a person can mend stops it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, action="append", default=[],
                        help="a TOML file laid over the shipped config.toml; may be given again")
    parser.add_argument("--work", type=Path, default=Path(".starter-training"),
                        help="folder for checkpoints (resumed when present)")
    parser.add_argument("--out", type=Path, default=Path("assets/starter"), help="what 'export' replaces")
    parser.add_argument("--stage", choices=(*STAGES, "all"), default="all")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    options = parser.parse_args()
    import torch

    torch.set_num_threads(options.threads)
    options.work.mkdir(parents=True, exist_ok=True)
    try:
        config = StarterConfig.load(CONFIG_PATH, *options.config)
        for stage in STAGES if options.stage == "all" else (options.stage,):
            run_stage(stage, config, options.work, options.out)
    except StudioError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
