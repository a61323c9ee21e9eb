"""CSV, JSON Lines and JSON records as label records."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from services.shared_data import LABELS, needs_data

from trainset.errors import InputError
from trainset.metadata.base import Rejected
from trainset.metadata.shapes import read_table
from trainset.metadata.tabular import TableFormat


def _read(
    body: str | bytes, format_: TableFormat, **options: Any
) -> tuple[list[dict[str, Any]], list[Rejected]]:
    data = body.encode() if isinstance(body, str) else body
    items = list(read_table(data, format_, stream="s", place="labels", **options))
    return (
        [item for item in items if not isinstance(item, Rejected)],
        [item for item in items if isinstance(item, Rejected)],
    )


def _lines(*records: Any) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


@needs_data
def test_detections_of_fiftyone_records_are_boxes_in_pixels() -> None:
    rows, none = _read((LABELS / "coco-records.json").read_bytes(), "json")
    assert none == []
    # 30 images: 20 with 131 detections in all, 10 of the test split that nobody labelled
    assert Counter(row["kind"] for row in rows) == {"box": 131, "record": 10}
    assert len({row["media_ref"] for row in rows}) == 30
    first = rows[0]
    assert (first["media_ref"], first["class"]) == ("images/000000000009.jpg", "bowl")
    # 0.0016875 of 640, 0.39102083 of 480, 0.955609375 of 640, 0.5955 of 480
    assert first["bbox"] == pytest.approx([1.08, 187.69, 611.59, 285.84])
    assert json.loads(first["attributes"])["record"]["tag"] == "train"
    assert len({row["record_id"] for row in rows}) == len(rows)


def test_known_columns_become_class_text_score_and_box() -> None:
    csv = (
        "file_name,label,score,x,y,w,h,caption,city\n"
        "a.jpg,cat,0.5,1,2,3,4,,Oslo\n"
        "b.jpg,,,,,,,a dog,\n"
        "c.jpg,cow,,,,,,,\n"
        "d.jpg,,,,,,,,Rome\n"
    )
    rows, none = _read(csv, "csv")
    assert none == []
    assert [row["kind"] for row in rows] == ["box", "caption", "class", "record"]
    assert rows[0]["bbox"] == [1, 2, 3, 4]
    assert (rows[0]["class"], rows[0]["score"]) == ("cat", 0.5)
    assert rows[1]["text"] == "a dog"
    assert json.loads(rows[3]["attributes"]) == {"city": "Rome"}


@pytest.mark.parametrize("delimiter", [",", "\t", ";", "|"])
def test_any_usual_delimiter_is_found(delimiter: str) -> None:
    text = "image,category\na.jpg,x\n".replace(",", delimiter)
    (row,), _ = _read("\ufeff" + text, "csv")
    assert (row["media_ref"], row["class"]) == ("a.jpg", "x")


def test_corners_become_a_box() -> None:
    (row,), _ = _read("filename,xmin,ymin,xmax,ymax\na.jpg,10,20,15,40\n", "csv")
    assert row["bbox"] == [10, 20, 5, 20]


def test_a_box_in_one_cell_is_read() -> None:
    rows, _ = _read('filename,bbox\na.jpg,"[1, 2, 3, 4]"\nb.jpg,5 6 7 8\n', "csv")
    assert [row["bbox"] for row in rows] == [[1, 2, 3, 4], [5, 6, 7, 8]]


def test_boxes_as_fractions_become_pixels_where_the_size_is_known() -> None:
    with_size = {"file_name": "a.jpg", "bbox": [0.5, 0.5, 0.25, 0.5], "width": 100, "height": 10}
    without = {"file_name": "b.jpg", "bbox": [0.5, 0.5, 0.25, 0.5]}
    rows, _ = _read(_lines(with_size, without), "jsonl")
    assert rows[0]["bbox"] == [50, 5, 25, 5]
    assert rows[1]["bbox"] is None
    assert json.loads(rows[1]["geometry"]) == {"bbox_fraction": [0.5, 0.5, 0.25, 0.5]}


def test_one_large_box_says_that_all_boxes_of_the_file_are_pixels() -> None:
    small = {"file_name": "a.jpg", "bbox": [0.5, 0.5, 1, 1]}
    large = {"file_name": "b.jpg", "bbox": [0.5, 0.5, 100, 1]}
    rows, _ = _read(_lines(small, large), "jsonl")
    assert [row["bbox"] for row in rows] == [[0.5, 0.5, 1, 1], [0.5, 0.5, 100, 1]]


def test_hugging_face_objects_are_one_label_each_and_none_is_empty() -> None:
    rows, none = _read(
        _lines(
            {
                "file_name": "a.jpg",
                "objects": {"bbox": [[1, 2, 3, 4], [5, 6, 7, 8]], "categories": ["x", 2]},
            },
            {"file_name": "b.jpg", "objects": {"bbox": [], "categories": []}},
        ),
        "jsonl",
    )
    assert none == []
    assert [(row["kind"], row["class"]) for row in rows] == [
        ("box", "x"),
        ("box", "2"),
        ("empty", None),
    ]


def test_several_classes_or_captions_of_one_medium_are_several_rows() -> None:
    rows, _ = _read(
        _lines(
            {"id": 4, "image": "a.jpg", "labels": ["x", "y"]},
            {"id": 5, "image": "b.jpg", "labels": []},
        ),
        "jsonl",
    )
    assert [(row["record_id"], row["class"], row["kind"]) for row in rows[:2]] == [
        ("4.0", "x", "class"),
        ("4.1", "y", "class"),
    ]
    assert rows[2]["kind"] == "empty"


def test_nested_values_stay_nested_in_attributes() -> None:
    record = {"data": {"image": "a.jpg", "meta": {"lens": [1, 2]}}, "n": None}
    (row,), _ = _read(json.dumps([record]), "json", media_column="data.image")
    assert row["media_ref"] == "a.jpg"
    assert json.loads(row["attributes"]) == {"data": {"meta": {"lens": [1, 2]}}, "n": None}


def test_a_record_without_an_id_keeps_its_name_when_others_move() -> None:
    header = "file_name,label\n"
    (before,), _ = _read(header + "a.jpg,cat\n", "csv")
    after, _ = _read(header + "z.jpg,new\na.jpg,cat\n", "csv")
    assert after[1]["record_id"] == before["record_id"]


def test_only_unique_ids_name_records() -> None:
    unique, _ = _read("id,file_name,label\n1,a.jpg,x\n2,b.jpg,x\n", "csv")
    assert [row["record_id"] for row in unique] == ["1", "2"]
    repeated, _ = _read("id,file_name,label\n1,a.jpg,x\n1,b.jpg,x\n", "csv")
    assert {row["record_id"] for row in repeated}.isdisjoint({"1"})
    assert [json.loads(row["attributes"])["id"] for row in repeated] == ["1", "1"]


def test_bad_lines_of_a_csv_are_kept_as_they_were_and_the_rest_is_read() -> None:
    csv = (
        b"file_name,label,note\n"
        b'a.jpg,"cat,never closed\n'  # swallows the next lines for a plain reader
        b"b.jpg,cat,fine\n"
        b"c.jpg,cat\n"
        b"d.jpg,c\xe4t,latin-1\n"
        b",cat,no name\n"
        b'e.jpg,"two\nlines",fine\n'
    )
    rows, faults = _read(csv, "csv")
    assert [row["media_ref"] for row in rows] == ["b.jpg", "e.jpg"]
    assert rows[1]["class"] == "two\nlines"
    assert [fault.kind for fault in faults] == ["bad-row", "bad-row", "encoding", "no-media-ref"]
    assert [fault.record for fault in faults] == ["line 2", "line 4", "line 5", "line 6"]
    assert faults[0].original == 'a.jpg,"cat,never closed'
    assert faults[1].original == "c.jpg,cat"


def test_bad_lines_of_a_jsonl_are_kept_as_they_were() -> None:
    body = _lines({"file": "a.jpg"}) + "{nope\n[1]\n\n" + _lines({"file": "b.jpg"})
    rows, faults = _read(body, "jsonl")
    assert [row["media_ref"] for row in rows] == ["a.jpg", "b.jpg"]
    assert [(f.record, f.original) for f in faults] == [("line 2", "{nope"), ("line 3", "[1]")]


@pytest.mark.parametrize(
    ("body", "format_", "word"),
    [
        ("file_name,file_name\na,b\n", "csv", "twice"),
        ("", "csv", "header"),
        ('[{"file": "a.jpg"},', "json", "broken JSON"),
        ('{"a": 1}', "json", "array of objects"),
        ("n,m\n1,2\n", "csv", "media_column"),
        ("[" * 100_000, "json", "nested"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(body: str, format_: TableFormat, word: str) -> None:
    with pytest.raises(InputError, match=word):
        _read(body, format_)


def test_a_media_column_that_is_not_there_names_those_that_are() -> None:
    with pytest.raises(InputError, match="file_name, label"):
        _read("file_name,label\na.jpg,x\n", "csv", media_column="picture")


@given(
    st.lists(
        st.tuples(
            st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1),
            st.text(st.characters(codec="utf-8", exclude_characters="\0")),
        ),
        min_size=1,
    )
)
def test_every_record_of_a_well_formed_csv_comes_out(rows: list[tuple[str, str]]) -> None:
    import csv
    import io

    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(["file_name", "caption"])
    writer.writerows(rows)
    found, faults = _read(out.getvalue(), "csv", media_column="file_name")
    assert faults == []
    assert [row["media_ref"] for row in found] == [name for name, _ in rows]
    assert [row["text"] or "" for row in found] == [text for _, text in rows]


@given(st.lists(st.binary(max_size=40)))
def test_no_line_is_lost_whatever_a_jsonl_holds(lines: list[bytes]) -> None:
    body = b"\n".join(line.replace(b"\n", b"").replace(b"\r", b"") for line in lines)
    text = body.decode("utf-8-sig", "surrogateescape")
    if body.startswith((b"\xff\xfe", b"\xfe\xff")):
        return  # that is UTF-16
    try:
        rows, faults = _read(body, "jsonl")
    except InputError:
        return  # objects without any field that could name a medium
    assert len(rows) + len(faults) == sum(bool(line.strip()) for line in text.split("\n"))
