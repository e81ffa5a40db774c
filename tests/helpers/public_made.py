"""Public data sets in their downloaded layouts, tiny and with drawn pictures."""

from __future__ import annotations

import csv
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from conftest import encode
from datasets_made import class_picture

HAM = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")
ISIC2018 = ("MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC")
ISIC2019 = ("MEL", "NV", "BCC", "AK", "BKL", "DF", "VASC", "SCC", "UNK")


def write_table(
    file: Path, header: Sequence[str], rows: Iterable[Sequence[object]], *, tabs: bool = False
) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    with open(file, "w", newline="", encoding="utf-8") as lines:
        writer = csv.writer(lines, delimiter="\t" if tabs else ",")
        writer.writerow(header)
        writer.writerows(rows)
    return file


def draw(file: Path, number: int, classes: int) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    kind = {".jpg": "JPEG", ".png": "PNG"}[file.suffix]
    file.write_bytes(encode(class_picture(number, classes, seed=zlib.crc32(file.stem.encode())), kind))


def make_ham10000(
    folder: Path, *, per_class: int = 4, metadata: str = "HAM10000_metadata.csv"
) -> list[list[str]]:
    """Two pictures a lesion, one in each of the two folders; returns the rows of the metadata."""
    rows = []
    for number in range(per_class * len(HAM)):
        dx = HAM[number // per_class]
        name = f"ISIC_{24306 + number:07d}"
        rows.append([f"HAM_{number // 2:07d}", name, dx, "histo", "60.0", "male", "back", "vidir_modern"])
        draw(folder / f"HAM10000_images_part_{1 + number % 2}" / f"{name}.jpg", HAM.index(dx), len(HAM))
    header = ("lesion_id", "image_id", "dx", "dx_type", "age", "sex", "localization", "dataset")
    write_table(folder / metadata, header, rows, tabs=metadata.endswith(".tab"))
    return rows


def write_truth(file: Path, classes: Sequence[str], answers: dict[str, str], **weights: float) -> Path:
    """A ground truth of ISIC; with any weights, its two columns of weights (1 where none is given)."""
    header = ["image", *classes, *(["score_weight", "validation_weight"] if weights else [])]
    rows = []
    for name, answer in answers.items():
        row = [name, *(1.0 if answer == one else 0.0 for one in classes)]
        rows.append([*row, weights.get(name, 1.0), 0.0] if weights else row)
    return write_table(file, header, rows)


def make_isic2018(folder: Path) -> None:
    """All three parts, the ground truths in folders of their own, as the archives unpack."""
    first = 24306
    for part, count in (("Training", 14), ("Validation", 7), ("Test", 7)):
        stem = f"ISIC2018_Task3_{part}"
        answers = {f"ISIC_{first + i:07d}": ISIC2018[i % 7] for i in range(count)}
        first += count
        write_truth(folder / f"{stem}_GroundTruth" / f"{stem}_GroundTruth.csv", ISIC2018, answers)
        for name, answer in answers.items():
            draw(folder / f"{stem}_Input" / f"{name}.jpg", ISIC2018.index(answer), 7)
        if part == "Training":
            lesions = [(name, f"HAM_{i % 7:07d}", "histopathology") for i, name in enumerate(answers)]
            header = ("image", "lesion_id", "diagnosis_confirm_type")
            write_table(folder / f"{stem}_LesionGroupings.csv", header, lesions)


def make_isic2019(folder: Path) -> None:
    """Training with three collections and `_downsampled` names; a test part with UNK rows and weights."""
    train = {f"ISIC_{i:07d}{'_downsampled' if i % 8 == 0 else ''}": ISIC2019[i % 8] for i in range(16)}
    lesions = ("", "HAM_0000001", "BCN_0000002", "MSK4_0011169")
    header = ("image", "age_approx", "anatom_site_general", "lesion_id", "sex")
    metadata = [(name, "55", "anterior torso", lesions[i % 4], "male") for i, name in enumerate(train)]
    write_table(folder / "ISIC_2019_Training_Metadata.csv", header, metadata)
    test = {f"ISIC_{7000 + i:07d}": ISIC2019[i % 9] for i in range(9)}
    write_table(folder / "ISIC_2019_Test_Metadata.csv", header[:3], [row[:3] for row in metadata[:9]])
    for part, answers, weights in (("Training", train, {}), ("Test", test, {"ISIC_0007000": 0.0})):
        write_truth(folder / f"ISIC_2019_{part}_GroundTruth.csv", ISIC2019, answers, **weights)
        for name, answer in answers.items():
            draw(folder / f"ISIC_2019_{part}_Input" / f"{name}.jpg", ISIC2019.index(answer), 9)


FITZPATRICK_ROWS = (
    (
        "0a" * 16,
        3,
        4,
        "acne vulgaris",
        "inflammatory",
        "non-neoplastic",
        "1 Diagnostic",
        "dermaamin.com/a1.jpg",
    ),
    (
        "1b" * 16,
        -1,
        6,
        "melanoma",
        "malignant melanoma",
        "malignant",
        "",
        "atlasdermatologico.com.br/img?imageId=2",
    ),
    ("2c" * 16, -1, -1, "dermatofibroma", "benign dermal", "benign", "", "dermaamin.com/d, e.jpg"),
    ("3d" * 16, 6, 5, "malignant melanoma", "malignant melanoma", "malignant", "", "dermaamin.com/m.jpg"),
)


def make_fitzpatrick17k(folder: Path) -> None:
    header = ("md5hash", "fitzpatrick_scale", "fitzpatrick_centaur", *("label", "nine_partition_label"))
    header += ("three_partition_label", "qc", "url", "url_alphanum")
    write_table(
        folder / "fitzpatrick17k.csv",
        header,
        [(*row, f"http{row[-1]}".replace(".", "")) for row in FITZPATRICK_ROWS],
    )
    for number, row in enumerate(FITZPATRICK_ROWS):
        draw(folder / "images" / f"{row[0]}.jpg", number, 4)


def make_cleaned_fitzpatrick17k(folder: Path, *, per_type: int = 10) -> None:
    """The list Fitzpatrick17k-C: with a partition, and one column for the skin type; three diagnoses."""
    header = (
        "md5hash",
        "fitzpatrick",
        "label",
        "nine_partition_label",
        "three_partition_label",
        "url_alphanum",
    )
    rows = []
    for number, (kind, skin_type) in enumerate((k, t) for k in range(3) for t in range(1, 7)):
        for place in range(per_type):
            name = f"{number:02x}{place:02x}" * 8
            part = ("train", "train", "train", "val", "test")[place % 5]
            diagnosis = ("acne", "keloid", "vitiligo")[kind]
            rows.append((name, skin_type, diagnosis, "inflammatory", "benign", "httpdermaamincom", part))
            draw(folder / "images" / f"{name}.jpg", kind, 3)
    write_table(folder / "fitzpatrick17k.csv", (*header, "partition"), rows)


PAD_CODES = ("ACK", "BCC", "MEL", "NEV", "SCC", "SEK")


def make_pad_ufes_20(folder: Path, *, patients: int = 6) -> None:
    """Three parts; patient ``i`` has diagnosis ``i`` modulo six, and the first two have a second picture."""
    header = ("patient_id", "lesion_id", "smoke", "fitspatrick", "region", "diagnostic", "img_id", "biopsed")
    rows = []
    for number in range(patients + 2):
        patient, kind = number % patients, (number % patients) % 6
        code = PAD_CODES[kind] if number != patients + 1 else "NEV"
        name = f"PAT_{patient}_{800 + number}_{number}.png"
        skin_type = f"{1 + patient % 6}.0" if number < patients else ""
        rows.append((f"PAT_{patient}", 800 + number, "False", skin_type, "FACE", code, name, "True"))
        draw(folder / f"imgs_part_{1 + number % 3}" / name, PAD_CODES.index(code), 6)
    write_table(folder / "metadata.csv", header, rows)


def make_ddi(folder: Path, *, per_tone: int = 12, column: str = "malignant") -> None:
    """``per_tone`` pictures of each tone, every second one malignant; the index column has no name."""
    rows = []
    for number in range(3 * per_tone):
        malignant = number % 2
        tone = ("12", "34", "56")[number // per_tone]
        name = f"{number + 1:06d}.png"
        rows.append((number, number + 1, name, tone, bool(malignant), ("nevus", "melanoma")[malignant]))
        draw(folder / "images" / name, malignant, 2)
    write_table(folder / "ddi_metadata.csv", ("", "DDI_ID", "DDI_file", "skin_tone", column, "disease"), rows)


def make_scin(folder: Path, *, cases: int = 6) -> None:
    """Cases of three conditions in turn with one to three pictures; the last case has no labels."""
    names = ("Eczema", "Psoriasis", "Tinea")
    pictures, labels = [], []
    for number in range(cases):
        paths = [f"dataset/images/{-1000 * number - place}.png" for place in range(1 + number % 3)]
        pictures.append((f"c{number}", "SCIN", "FST2", *paths, *[""] * (3 - len(paths))))
        first, second = names[number % 3], names[(number + 1) % 3]
        weights = str({first: 0.75, second: 0.25}) if number < cases - 1 else "{}"
        monk = str(1 + number % 10) if number % 2 else ""
        labels.append(
            (f"c{number}", f"FST{1 + number % 6}", f"FST{1 + number % 6}", "", weights, monk, "4.0")
        )
        for path in paths:
            draw(folder / path, number % 3, 3)
    header = ("case_id", "source", "fitzpatrick_skin_type", *(f"image_{i}_path" for i in (1, 2, 3)))
    write_table(folder / "scin_cases.csv", header, pictures)
    types = tuple(f"dermatologist_fitzpatrick_skin_type_label_{i}" for i in (1, 2, 3))
    tones = ("monk_skin_tone_label_us", "monk_skin_tone_label_india")
    header = ("case_id", *types, "weighted_skin_condition_label", *tones)
    write_table(folder / "scin_labels.csv", header, labels)
