"""The review queue: who sees what, when a case is settled, and what is kept, exported and deleted."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from conftest import encode, make_picture

from app.review import agreement
from app.review.cipher import add_key
from app.review.export import AUDIT, export
from app.review.picture import stored_picture
from app.review.readings import DISPUTED, OTHER, REJECTED, ReviewError, settle
from app.review.store import Settled, Store
from model.errors import ConfigError
from train.data.rows import open_rows

PICTURE = encode(make_picture())


def answer(top: float = 0.6, best: str = "Acne") -> dict[str, object]:
    """A prediction as JSON, as far as the queue looks at it."""
    names = [best, *(name for name in ("Acne", "Rosacea", "Psoriasis") if name != best)]
    shares = (top, *[(1 - top) / 2] * 2)
    conditions = [
        {"name": name, "title": name, "probability": share} for name, share in zip(names, shares, strict=True)
    ]
    return {
        "conditions": conditions,
        "checkpoint": {"id": "c", "revision": "r1"},
        "heatmap": "data:image/png;base64,HEAT",
    }


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    add_key(tmp_path / "review.key")
    return tmp_path / "review.key"


@pytest.fixture
def store(tmp_path: Path, key_file: Path) -> Store:
    return Store(f"sqlite:///{tmp_path / 'review.db'}", key_file)


def put(store: Store, **options: object) -> str:
    return store.submit(PICTURE, answer(**options), who="ward")  # type: ignore[arg-type]


def test_the_least_certain_case_comes_first(store: Store) -> None:
    cases = {top: put(store, top=top) for top in (0.9, 0.4, 0.6)}
    assert [case.id for case in store.queue("one")] == [cases[0.4], cases[0.6], cases[0.9]]


def test_two_readers_who_agree_settle_a_case(store: Store) -> None:
    case = put(store)
    store.read(case, "one", "correct", label="Rosacea")
    assert store.queue("one") == []
    seen = store.case(case, "two")
    assert seen.own is None
    assert "one" not in json.dumps(seen)
    store.read(case, "two", "correct", label="Rosacea")
    (settled,) = store.settled()
    assert settled == Settled(case, "Acne", "Rosacea", ("Rosacea", "Rosacea"))
    with pytest.raises(ReviewError, match="settled"):
        store.read(case, "three", "accept")


def test_a_third_reader_decides_a_conflict(store: Store) -> None:
    case = put(store)
    store.read(case, "one", "accept")
    store.read(case, "two", "reject", note="out of focus")
    assert store.settled() == []
    assert [waiting.id for waiting in store.queue("three")] == [case]
    with pytest.raises(ReviewError, match="already"):
        store.read(case, "two", "accept")
    store.read(case, "three", "accept")
    assert store.settled()[0].outcome == "Acne"
    assert settle(["Acne", OTHER, REJECTED]) == DISPUTED


@pytest.mark.parametrize(
    ("decision", "label", "note"),
    [("maybe", "", ""), ("correct", "Measles", ""), ("correct", OTHER, " "), ("reject", "", "x" * 201)],
)
def test_a_bad_reading_is_refused_and_changes_nothing(
    store: Store, decision: str, label: str, note: str
) -> None:
    case = put(store)
    with pytest.raises(ReviewError) as caught:
        store.read(case, "one", decision, label=label, note=note)
    assert caught.value.hint
    assert [waiting.id for waiting in store.queue("one")] == [case]


def test_what_is_stored_names_nobody(store: Store, tmp_path: Path) -> None:
    picture = make_picture()
    exif = picture.getexif()
    exif[0x010E] = "Jane Doe, ward 7"
    data = encode(picture, exif=exif, comment=b"Jane Doe")
    assert b"Jane Doe" in data
    stored = stored_picture(data)
    assert b"Jane Doe" not in stored
    case = store.submit(stored, answer(), who=None)
    store.read(case, "one", "reject", note="Jane Doe moved")
    assert store.picture(case) == stored
    content = (tmp_path / "review.db").read_bytes()
    for text in (b"Jane Doe", stored[:64], b"HEAT"):
        assert text not in content


def test_deletion_leaves_nothing_in_the_file(store: Store, tmp_path: Path) -> None:
    case = put(store)
    content = (tmp_path / "review.db").read_bytes()
    tokens = content.count(b"gAAAA")
    assert tokens
    store.delete(case)
    content = (tmp_path / "review.db").read_bytes()
    assert b"gAAAA" not in content
    assert b"Rosacea" not in content
    for gone in (lambda: store.case(case, "one"), lambda: store.picture(case), lambda: store.delete(case)):
        with pytest.raises(ReviewError, match="no such case"):
            gone()


def test_old_cases_are_purged(store: Store) -> None:
    old, new = put(store), put(store)
    with store.begin() as connection:
        connection.exec_driver_sql(
            f"UPDATE review_cases SET created = '2020-01-01T00:00:00Z' WHERE id = '{old}'"
        )
    assert store.purge(30) == 1
    assert [case.id for case in store.queue("one")] == [new]


def test_keys_rotate(store: Store, key_file: Path, tmp_path: Path) -> None:
    case = put(store)
    store.read(case, "one", "reject", note="blurred")
    first = key_file.read_text()
    assert add_key(key_file) == 2
    renewed = Store(f"sqlite:///{tmp_path / 'review.db'}", key_file)
    assert renewed.rotate() == 1
    key_file.write_text(key_file.read_text().splitlines()[0])
    assert Store(f"sqlite:///{tmp_path / 'review.db'}", key_file).picture(case) == PICTURE
    key_file.write_text(first)
    with pytest.raises(ConfigError, match="decrypted"):
        Store(f"sqlite:///{tmp_path / 'review.db'}", key_file).picture(case)


def test_training_reads_what_is_exported(store: Store, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="settled"):
        export(store, tmp_path / "out")
    agreed, refused, waiting = put(store), put(store), put(store)
    for reader in ("one", "two"):
        store.read(agreed, reader, "correct", label="Rosacea")
        store.read(refused, reader, "reject", note="not skin")
    store.read(waiting, "one", "accept")
    assert export(store, tmp_path / "out") == 1
    labels = ["Psoriasis", "Rosacea", "Acne"]
    rows = open_rows([str(tmp_path / "out")], "train", labels=labels, max_unreadable=0).rows
    (row,) = rows
    assert (row["id"], row["label"], row["source"]) == (agreed, 1, "review")
    assert row["group"]
    (line,) = (tmp_path / "out" / AUDIT).read_text().splitlines()
    audit = json.loads(line)
    assert [reading["reader"] for reading in audit["readings"]] == ["one", "two"]
    assert [step["action"] for step in audit["trail"]] == ["submitted", "correct", "correct"]
    assert oct(os.stat(tmp_path / "out").st_mode)[-3:] == "700"


def test_the_migrations_make_the_tables_of_the_code(store: Store) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    from app.review.tables import METADATA

    with store.begin() as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []


def test_kappa_and_accuracy_are_those_of_the_textbook() -> None:
    # Cohen's example in Fleiss, Levin and Paik: 20 yes/yes, 5 yes/no, 10 no/yes, 15 no/no; kappa is 0.4.
    counts = {("Acne", "Acne"): 20, ("Acne", "Rosacea"): 5, ("Rosacea", "Acne"): 10, ("Rosacea",) * 2: 15}
    cases = [
        Settled("x", "Acne", first, (first, second))
        for (first, second), count in counts.items()
        for _ in range(count)
    ]
    found = agreement.kappa(cases)
    assert found is not None
    assert found.value == pytest.approx(0.4)
    assert 0.1 < found.low < 0.3 < 0.5 < found.high < 0.7
    assert agreement.kappa(cases[:10]) is None
    assert agreement.kappa([cases[0]] * 30) is None, "all said the same"
    right = agreement.accuracy(cases)
    assert right is not None
    # Wilson's interval for 25 of 50
    assert np.allclose(right[:3], (0.5, 0.3664, 0.6336), atol=1e-3)
    assert agreement.accuracy([Settled("x", "Acne", REJECTED, (REJECTED,) * 2)]) is None
