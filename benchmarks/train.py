"""How fast ``fit`` trains, against timm's own training step: ``python -m benchmarks.train --data DIR``.

One run on one machine. ``fit``'s epoch and timm's step (its loader, transform, optimizer, loss and clipping,
put together as its train.py does) take turns on the same network, pictures, batch size, augmentation and
number of loader workers; ratios are taken within a round. Then timm's step once in each precision and layout.
"""

from __future__ import annotations

import argparse
import dataclasses
import io
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from PIL import Image

from benchmarks.table import machine, spread

WARM = 2  # steps that are not counted
VARIANTS = {
    "fp32": ["--layout", "contiguous"],
    "fp32, channels_last": [],
    "bf16, channels_last": ["--precision", "bf16"],
    "fp32, channels_last, torch.compile": ["--compile"],
}


def main() -> None:
    """Measures, prints a Markdown table, and writes the figures as JSON if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, type=Path, help="folder of a data set in parquet")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda", "mps"])
    parser.add_argument("--precision", default="fp32", choices=["fp32", "bf16"])
    parser.add_argument("--layout", default="channels_last", choices=["channels_last", "contiguous"])
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--backbone", default="resnet50")
    parser.add_argument("--size", type=int, default=176)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--output", type=Path, help="JSON file")
    parser.add_argument("--side", choices=["fit", "timm"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        print(json.dumps({"fit": run_fit, "timm": run_timm}[options.side](options)))
        return
    with tempfile.TemporaryDirectory() as folder:
        (source,) = sorted(options.data.glob("train*.parquet"))[:1]
        rows = pq.read_table(source)
        needed = options.batch * (options.steps + WARM)
        chosen = np.random.default_rng(0).permutation(len(rows))
        pq.write_table(rows.take(chosen[:needed]), f"{folder}/train.parquet")
        pq.write_table(rows.take(chosen[needed : needed + 24]), f"{folder}/validation.parquet")
        rounds = []
        for number in range(options.rounds):
            sides = ("fit", "timm") if number % 2 == 0 else ("timm", "fit")
            rounds.append({side: measure(options, folder, side) for side in sides})
            print(f"round {number + 1}: {rounds[-1]}", file=sys.stderr)
        variants = {name: measure(options, folder, "timm", *more) for name, more in VARIANTS.items()}
    figures: dict[str, Any] = {
        "machine": machine(),
        "rounds": rounds,
        "variants": variants,
        "fit over timm": spread([one["fit"]["rate"] / one["timm"]["rate"] for one in rounds]),
        "input share": spread([one["fit"]["input"] for one in rounds]),
    }
    if options.output:
        options.output.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    print("| Measure | Median (quartiles) | Wanted |\n| --- | --- | --- |")
    for side in ("fit", "timm"):
        print(f"| {side}, pictures a second | {_cell(spread([one[side]['rate'] for one in rounds]))} | |")
    print(f"| fit over timm's step | {_cell(figures['fit over timm'])} | at least 1.0 |")
    print(f"| share of a step that fit waits for pictures | {_cell(figures['input share'])} | under 0.05 |")
    for name, got in variants.items():
        print(f"| timm's step, {name}, pictures a second, once | {got['rate']:.2f} | |")


def measure(options: argparse.Namespace, folder: str, side: str, *more: str) -> dict[str, float]:
    """One side in a process of its own."""
    words = [sys.executable, "-m", "benchmarks.train", "--side", side, "--data", folder]
    for name in ("device", "precision", "backbone", "size", "batch", "steps", "workers"):
        words += [f"--{name}", str(getattr(options, name))]
    done = subprocess.run([*words, *more], stdout=subprocess.PIPE, check=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


class Clock:
    """Hands batches on, and knows when each was asked for, when it came, and when it was used."""

    def __init__(self, batches: Any) -> None:
        self._batches = batches
        self.times: list[tuple[float, float, float]] = []

    def __iter__(self) -> Iterator[Any]:
        source = iter(self._batches)
        while True:
            asked = time.perf_counter()
            try:
                batch = next(source)
            except StopIteration:
                return
            came = time.perf_counter()
            yield batch
            self.times.append((asked, came, time.perf_counter()))

    def figures(self, batch: int) -> dict[str, float]:
        """Pictures a second, and the share of the time that was spent waiting for them."""
        counted = self.times[WARM:]
        whole = counted[-1][2] - counted[0][0]
        return {
            "rate": batch * len(counted) / whole,
            "input": sum(came - asked for asked, came, _ in counted) / whole,
        }


def recipe(options: argparse.Namespace, output: str) -> Any:
    """The same for both sides."""
    from train.config import TrainConfig

    return TrainConfig(
        data=[str(options.data)],
        output=output,
        init="random",
        backbone=options.backbone,
        input_size=options.size,
        train_size=options.size,
        trainable=["*"],
        epochs=1,
        batch_size=options.batch,
        downscale=0.0,  # timm has no such augmentation
        num_workers=options.workers,
        device=options.device,
        precision=options.precision,
    )


def run_fit(options: argparse.Namespace) -> dict[str, float]:
    """An epoch as ``fit`` trains it."""
    import torch

    from train.data.splits import load_split
    from train.fit.network import create_network
    from train.fit.run import create_accelerator
    from train.fit.trainer import Trainer

    config = recipe(options, "")
    torch.manual_seed(config.seed)
    model_config, network = create_network(config)
    rows = load_split(config.data, "train", labels=config.labels)
    accelerator = create_accelerator(config, network)
    trainer = Trainer(config, model_config, network, rows, accelerator=accelerator)
    clock = Clock(trainer.pictures())
    trainer.train_epoch(clock)
    return clock.figures(options.batch)


class Pictures:
    """Rows as timm's own data set gives them: decoded in full, then transformed."""

    def __init__(self, rows: Any) -> None:
        self.rows = rows
        self.transform: Any = None

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, row: int) -> tuple[Any, int]:
        record = self.rows[row]
        picture = Image.open(io.BytesIO(record["image"]["bytes"])).convert("RGB")
        return self.transform(picture), record["label"]


