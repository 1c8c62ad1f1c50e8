"""Train the starter: `python -m pipelines.starter.train [--stage NAME] [--work DIR]`.

Stages run in order and resume where they stopped: autoencoder, diffusion, judges. Needs the emoji
font; two CPU cores are enough. `export` writes the finished parts as fp16 into `--out`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from pipelines.starter.config import CONFIG_PATH, StarterConfig


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, default=CONFIG_PATH)
    parser.add_argument("--work", type=Path, default=Path(".starter-training"),
                        help="folder for checkpoints (resumed when present)")
    parser.add_argument("--out", type=Path, default=Path("assets/starter"))
    parser.add_argument("--stage", choices=("autoencoder", "diffusion", "judges", "export", "all"),
                        default="all")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    options.work.mkdir(parents=True, exist_ok=True)
    config = StarterConfig.load(options.config)
    stages = ("autoencoder", "diffusion", "judges", "export")
    for stage in stages if options.stage == "all" else (options.stage,):
        if stage == "autoencoder":
            from pipelines.starter import autoencoder

            autoencoder.train(config, options.work)
        elif stage == "diffusion":
            from pipelines.starter import diffusion

            diffusion.train(config, options.work)
        elif stage == "judges":
            from pipelines.starter import train_judges

            train_judges.train(config, options.work, options.out)
        else:
            from pipelines.starter import export

            export.export(config, options.work, options.out)


if __name__ == "__main__":
    main()
