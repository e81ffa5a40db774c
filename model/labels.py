"""The conditions in their one fixed order, and the text shown to people about each of them.

A checkpoint names its own labels; this module finds the text for a name. The texts are in
``conditions.json``: ``conditions`` are the 22 groups of clinical photographs, ``dermoscopy`` the seven
labels of HAM10000, ``lesions`` those of ISIC 2019 and PAD-UFES-20 beyond them. They are education, never a
diagnosis.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any


@dataclass(frozen=True)
class Lookalike:
    """Something a condition is confused with.

    Attributes:
        name: the label it belongs to, or None if no label covers it.
        title: its name for people; often one member of the label's group, such as "Scabies".
        how_to_tell: one sentence.
    """

    name: str | None
    title: str
    how_to_tell: str


@dataclass(frozen=True)
class Source:
    """A public page for patients on the same subject."""

    title: str
    url: str


@dataclass(frozen=True)
class Codes:
    """A condition in the classifications of medicine; None where no code means the same as the label.

    Attributes:
        icd10: a category of the WHO's ICD-10, or a range of them such as "C43-C44".
        icd11: a category of ICD-11 for Mortality and Morbidity Statistics.
        snomed_ct: a concept's number.
    """

    icd10: str | None = None
    icd11: str | None = None
    snomed_ct: str | None = None


@dataclass(frozen=True)
class Condition:
    """The text about one label.

    Attributes:
        name: the label as the checkpoint spells it.
        title: its name for people.
        in_a_sentence: its name as a sentence continues with it, such as "a mole".
        summary: one sentence.
        what_it_is: two or three sentences; says so if the label is a group.
        looks_like: two or three sentences, on darker skin too where that differs.
        confused_with: two to four lookalikes; empty if no text has been written.
        urgency: a key of `URGENCY`.
        when_to_be_seen: one or two sentences, with the red flags that make it more urgent.
        malignant: whether the label itself holds cancer or a precursor of cancer. False does not mean that a
            cancer cannot look like it.
        codes: for the same condition in ICD-10, ICD-11 and SNOMED CT.
        sources: further reading.
    """

    name: str
    title: str
    in_a_sentence: str
    summary: str
    what_it_is: str
    looks_like: str
    confused_with: tuple[Lookalike, ...]
    urgency: str
    when_to_be_seen: str
    malignant: bool
    codes: Codes
    sources: tuple[Source, ...]


URGENCY: Mapping[str, str] = MappingProxyType(
    {
        "none": "No condition recognised; see a doctor if a spot worries you",
        "self_care": "Often manageable at home, with a pharmacist's advice",
        "routine": "Worth a routine appointment",
        "soon": "See a doctor soon, within two weeks",
        "urgent": "Get medical advice today",
    }
)
"""Urgency key → short phrase for people, from the least urgent to the most."""


def _read(entry: dict[str, Any]) -> Condition:
    lookalikes = tuple(Lookalike(**lookalike) for lookalike in entry["confused_with"])
    sources = tuple(Source(**source) for source in entry["sources"])
    codes = Codes(**entry["codes"])
    return Condition(**{**entry, "confused_with": lookalikes, "codes": codes, "sources": sources})


_TEXTS = json.loads(Path(__file__).with_name("conditions.json").read_text(encoding="utf-8"))

CONDITIONS: tuple[Condition, ...] = tuple(_read(entry) for entry in _TEXTS["conditions"])
"""The 22 conditions, in the order of the data set's class indices."""

DERMOSCOPY: tuple[Condition, ...] = tuple(_read(entry) for entry in _TEXTS["dermoscopy"])
"""The seven labels of HAM10000 (ISIC 2018 Task 3), in alphabetical order. Not part of `LABELS`."""

LESIONS: tuple[Condition, ...] = tuple(_read(entry) for entry in _TEXTS["lesions"])
"""The labels of ISIC 2019 (ak, scc) and PAD-UFES-20 (ak, scc, sek) that HAM10000 does not have."""

LABELS: tuple[str, ...] = tuple(entry.name for entry in CONDITIONS)
"""The 22 label names; the position of a name is its class index."""

NO_CONDITION = "Unknown_Normal"
"""The label of healthy skin and of pictures that are not skin."""

_BY_NAME = {entry.name: entry for entry in (*CONDITIONS, *DERMOSCOPY, *LESIONS)}


def condition(name: str) -> Condition:
    """Return the texts for a label name, spelled exactly as in the checkpoint.

    A name without a text of its own gets a generic one that says so: a checkpoint may bring labels that
    nobody has written about, and can still be served.
    """
    if name in _BY_NAME:
        return _BY_NAME[name]
    return Condition(
        name=name,
        title=name.replace("_", " "),
        in_a_sentence=name.replace("_", " "),
        summary="No text has been written for this label yet.",
        what_it_is="This label comes from the model that was loaded, and there is no description of it here "
        "yet. Please look it up in a reliable source.",
        looks_like="There is no description yet of what it looks like on lighter or darker skin. "
        "The name alone says nothing about how serious it is.",
        confused_with=(),
        urgency="routine",
        when_to_be_seen="See a doctor soon about any skin change that is new, growing, changing, bleeding, "
        "painful or slow to heal. Get help at once if you feel very unwell.",
        malignant=False,
        codes=Codes(),
        sources=(),
    )