def run_timm(options: argparse.Namespace) -> dict[str, float]:
    """The loop of timm's train.py."""
    import torch
    from timm.data import create_loader
    from timm.loss import LabelSmoothingCrossEntropy
    from timm.optim import create_optimizer_v2
    from timm.utils import dispatch_clip_grad

    from train.data.splits import load_split
    from train.fit.network import create_network

    config = dataclasses.replace(recipe(options, ""), data=[str(options.data)])
    model_config, network = create_network(config)
    device = torch.device(options.device)
    network.to(device).train()
    if options.layout == "channels_last":
        network.to(memory_format=torch.channels_last)
    loader = create_loader(
        Pictures(load_split(config.data, "train", labels=config.labels)),
        input_size=(3, options.size, options.size),
        batch_size=options.batch,
        is_training=True,
        use_prefetcher=device.type == "cuda",
        device=device,
        scale=(config.min_scale, 1.0),
        hflip=0.5,
        vflip=0.5,
        color_jitter=config.color_jitter,
        grayscale_prob=config.grayscale,
        gaussian_blur_prob=config.blur,
        re_prob=config.erase,
        interpolation=model_config.interpolation,
        mean=model_config.mean,
        std=model_config.std,
        num_workers=options.workers,
    )
    optimizer = create_optimizer_v2(
        network, opt="adamw", lr=config.backbone_lr, weight_decay=config.weight_decay
    )
    loss_of = LabelSmoothingCrossEntropy(config.label_smoothing)
    step_of = torch.compile(network) if options.compile else network
    clock = Clock(loader)
    for images, targets in clock:
        images, targets = images.to(device), targets.to(device)
        if options.layout == "channels_last":
            images = images.contiguous(memory_format=torch.channels_last)
        with torch.autocast(device.type, torch.bfloat16, enabled=options.precision == "bf16"):
            loss = loss_of(step_of(images), targets)
        optimizer.zero_grad()
        loss.backward()
        dispatch_clip_grad(network.parameters(), config.clip_norm)
        optimizer.step()
        loss.item()
    return clock.figures(options.batch)


def _cell(value: dict[str, float]) -> str:
    return f"{value['median']:.2f} ({value['q1']:.2f} to {value['q3']:.2f})"


if __name__ == "__main__":
    main()
