"""Diagnoses in the sources' own words, normalised to one spelling and numbered within their labels.

Sources name one disease in several ways ("Discoid eczema", "eczema nummular"), so a raw spelling mostly
reveals the source. docs/datasets.md says how much of that remains after merging.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

OTHER = "other"

# Latin and Greek plurals, and words that only look like plurals.
_IRREGULAR = {
    "nevi": "nevus",
    "comedones": "comedo",
    "lentigines": "lentigo",
    "hemangiomata": "hemangioma",
    "verrucae": "verruca",
    "condylomata": "condyloma",
    "acuminata": "acuminatum",
    **{
        word: word
        for word in ("albicans", "fungoides", "herpes", "incipiens", "measles", "nigricans", "scabies")
    },
}

_PASSED_OVER = {"a", "and", "in", "of", "on", "or", "s", "the", "with"}

# A disease: its other names, and names of its usual form if another source has no finer ones.
_SYNONYMS: dict[str, tuple[str, ...]] = {
    "acne vulgaris": ("acne",),
    "cystic acne": ("nodulocystic acne", "acne conglobata"),
    "hidradenitis suppurativa": ("acne inversa",),
    "actinic keratosis": ("solar keratosis", "actinic solar damage (actinic keratosis)"),
    "actinic cheilitis": ("solar cheilitis",),
    "dermatofibroma": ("fibrous histiocytoma",),
    "digital mucous cyst": ("mucous cyst", "digital myxoid cyst", "digital myxoid pseudocyst"),
    "epidermoid cyst": ("epidermal cyst", "epidermal inclusion cyst"),
    "keloid": ("keloid scar",),
    "pilar cyst": ("trichilemmal cyst",),
    "pilomatricoma": ("pilomatrixoma",),
    "sebaceous hyperplasia": ("sebaceous gland hyperplasia",),
    "skin tag": ("acrochordon", "fibroepithelial polyp"),
    "benign familial pemphigus": ("Hailey-Hailey disease",),
    "angular cheilitis": ("perleche",),
    "candidal intertrigo": ("candidiasis large skin folds",),
    "drug eruption": ("drug rash", "morbilliform drug reaction"),
    "allergic contact dermatitis": ("nickel allergy",),
    "asteatotic eczema": ("eczema craquele", "winter itch"),
    "atopic dermatitis": ("atopic eczema",),
    "dyshidrotic eczema": ("dyshidrosiform eczema", "pompholyx"),
    "hand eczema": ("hand dermatitis",),
    "nummular eczema": ("discoid eczema", "nummular dermatitis"),
    "stasis dermatitis": ("venous eczema", "varicose eczema"),
    "head lice": ("pediculosis capitis",),
    "lichen sclerosus": ("lichen sclerosus skin", "lichen sclerosus et atrophicus"),
    "lichen simplex": ("lichen simplex chronicus",),
    "discoid lupus erythematosus": ("chronic cutaneous lupus", "chronic cutaneous lupus erythematosus"),
    "congenital nevus": ("congenital melanocytic nevus",),
    "dysplastic nevus": ("atypical nevus", "atypical melanocytic nevus", "Clark nevus"),
    "melanocytic nevus": ("mole",),
    "nevus spilus": ("speckled lentiginous nevus",),
    "plaque psoriasis": ("psoriasis", "psoriasis vulgaris", "chronic plaque psoriasis"),
    "inverse psoriasis": ("flexural psoriasis",),
    "palmoplantar psoriasis": ("psoriasis palms soles",),
    "perioral dermatitis": ("periorificial dermatitis",),
    "seborrheic keratosis": ("seborrheic keratosis irritated", "seborrheic keratosis smooth"),
    "basal cell carcinoma": ("basalioma",),
    "extramammary Paget disease": ("extramammary Paget disease of skin",),
    "melanoma": ("malignant melanoma",),
    "morpheaform basal cell carcinoma": ("morpheiform basal cell carcinoma",),
    "superficial spreading melanoma": ("superficial spreading melanoma SSM",),
    "solar elastosis": ("elastosis", "actinic solar damage (solar elastosis)"),
    "solar lentigo": ("adult lentigo", "actinic lentigo", "senile lentigo"),
    "Favre-Racouchot syndrome": ("actinic comedo",),
    "hydroa vacciniforme": ("Bazin hydroa vacciniforme",),
    "melasma": ("chloasma",),
    "onychomycosis": ("distal subungual onychomycosis", "tinea unguium"),
    "tinea capitis": ("scalp ringworm",),
    "tinea corporis": ("ringworm",),
    "tinea faciei": ("tinea faciale", "tinea facialis"),
    "tinea manuum": ("tinea manus",),
    "tinea pedis": ("athlete's foot",),
    "tinea versicolor": ("pityriasis versicolor",),
    "cherry angioma": ("angioma", "senile angioma"),
    "hereditary hemorrhagic telangiectasia": ("Osler-Weber-Rendu disease",),
    "pyogenic granuloma": ("lobular capillary hemangioma",),
    "spider angioma": ("spider nevus",),
    "IgA vasculitis": ("Henoch-Schönlein purpura",),
    "polyarteritis nodosa": ("periarteritis nodosa",),
    "Sweet syndrome": ("acute febrile neutrophilic dermatosis",),
    "common wart": ("wart", "verruca vulgaris"),
    "genital wart": ("condyloma acuminatum",),
}


class DiagnosisLabels(NamedTuple):
    """Diagnoses as classes, each within one label.

    Attributes:
        numbers: the class of every row, (N,), from 0.
        classes: (label, normalised diagnosis or ``OTHER``) by class number, sorted.
        counts: rows of each class.
    """

    numbers: NDArray[np.int64]
    classes: list[tuple[int, str]]
    counts: list[int]


def normalise(text: str) -> str:
    """Normalise a diagnosis: case, punctuation, word order, number and accents do not matter.

    British spelling becomes American, text in brackets counts only if the synonyms list it, and text after a
    free-standing underscore (a credit in some archives) is dropped. The result is a name of ``_SYNONYMS`` in
    lower case or the words in alphabetical order; normalising it again changes nothing.
    """
    text = text.split(" _ ")[0]
    whole, bare = _words(text), _words(re.sub(r"\(.*?\)", " ", text))
    return _NAMES.get(whole) or _NAMES.get(bare) or bare or whole


def diagnosis_labels(
    diagnoses: Sequence[str | None], targets: Sequence[int], *, minimum: int
) -> DiagnosisLabels:
    """Number the diagnoses within their labels.

    Args:
        diagnoses: in any spelling, (N,); None or an empty text counts as ``OTHER``.
        targets: label indices, (N,).
        minimum: a diagnosis with fewer rows within its label joins the label's ``OTHER``.
    """
    names = [normalise(text) or OTHER if text else OTHER for text in diagnoses]
    pairs = [(int(label), name) for label, name in zip(targets, names, strict=True)]
    rows = Counter(pairs)
    kept = [pair if rows[pair] >= minimum else (pair[0], OTHER) for pair in pairs]
    counts = Counter(kept)
    classes = sorted(counts)
    number = {pair: place for place, pair in enumerate(classes)}
    numbers = np.asarray([number[pair] for pair in kept], dtype=np.int64)
    return DiagnosisLabels(numbers, classes, [counts[pair] for pair in classes])


def _words(text: str) -> str:
    letters = unicodedata.normalize("NFKD", text.lower())
    plain = "".join(letter for letter in letters if not unicodedata.combining(letter))
    words = re.findall(r"[a-z0-9]+", re.sub(r"(?<=[a-z])['’_]s\b", "", plain))
    return " ".join(sorted({_word(word) for word in words} - _PASSED_OVER))


def _word(word: str) -> str:
    """A word in American spelling and the singular."""
    word = re.sub(r"[ao]e(?=[a-z])", "e", word)
    word = re.sub(r"is(?=(ed|ing|ation)$)", "iz", word)
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if word.endswith(("oses", "iases")):
        return word[:-2] + "is"
    if word.endswith("s") and not word.endswith(("is", "ss", "us")) and len(word) > 3:
        return word[:-1]
    return word


_NAMES = {_words(text): name.lower() for name, others in _SYNONYMS.items() for text in (name, *others)}
