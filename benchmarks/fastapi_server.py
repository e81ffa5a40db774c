"""What a user would build first: the PyTorch network behind FastAPI and uvicorn.

Started by ``benchmarks/serve.py`` as ``uvicorn benchmarks.fastapi_server:app --workers N``.
"""

from __future__ import annotations

import os
from typing import Any

import torch
from fastapi import FastAPI, UploadFile
from PIL import Image, ImageOps
from timm.data import create_transform

from model.checkpoint import load

torch.set_num_threads(int(os.environ["BENCH_THREADS"]))
checkpoint = load(os.environ["CHECKPOINT"])
config = checkpoint.config
network = checkpoint.network.to(memory_format=torch.channels_last)
transform = create_transform(
    config.input_size,
    is_training=False,
    interpolation=config.interpolation,
    mean=config.mean,
    std=config.std,
    crop_pct=config.crop_pct,
    crop_mode=config.crop_mode,
)
app = FastAPI()


@app.get("/health")
def health() -> str:
    return "ok"


@app.post("/predict")
def predict(image: UploadFile) -> dict[str, Any]:  # not async: FastAPI runs it in its thread pool
    picture = ImageOps.exif_transpose(Image.open(image.file)).convert("RGB")
    with torch.inference_mode():
        batch = transform(picture)[None].to(memory_format=torch.channels_last)
        probabilities = (network(batch)[0] / config.temperature).softmax(dim=0).tolist()
    ranked = sorted(zip(probabilities, config.labels, strict=True), reverse=True)
    return {"conditions": [{"name": name, "probability": probability} for probability, name in ranked]}
