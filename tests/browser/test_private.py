"""The page that computes in the browser: what it answers, what it sends, and what it needs."""

from __future__ import annotations

import base64
import dataclasses
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from browsing import PHONE, Open, Serve, faults
from conftest import encode, make_picture
from PIL import Image

from app.pages import wording
from app.prediction import Prediction
from app.predictor import Predictor
from app.settings import EMBEDDED_CHECKPOINT
from model import checkpoint
from model.decision.modality import GATE, Gate
from model.image.preprocess import preprocess

pytestmark = pytest.mark.browser

TOLERANCE = 2e-3
"""The largest difference between a probability of the browser's and one of the server's."""

ASK = """async (pictures) => {
  const engine = new Worker("engine.js", {type: "module"});
  const said = (kind, message) => new Promise((resolve, reject) => {
    engine.onmessage = ({data}) => {
      if (data.kind === "failed") reject(data.message);
      else if (data.kind !== "progress") resolve(data);
    };
    engine.postMessage({kind, ...message});
  });
  await said("load", {});
  const answers = [];
  for (const picture of pictures) {
    const bytes = Uint8Array.from(atob(picture), (c) => c.charCodeAt(0));
    answers.push(await said("ask", {file: new Blob([bytes])}));
  }
  engine.terminate();
  return answers;
}"""


