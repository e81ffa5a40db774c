"""Diagnoses in many spellings become one, and numbers within their labels."""

from __future__ import annotations

import pytest
from conftest import ROOT

from model.labels import LABELS
from train.data.diagnosis import OTHER, diagnosis_labels, normalise
from train.data.splits import load_split


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Acne vulgaris", "acne"),
        ("Discoid eczema", "eczema nummular"),
        ("Hand dermatitis", "eczema hand"),
        ("Melanocytic naevus", "melanocytic nevi"),
        ("seborrheic keratoses smooth", "Seborrhoeic keratosis"),
        ("Generalised pustular psoriasis", "pustular psoriasis, generalized"),
        ("Acute febrile neutrophilic dermatosis (Sweet syndrome)", "Sweet's syndrome"),
        ("actinic solar damage(actinic keratosis)", "Actinic keratosis"),
        ("Dyshidrotic eczema (pompholyx)", "dyshidrosiform eczema"),
        ("Henoch–Schönlein purpura", "henoch schonlein purpura"),
        ("Chloracne _ MADISH", "chloracne"),
        ("Swimmer_s itch", "swimmer’s itch"),
        ("Tinea pedis", "athlete's foot"),
        ("malignant melanoma", "Melanoma"),
        ("genital warts", "condylomata acuminata"),
        ("Pediculosis capitis", "Head lice"),
    ],
)
def test_names_of_one_disease_become_one(one: str, other: str) -> None:
    assert normalise(one) == normalise(other) == normalise(normalise(one)) != ""


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Melanoma", "Nodular melanoma"),
        ("actinic solar damage(pigmentation)", "actinic solar damage(solar elastosis)"),
        ("Tinea corporis", "Tinea capitis"),
        ("acne vulgaris", "acne excoriated"),
        ("Palmoplantar pustulosis", "psoriasis palms soles"),
        ("Lichen planus", "Lichen simplex"),
    ],
)
def test_different_diseases_stay_apart(one: str, other: str) -> None:
    assert normalise(one) != normalise(other)


def test_words_that_only_look_like_plurals_keep_their_end() -> None:
    for text in ("scabies", "psoriasis plaque lupus", "herpes", "vitiligo"):
        assert {*normalise(text).split()} == {*text.split()}


def test_a_text_without_words_is_empty() -> None:
    assert normalise("") == normalise("(–)") == ""


def test_rare_diagnoses_and_absent_ones_join_the_others_of_their_label() -> None:
    diagnoses = ["Melanoma", "malignant melanoma", "Ulcer", None, "melanoma", "Mole", "mole", ""]
    labels = [7, 7, 7, 7, 3, 3, 3, 3]
    numbers, classes, counts = diagnosis_labels(diagnoses, labels, minimum=2)
    assert classes == [(3, "melanocytic nevus"), (3, OTHER), (7, "melanoma"), (7, OTHER)]
    assert list(numbers) == [2, 2, 3, 3, 1, 0, 0, 1]
    assert counts == [2, 2, 2, 2]


@pytest.mark.shared
def test_the_real_diagnoses_are_shared_by_more_sources_once_merged() -> None:
    shared = ROOT.parent / "shared" / "data"
    if not shared.is_dir():
        pytest.skip(f"{shared} does not exist")
    sets = [str(shared / name) for name in ("skin22", "skin22_more")]
    rows = load_split(sets, "train", labels=LABELS)
    diagnoses, sources = list(rows["diagnosis"]), list(rows["source"])

    def shared_by_sources(names: list[str]) -> int:
        met = {name: set() for name in names}
        for name, source in zip(names, sources, strict=True):
            met[name].add(source)
        return sum(len(who) > 1 for who in met.values())

    merged = [normalise(text) for text in diagnoses]
    assert (len(set(diagnoses)), shared_by_sources(diagnoses)) == (236, 15)
    assert (len(set(merged)), shared_by_sources(merged)) == (181, 50)
    assert len(diagnosis_labels(diagnoses, rows["label"], minimum=1).classes) == 181
    assert all(normalise(name) == name for name in merged)
