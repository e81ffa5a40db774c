"""Examples for the OpenAPI document: invented, as short as possible, and valid by its schemas."""

from __future__ import annotations

from typing import Any

_CHECKPOINT = {"id": "skin22", "revision": "5d1c0a7e9b42"}

PREDICTION: dict[str, Any] = {
    "verdict": "condition",
    "reason": "Of the conditions the model knows, acne fits best, with a probability of 87%.",
    "conditions": [
        {"name": "Acne", "title": "Acne", "probability": 0.87},
        {"name": "Rosacea", "title": "Rosacea", "probability": 0.13},
    ],
    "criteria": [
        {"name": "max_probability", "value": 0.87, "threshold": 0.31, "fired": False},
        {"name": "normalized_entropy", "value": 0.13, "threshold": 0.83, "fired": False},
        {"name": "unusualness", "value": 0.41, "threshold": 0.98, "fired": False},
        {"name": "not_skin", "value": 0.02, "threshold": 0.3, "fired": False},
    ],
    "prediction_set": ["Acne"],
    "malignancy": {"probability": 0.01, "threshold": 0.2, "fired": False},
    "advice": {
        "urgency": "routine",
        "how_soon": "Worth a routine appointment",
        "caution": None,
        "text": "See a doctor when it suits you.",
    },
    "modality": {"name": "clinical", "probability": 0.99, "expected": "clinical", "message": None},
    "quality": [],
    "brightness": 0.48,
    "checkpoint": _CHECKPOINT,
    "precision": "float32",
    "timings_ms": {"decode": 12.1, "transform": 6.4, "forward": 81.0, "total": 100.2},
    "heatmap": None,
}

CASE: dict[str, Any] = {"answer": PREDICTION, "pictures": [PREDICTION, PREDICTION]}

LABELS: dict[str, Any] = {
    "labels": [
        {
            "name": "Acne",
            "title": "Acne",
            "summary": "Blocked and inflamed pores.",
            "urgency": "routine",
            "urgency_text": "Worth a routine appointment",
            "malignant": False,
        }
    ],
    "checkpoint": _CHECKPOINT,
}

READY: dict[str, Any] = {
    "status": "ready",
    "checkpoint": _CHECKPOINT,
    "precision": "float32",
    "others": [],
}

METRICS = (
    '# TYPE skindiseasenet_verdicts_total counter\nskindiseasenet_verdicts_total{verdict="condition"} 7.0\n'
)


def error(code: str, message: str, hint: str) -> dict[str, Any]:
    """An error as the API returns it."""
    return {"error": {"code": code, "message": message, "hint": hint}}
