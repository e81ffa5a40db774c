"""The texts about the conditions: complete, safe to show, and found for every label of any checkpoint."""

from __future__ import annotations

import dataclasses
import json
import re
from collections import Counter

import pyarrow.parquet as pq
import pytest

from model import labels
from model.labels import CONDITIONS, DERMOSCOPY, LABELS, LESIONS, NO_CONDITION, URGENCY, Condition, condition

ORDER = (
    "Acne",
    "Actinic_Keratosis",
    "Benign_tumors",
    "Bullous",
    "Candidiasis",
    "DrugEruption",
    "Eczema",
    "Infestations_Bites",
    "Lichen",
    "Lupus",
    "Moles",
    "Psoriasis",
    "Rosacea",
    "Seborrh_Keratoses",
    "SkinCancer",
    "Sun_Sunlight_Damage",
    "Tinea",
    "Unknown_Normal",
    "Vascular_Tumors",
    "Vasculitis",
    "Vitiligo",
    "Warts",
)
DERMOSCOPY_NAMES = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")
LESION_NAMES = ("ak", "scc", "sek")
UNWRITTEN = condition("a_label_nobody_wrote_about")

WRITTEN = [pytest.param(entry, id=entry.name) for entry in (*CONDITIONS, *DERMOSCOPY, *LESIONS)]
EVERY = [*WRITTEN, pytest.param(UNWRITTEN, id=UNWRITTEN.name)]

# field → fewest and most characters, fewest and most sentences
SIZES = {
    "title": (4, 40, 1, 1),
    "in_a_sentence": (4, 40, 1, 1),
    "summary": (40, 160, 1, 1),
    "what_it_is": (100, 600, 2, 3),
    "looks_like": (100, 500, 2, 3),
    "when_to_be_seen": (100, 450, 1, 2),
}


def sentences(text: str) -> list[str]:
    return re.split(r"(?<=[.!?])\s+", text)


def texts(entry: Condition) -> list[str]:
    return [getattr(entry, field) for field in SIZES] + [
        text for other in entry.confused_with for text in (other.title, other.how_to_tell)
    ]


def test_labels_are_the_22_names_in_their_fixed_order():
    assert len(LABELS) == 22
    assert LABELS == ORDER
    assert tuple(entry.name for entry in CONDITIONS) == ORDER


@pytest.mark.shared
def test_order_is_that_of_the_data_set(request):
    shards = sorted((request.config.rootpath.parent / "shared/data/skin22").glob("train-*.parquet"))
    if not shards:
        pytest.skip("needs ../shared/data/skin22")
    features = json.loads(pq.read_schema(shards[0]).metadata[b"huggingface"])["info"]["features"]
    assert tuple(features["label"]["names"]) == LABELS


def test_dermoscopy_labels_have_texts_but_are_no_part_of_the_22():
    assert tuple(entry.name for entry in DERMOSCOPY) == DERMOSCOPY_NAMES
    assert tuple(entry.name for entry in LESIONS) == LESION_NAMES
    assert not {*DERMOSCOPY_NAMES, *LESION_NAMES} & set(LABELS)
    assert condition("mel").title == "Melanoma"


@pytest.mark.parametrize("name", [*ORDER, *DERMOSCOPY_NAMES, *LESION_NAMES])
def test_condition_is_found_by_its_label(name):
    assert condition(name).name == name


def test_titles_are_distinct():
    assert len({entry.title for entry in CONDITIONS}) == 22


@pytest.mark.parametrize("entry", EVERY)
def test_texts_have_sensible_lengths(entry):
    for field, (shortest, longest, fewest, most) in SIZES.items():
        text = getattr(entry, field)
        assert shortest <= len(text) <= longest, (field, len(text))
        assert fewest <= len(sentences(text)) <= most, field


@pytest.mark.parametrize("entry", EVERY)
def test_texts_are_clean_plain_sentences(entry):
    for text in texts(entry):
        assert text == " ".join(text.split()), "stray white space"
        assert text[0].isupper() or text in (entry.title, entry.in_a_sentence), text
        assert not re.search(r"[<>{}*_`]", text), "markup"
    for text in (entry.summary, entry.what_it_is, entry.looks_like, entry.when_to_be_seen):
        assert text.endswith("."), text


@pytest.mark.parametrize("entry", WRITTEN)
def test_lookalikes_name_other_labels_that_exist(entry):
    known = LABELS if entry.name in LABELS else (*DERMOSCOPY_NAMES, *LESION_NAMES)
    names = [other.name for other in entry.confused_with if other.name is not None]
    assert 2 <= len(entry.confused_with) <= 4
    assert set(names) <= set(known)
    assert entry.name not in names
    assert len(names) == len(set(names))
    for other in entry.confused_with:
        assert other.title
        assert len(sentences(other.how_to_tell)) == 1
        assert other.how_to_tell.endswith(".")


@pytest.mark.parametrize("entry", WRITTEN)
def test_sources_are_https_pages(entry):
    fewest = 2 if entry.name in LABELS else 1
    assert fewest <= len(entry.sources) <= 3
    assert len({source.url for source in entry.sources}) == len(entry.sources)
    for source in entry.sources:
        assert re.fullmatch(r"https://[a-z.]+\.[a-z]+/[\w./-]+", source.url), source.url
        assert source.title