@pytest.fixture(scope="module")
def lively(opinionated: Path, tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    """A small checkpoint that gives every kind of answer, and tells dermoscopy from photographs."""
    folder = tmp_path_factory.mktemp("checkpoints") / "lively"
    shutil.copytree(opinionated, folder)
    loaded = checkpoint.load(folder)
    images = np.stack([preprocess(picture, config=loaded.config) for picture in made_pictures(20)])
    with torch.inference_mode():
        features = loaded.network.forward_features(torch.from_numpy(images)).mean(dim=(2, 3)).numpy()
    weights = np.random.default_rng(0).normal(size=features.shape[1]).astype(np.float32)
    scores = features @ weights
    weights *= 3 / scores.std()
    Gate(weights, np.array([-3 * np.median(scores) / scores.std()], np.float32), expects="clinical").save(
        folder
    )
    changed = dataclasses.replace(
        loaded.config,
        gate=GATE,
        temperature=0.7,
        malignant_from=0.15,
        max_unusualness=0.97,
        max_not_skin=0.9,
        min_max_probability=0.22,
        max_normalized_entropy=0.82,
        uncertain_below=0.35,
        set_quantile=0.92,
    )
    (folder / "config.json").write_text(changed.to_json())
    return Predictor.from_checkpoint(str(folder), device="cpu")


def made_pictures(count: int) -> list[Image.Image]:
    """Of many sizes and shapes, smooth and grainy, dark and bright; a few are smaller than advised."""
    random = np.random.default_rng(0)
    pictures = []
    for seed in range(count):
        width, height = (int(side) for side in random.integers(60, 320, 2))
        smooth = np.asarray(make_picture(width, height, seed=seed), np.float64)
        grain = random.normal(0, random.choice([0, 4, 20]), smooth.shape)
        pixels = smooth * random.choice([0.2, 0.6, 1.0]) + grain + random.choice([0, 60])
        pictures.append(Image.fromarray(pixels.clip(0, 255).astype(np.uint8)))
    return pictures


def ask(page: Any, pictures: list[bytes]) -> list[dict[str, Any]]:
    return page.evaluate(ASK, [base64.b64encode(picture).decode() for picture in pictures])


def near(prediction: Prediction, predictor: Predictor) -> tuple[bool, bool]:
    """Whether a difference within the tolerance may change the verdict, and whether it may change a word."""
    config, largest = predictor.config, prediction.conditions[0].probability
    distances = [abs(c.value - c.threshold) for c in prediction.criteria]
    distances += [abs(largest - config.uncertain_below), largest - prediction.conditions[1].probability]
    of_words = [abs(1 - each.probability - config.set_quantile) for each in prediction.conditions]
    if prediction.malignancy:
        of_words += [abs(prediction.malignancy.probability - config.malignant_from)]
    of_words += [abs(prediction.modality.probability - 0.8)] if prediction.modality else []
    of_words += [abs(warning.value - warning.threshold) for warning in prediction.quality]
    return min(distances) < TOLERANCE, min(distances + of_words) < TOLERANCE


def told(prediction: Prediction) -> dict[str, Any]:
    """What the server's page says, as the browser's engine lists it."""
    advice = wording.advice(prediction)
    return {
        "tag": wording.VERDICT_TAGS[prediction.verdict],
        "headline": wording.headline(prediction),
        "reason": wording.rejected_because(prediction)
        if prediction.verdict == "rejected"
        else prediction.reason,
        "urgency": advice.urgency,
        "how_soon": advice.how_soon,
        "caution": advice.caution,
        "points": list(advice.points),
        "text": advice.text,
        "about": advice.about and advice.about.name,
        "criteria": [
            {"fired": criterion.fired, "sentence": wording.criterion_sentence(criterion)}
            for criterion in prediction.criteria
        ],
        "set": wording.set_sentence(prediction),
        "quality": [wording.quality_sentence(warning) for warning in prediction.quality],
        "modality": prediction.modality and prediction.modality.message,
    }


def without_numbers(said: dict[str, Any]) -> str:
    """The sentences without percentages, which rounding may change by one."""
    return re.sub(r"under 1%|\d+(\.\d)?%", "#", json.dumps(said, sort_keys=True, ensure_ascii=False))


def compare(predictor: Predictor, pictures: list[bytes], answers: list[dict[str, Any]]) -> list[Prediction]:
    """Compares answers with the server's; returns those that had to be the same in every word."""
    compared = []
    for picture, answer in zip(pictures, answers, strict=True):
        expected, got = predictor.predict(picture), answer["answer"]
        probabilities = {each["name"]: each["probability"] for each in got["decision"]["conditions"]}
        for each in expected.conditions:
            assert probabilities[each.name] == pytest.approx(each.probability, abs=TOLERANCE)
        verdict_may_differ, words_may_differ = near(expected, predictor)
        assert verdict_may_differ or got["decision"]["verdict"] == expected.verdict
        if not words_may_differ:
            assert without_numbers(got["told"]) == without_numbers(told(expected))
            compared.append(expected)
    return compared


def test_200_pictures_get_the_servers_answers_word_for_word(
    open_page: Open, serve: Serve, lively: Predictor
) -> None:
    page = open_page(f"{serve(lively)}/private/")
    pictures = [encode(picture, "PNG") for picture in made_pictures(200)]
    compared = compare(lively, pictures, ask(page, pictures))
    assert len(compared) > 150
    assert {each.verdict for each in compared} == {"condition", "uncertain", "no_condition", "rejected"}
    assert {bool(each.malignancy and each.malignancy.fired) for each in compared} == {True, False}
    assert {warning.name for each in compared for warning in each.quality} >= {
        "too_small",
        "too_dark",
        "blurred",
    }
    assert {each.modality and bool(each.modality.message) for each in compared} == {True, False}


def test_the_picture_stays_here_and_the_page_works_without_a_connection(
    open_page: Open, serve: Serve, lively: Predictor
) -> None:
    page = open_page("about:blank", viewport=PHONE)
    requests, complaints = [], []
    page.context.on(
        "request", lambda request: requests.append((request.method, request.url, request.post_data))
    )
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    start = serve(lively)
    page.goto(start)
    page.get_by_role("link", name="Check it privately").click()
    picture = encode(make_picture(320, 240, seed=5), "PNG")
    expected = lively.predict(picture)

    def check() -> None:
        page.set_input_files("#image", {"name": "p.png", "mimeType": "image/png", "buffer": picture})
        page.wait_for_selector("#answer #verdict")
        assert page.inner_text("#answer #verdict") == wording.headline(expected)
        assert page.inner_text("#answer .ranking .name >> nth=0") == expected.conditions[0].title

    page.wait_for_selector("body[data-state=ready]")
    assert page.evaluate("crossOriginIsolated"), "several threads need it"
    check()
    assert faults(page) == []
    page.wait_for_function("navigator.serviceWorker.controller !== null")
    page.context.set_offline(True)
    page.reload()
    page.wait_for_selector("body[data-state=ready]")
    check()
    page.set_input_files("#image", {"name": "p.txt", "mimeType": "text/plain", "buffer": b"no picture"})
    page.wait_for_selector("#answer .problem")

    assert {(method, sent) for method, _, sent in requests} == {("GET", None)}
    elsewhere = [url for _, url, _ in requests if not url.startswith((start, "blob:", "data:"))]
    assert elsewhere == []
    assert complaints == []


@pytest.mark.shared
def test_real_photographs_get_the_servers_answers(
    open_page: Open, serve: Serve, request: pytest.FixtureRequest
) -> None:
    shard = request.config.rootpath.parent / "shared/data/skin22/validation-00000-of-00001.parquet"
    if not shard.exists():
        pytest.skip("needs ../shared/data/skin22")
    rows = pq.read_table(shard, columns=["image"]).to_pylist()[::5][:100]
    pictures = [row["image"]["bytes"] for row in rows]
    embedded = Predictor.from_checkpoint(EMBEDDED_CHECKPOINT, device="cpu")
    page = open_page(f"{serve(embedded)}/private/")
    # Fewer than of the small network: half of its answers have some label at the edge of the set.
    assert len(compare(embedded, pictures, ask(page, pictures))) > 30
