"""The MCP server of a running Gradio app, what its audit trail says, and whose labels its pages name.

Its checkpoint has the seven labels of dermoscopy.
"""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch
from conftest import encode, make_picture
from gradio_client import Client
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client
from mcp.types import CallToolResult, Tool
from processes import free_port, running

from app.prediction import Prediction
from app.predictor import Predictor
from model import checkpoint
from model.config import ModelConfig
from model.network import SkinDiseaseNet

PHOTO = encode(make_picture())
DERMOSCOPY = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")
URI = "data:image/jpeg;base64," + base64.b64encode(PHOTO).decode()


class Served:
    """The running app and its audit trail."""

    def __init__(self, address: str, folder: Path) -> None:
        self.address, self.audit = address, folder / "audit.log"

    def post(self, path: str, **options: Any) -> httpx.Response:
        return httpx.post(self.address + path, timeout=60, **options)

    def upload(self, **options: Any) -> httpx.Response:
        return self.post("/gradio_api/upload", files={"files": ("a.jpg", PHOTO)}, **options)

    def audited(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.audit.read_text().splitlines()]


@pytest.fixture(scope="module")
def dermoscopy(tiny_config: ModelConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoints") / "dermoscopy"
    config = dataclasses.replace(tiny_config, labels=DERMOSCOPY)
    torch.manual_seed(0)
    checkpoint.save(folder, SkinDiseaseNet(config), config, card="---\nlicense: other\n---\n# Dermoscopy\n")
    return folder


@pytest.fixture(scope="module")
def predictor(dermoscopy: Path) -> Predictor:
    return Predictor.from_checkpoint(str(dermoscopy), device="cpu")


@pytest.fixture(scope="module")
def served(dermoscopy: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder, port = tmp_path_factory.mktemp("mcp"), free_port()
    environment = {
        "CHECKPOINT": str(dermoscopy),
        "AUDIT_LOG": str(folder / "audit.log"),
        "PORT": str(port),
    }
    command = [sys.executable, "space_app.py"]
    with running(command, port=port, log=folder / "server.log", environment=environment, wait=300) as address:
        yield Served(address, folder)


def look_on_the_page(served: Served) -> str:
    """Uploads the photo and asks as the page does; returns the events that come back."""
    with httpx.Client(base_url=served.address, timeout=60) as http:
        events = http.get("/config").json()["dependencies"]
        number = next(one["id"] for one in events if any(event == "submit" for _, event in one["targets"]))
        path = http.post("/gradio_api/upload", files={"files": ("a.jpg", PHOTO)}).json()[0]
        asked = {"data": [], "event_data": {"paths": [path], "ticket": 1}, "fn_index": number}
        http.post("/gradio_api/queue/join", json={**asked, "session_hash": "a1"})
        return http.get("/gradio_api/queue/data", params={"session_hash": "a1"}).text


def use_tool(served: Served, *calls: dict[str, Any]) -> tuple[list[Tool], list[CallToolResult]]:
    """The tools that a program finds, and what ``predict`` answers to each call."""

    async def talk() -> tuple[list[Tool], list[CallToolResult]]:
        url = served.address + "/gradio_api/mcp/"
        async with (
            httpx.AsyncClient(timeout=60) as http,
            streamable_http_client(url, http_client=http) as (read, write, _),
            ClientSession(read, write) as session,
        ):
            await session.initialize()
            tools = (await session.list_tools()).tools
            return tools, [await session.call_tool("predict", call) for call in calls]

    return asyncio.run(talk())


def test_the_tool_is_documented_and_answers(served: Served, predictor: Predictor) -> None:
    uploaded = served.upload().json()[0]
    tools, answers = use_tool(
        served,
        {"image": URI, "heatmap": True},
        {"image": f"{served.address}/gradio_api/file={uploaded}"},
        {"image": "https://example.com/a.jpg"},
        {"image": "data:image/png;base64,bm8="},
    )
    (tool,) = tools
    assert tool.name == "predict"
    assert "A learning aid, never a diagnosis" in (tool.description or "")
    assert all(field.name in (tool.description or "") for field in dataclasses.fields(Prediction))
    parameters = tool.inputSchema["properties"]
    assert set(parameters) == {"image", "heatmap"}
    assert all(parameter["description"] for parameter in parameters.values())
    assert tool.inputSchema["required"] == ["image"]

    first, second, address, no_picture = answers
    prediction = json.loads(first.content[0].text)  # type: ignore[union-attr]
    expected = predictor.predict(PHOTO).to_json()
    assert prediction["conditions"] == expected["conditions"]
    assert prediction["heatmap"].startswith("data:image/png;base64,")
    assert json.loads(second.content[0].text)["verdict"] == expected["verdict"]  # type: ignore[union-attr]
    assert address.isError
    assert "No picture was sent" in address.content[0].text  # type: ignore[union-attr]
    assert no_picture.isError
    assert "not a JPEG" in no_picture.content[0].text  # type: ignore[union-attr]
    assert httpx.get(f"{served.address}/gradio_api/file={uploaded}").status_code == 404


def test_each_picture_leaves_an_audit_line(served: Served, predictor: Predictor) -> None:
    before = len(served.audited())
    Client(served.address, verbose=False).predict(URI, api_name="/predict")
    use_tool(served, {"image": URI}, {"image": "data:image/png;base64,bm8="})
    assert "data-verdict" in look_on_the_page(served)
    lines = served.audited()[before:]
    verdict = predictor.predict(PHOTO).verdict
    assert [line["verdicts"] for line in lines] == [[verdict], [verdict], [], [verdict]]
    for line in lines:
        assert set(line) == {"time", "endpoint", "milliseconds", "key", "verdicts", "checkpoint"}
        assert line["key"] is None
        assert line["milliseconds"] > 0
        assert line["checkpoint"] == {"id": predictor.id, "revision": predictor.revision}


def test_the_pages_name_the_checkpoints_own_labels(served: Served) -> None:
    config = json.dumps(httpx.get(served.address + "/config", timeout=60).json())
    assert "The 7 groups that this model knows" in config
    assert "Psoriasis" not in config
