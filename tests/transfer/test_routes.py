"""Which rule takes a file, before and after a look into it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from trainset.errors import SpecError
from trainset.model import MediaFacts, Protection
from trainset.spec import TransferSpec, parse_spec
from trainset.transfer.base import SourceFile
from trainset.transfer.route import HOME, Decision, Router

MEDIA = [{"name": "cam", "from": "media"}, {"name": "raw", "from": "raw"}]
PHOTO = MediaFacts(mime="image/jpeg", modality="image", width=320, height=200)
WIDE = MediaFacts(mime="image/jpeg", modality="image", width=1920, height=1080)
BROKEN = MediaFacts(mime="image/jpeg", modality="image", unreadable="cut off")
FILM = MediaFacts(mime="video/mp4", modality="video", duration=9.0)


def file(path: str, size: int = 100, source: str = "cam") -> SourceFile:
    return SourceFile(
        key=f"{source}/{path}",
        source=source,
        path=path,
        uri=f"/x/{path}",
        size=size,
        version="1",
        modified=datetime(2026, 1, 1, tzinfo=UTC),
    )


def router(*rules: dict[str, Any], unmatched: str = "home") -> Router:
    named = [{"name": f"r{n}", **rule} for n, rule in enumerate(rules)]
    return Router(TransferSpec.model_validate({"routes": named, "unmatched": unmatched}))


def said(decision: Decision) -> tuple[str, str | None]:
    return decision.action, decision.rule


@pytest.mark.parametrize(
    ("rules", "asked", "facts", "decided"),
    [
        ([{"path": "**/*.mp4"}], file("a/b.mp4"), None, ("take", "r0")),
        ([{"path": ["*.jpg", "a/"]}], file("a/b.mp4"), None, ("take", "r0")),
        ([{"path": "*.mp4"}], file("a/b.mp4"), None, ("take", None)),
        ([{"source": "raw"}], file("a.jpg", source="raw"), None, ("take", "r0")),
        ([{"source": "raw"}], file("a.jpg"), None, ("take", None)),
        ([{"min_size": "1kB"}], file("a", 1000), None, ("take", "r0")),
        ([{"min_size": "1kB"}], file("a", 999), None, ("take", None)),
        ([{"max_size": "1kB"}], file("a", 1000), None, ("take", "r0")),
        ([{"max_size": "1kB"}], file("a", 1001), None, ("take", None)),
        ([{"mime": "image/*"}], file("a.JPG"), None, ("take", "r0")),
        ([{"mime": ["video/mp4", "text/*"]}], file("a.txt"), None, ("take", "r0")),
        ([{"mime": "image/*"}], file("a.txt"), None, ("take", None)),
        ([{"mime": "image/*"}], file("a"), None, ("read", "r0")),  # nothing promises a kind
        ([{"mime": "image/*"}], file("a"), PHOTO, ("take", "r0")),
        ([{"mime": "image/*"}], file("a"), FILM, ("take", None)),
        ([{"mime": "image/*"}], file("a.jpg"), FILM, ("take", None)),  # facts beat the name
        # the first that fits, and all that a rule says must fit
        ([{"path": "a*", "skip": "no"}, {"path": "a.jpg"}], file("a.jpg"), None, ("skip", "r0")),
        ([{"path": "a*", "max_size": 5}, {"source": "cam"}], file("a"), None, ("take", "r1")),
        # conditions
        ([{"where": "size > 50"}], file("a"), None, ("take", "r0")),
        ([{"where": "width > 640"}], file("a.jpg"), None, ("read", "r0")),
        ([{"where": "width > 640"}], file("a.jpg"), WIDE, ("take", "r0")),
        ([{"where": "width > 640"}], file("a.jpg"), PHOTO, ("take", None)),
        ([{"where": "width > 640"}], file("a.jpg"), BROKEN, ("take", None)),  # null is not true
        ([{"where": "not width > 640"}], file("a.jpg"), BROKEN, ("take", None)),
        ([{"where": "width is null"}], file("a.jpg"), BROKEN, ("take", "r0")),
        # a rule before the first that surely fits may ask for a look inside; one after it never
        ([{"where": "width > 9"}, {"path": "a.jpg"}], file("a.jpg"), None, ("read", "r0")),
        ([{"path": "a.jpg"}, {"where": "width > 9"}], file("a.jpg"), None, ("take", "r0")),
        ([{"path": "b*", "where": "width > 9"}, {}], file("a.jpg"), None, ("take", "r1")),
        ([{"mime": "video/*", "where": "width > 9"}], file("a.jpg"), None, ("take", None)),
        ([{"mime": "video/*", "where": "size > 999"}], file("a"), None, ("take", None)),
        ([{"mime": "video/*", "where": "size = 100"}], file("a"), None, ("read", "r0")),
    ],
)
def test_the_first_rule_that_fits_decides(
    rules: list[dict[str, Any]],
    asked: SourceFile,
    facts: MediaFacts | None,
    decided: tuple[str, str | None],
) -> None:
    assert said(router(*rules).route(asked, facts)) == decided


def test_a_decision_says_where_a_file_goes_and_why() -> None:
    route = router(
        {"path": "*.tmp", "skip": "half-written"},
        {"path": "*.mp4", "to": "b2://video/x", "prefix": "film/", "protect": {"lock_days": 30}},
    ).route
    assert route(file("a.tmp")) == Decision("skip", "r0", reason="half-written")
    assert route(file("a.mp4")) == Decision(
        "take", "r1", "b2://video/x", "film", Protection(lock="governance", lock_days=30)
    )


@pytest.mark.parametrize("unmatched", ["home", "skip", "fail"])
def test_files_that_no_rule_takes_go_where_the_spec_says(unmatched: str) -> None:
    decision = router({"path": "*.mp4"}, unmatched=unmatched).route(file("a.jpg"))
    assert said(decision) == ("take" if unmatched == "home" else unmatched, None)
    assert (decision.reason is None) == (unmatched == "home")


def test_without_rules_all_goes_home() -> None:
    assert Router(TransferSpec()).route(file("a")) == HOME


def test_no_file_stays_undecided_once_it_is_read() -> None:
    route = router({"where": "width > 9 and pages is null"}, {"mime": "audio/*"}).route
    for facts in (PHOTO, WIDE, BROKEN, FILM):
        assert route(file("a"), facts).action == "take"


def spec(**rule: Any) -> dict[str, Any]:
    routes = [{"name": "r", **rule}]
    return {
        "name": "d",
        "home": "h",
        "media": MEDIA,
        "transfer": {"routes": routes, "unmatched": "home"},
    }


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        (
            {"where": "wdth > 5"},
            "transfer.routes.0.where: found 'wdth > 5'; where 'wdth > 5': wdth",
        ),
        ({"where": "sleep(9) = 1"}, "no value that rules know"),
        ({"source": "kam"}, "rule 'r' asks for the source 'kam'"),
        ({"mime": "video"}, "'video' is no mime type"),
        ({"min_size": 9, "max_size": 5}, "max_size is below min_size"),
        ({"prefix": "../x"}, "no leading /, no . or .."),
        ({"prefix": "/x"}, "no leading /, no . or .."),
    ],
)
def test_a_rule_that_cannot_work_is_refused_when_the_spec_is_read(
    rule: dict[str, Any], says: str, tmp_path: Path
) -> None:
    with pytest.raises(SpecError) as caught:
        parse_spec(spec(**rule), folder=tmp_path)
    assert says in str(caught.value)


def test_a_folder_that_a_rule_names_is_taken_from_the_spec_s_own(tmp_path: Path) -> None:
    found = parse_spec(spec(path="*", to="archive"), folder=tmp_path)
    assert found.transfer.routes[0].to == str(tmp_path / "archive")
    assert parse_spec(spec(to="b2://x/y"), folder=tmp_path).transfer.routes[0].to == "b2://x/y"