@pytest.mark.parametrize("entry", EVERY)
def test_codes_are_written_as_their_classifications_write_them(entry):
    assert re.fullmatch(r"[A-Z]\d\d(\.\d)?(-[A-Z]\d\d)?", entry.codes.icd10 or "L70")
    assert re.fullmatch(r"[0-9A-Z]{4}(\.[0-9A-Z]+)?", entry.codes.icd11 or "ED80")
    snomed = entry.codes.snomed_ct or "11381005"
    assert re.fullmatch(r"\d{6,18}", snomed)
    assert check_digit_holds(snomed), "SNOMED CT ends each number in a Verhoeff check digit"


def check_digit_holds(number: str) -> bool:
    """Verhoeff's check, in the dihedral group of order 10 (SNOMED CT Technical Implementation Guide)."""
    step = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)
    check = 0
    for position, digit in enumerate(map(int, reversed(number))):
        for _ in range(position % 8):
            digit = step[digit]
        turned, moved = divmod(check, 5)
        other, by = divmod(digit, 5)
        check = 5 * (turned ^ other) + (moved + (-by if turned else by)) % 5
    return check == 0


def test_urgency_runs_from_none_to_urgent():
    assert tuple(URGENCY) == ("none", "self_care", "routine", "soon", "urgent")
    assert URGENCY["routine"] == "Worth a routine appointment"


@pytest.mark.parametrize("entry", EVERY)
def test_urgency_is_a_known_key(entry):
    assert entry.urgency in URGENCY


def test_cancer_and_its_precursors_are_marked():
    assert {entry.name for entry in CONDITIONS if entry.malignant} == {"Actinic_Keratosis", "SkinCancer"}
    assert {entry.name for entry in DERMOSCOPY if entry.malignant} == {"akiec", "bcc", "mel"}
    assert {entry.name for entry in LESIONS if entry.malignant} == {"ak", "scc"}


@pytest.mark.parametrize("entry", [param for param in WRITTEN if param.values[0].malignant])
def test_where_the_label_is_cancer_seeing_a_doctor_soon_comes_first(entry):
    assert entry.when_to_be_seen.startswith("See a doctor soon")
    assert entry.urgency in ("soon", "urgent")


@pytest.mark.parametrize(
    "name",
    [
        "Benign_tumors",
        "Lichen",
        "Moles",
        "Seborrh_Keratoses",
        "Sun_Sunlight_Damage",
        "Vascular_Tumors",
        "Warts",
        *("bkl", "df", "nv", "vasc", "sek"),
        UNWRITTEN.name,
    ],
)
def test_where_cancer_is_possible_seeing_a_doctor_soon_comes_first_too(name):
    assert condition(name).when_to_be_seen.startswith("See a doctor soon")


@pytest.mark.parametrize(
    ("name", "red_flags"),
    [
        ("Bullous", ["the same day", "mouth", "medicine", "fever"]),
        ("DrugEruption", ["ambulance", "blistering", "mouth", "breathing", "fever"]),
        ("Eczema", ["the same day", "eczema herpeticum", "spreading", "fever"]),
        ("Infestations_Bites", ["ambulance", "breathing", "tick"]),
        ("Psoriasis", ["hospital", "pustules", "fever"]),
        ("Rosacea", ["the same day", "vision"]),
        ("Tinea", ["the same day", "cellulitis", "scalp"]),
        ("Vasculitis", ["the same day", "ambulance", "fever", "do not fade"]),
    ],
)
def test_emergencies_have_their_red_flags(name, red_flags):
    advice = condition(name).when_to_be_seen
    assert [flag for flag in red_flags if flag not in advice] == []


def test_no_condition_is_a_label_and_does_not_claim_health():
    entry = condition(NO_CONDITION)
    assert NO_CONDITION == "Unknown_Normal"
    assert NO_CONDITION in LABELS
    assert entry.urgency == "none"
    assert "cannot show that skin is healthy" in entry.when_to_be_seen


def test_no_sentence_stands_in_two_conditions():
    # once per condition, so that only a sentence shared between two of them counts
    seen = Counter(
        sentence.lower()
        for entry in (*CONDITIONS, *DERMOSCOPY, *LESIONS)
        for sentence in {
            sentence
            for text in [
                *(getattr(entry, field) for field in SIZES if field not in ("title", "in_a_sentence")),
                *(other.how_to_tell for other in entry.confused_with),
            ]
            for sentence in sentences(text)
        }
    )
    assert [sentence for sentence, times in seen.items() if times > 1] == []


@pytest.mark.parametrize(
    ("name", "title"), [("scar", "scar"), ("plantar_wart_left", "plantar wart left"), ("acne", "acne")]
)
def test_unwritten_label_is_served_with_honest_texts(name, title):
    entry = condition(name)
    assert entry.name == name
    assert entry.title == title
    assert entry.summary.startswith("No text has been written for this label yet.")
    assert entry.urgency == "routine"
    assert "See a doctor soon" in entry.when_to_be_seen
    assert not entry.malignant
    assert entry.confused_with == entry.sources == ()


def test_texts_cannot_be_changed_by_a_caller():
    with pytest.raises(dataclasses.FrozenInstanceError):
        condition("Acne").title = "Spots"  # type: ignore[misc]
    with pytest.raises(TypeError):
        URGENCY["none"] = ""  # type: ignore[index]
    assert all(isinstance(entry.sources, tuple) for entry in labels.CONDITIONS)
    hash(condition("Acne"))


def test_condition_turns_into_json():
    read_back = json.loads(json.dumps(dataclasses.asdict(condition("SkinCancer"))))
    assert read_back["confused_with"][0].keys() == {"name", "title", "how_to_tell"}
    assert read_back["sources"][0].keys() == {"title", "url"}
