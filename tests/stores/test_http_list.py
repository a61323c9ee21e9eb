"""Lists of URLs over a real web server."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr
from services.web import Web, WebFile

from trainset.errors import AccessDenied, InputError, NotFound, SourceChanged, TransientError
from trainset.model import Credentials
from trainset.stores import open_source
from trainset.stores.http_client import HttpClient
from trainset.stores.http_list import HttpListStore
from trainset.stores.retry import Retrier
from trainset.stores.tree_walk import Watch

BIG = random.Random(3).randbytes(3 * 2**20 + 5)


class Told:
    """What a walk said of what it left out."""

    def __init__(self) -> None:
        self.unreadable: dict[str, str] = {}
        self.refused: list[tuple[str, str, str]] = []
        self.watch = Watch(
            unreadable=self.unreadable.__setitem__,
            refused=lambda *told: self.refused.append(told),
        )


@pytest.fixture
def web() -> Iterator[Web]:
    server = Web()
    yield server
    server.stop()


def quick() -> Retrier:
    return Retrier(attempts=3, base_s=0.001, cap_s=0.01, throttle_s=5)


def listed(folder: Path, *lines: str) -> HttpListStore:
    (folder / "urls.txt").write_text("# media\n\n" + "\n".join(lines) + "\n", encoding="utf-8")
    return HttpListStore(str(folder / "urls.txt"), client=HttpClient(retrier=quick))


def test_files_are_listed_in_key_order_without_their_bytes(web: Web, tmp_path: Path) -> None:
    names = [f"/{n:03}.jpg" for n in range(150)]
    web.files = {name: WebFile(name.encode()) for name in names}
    shuffled = random.Random(1).sample(names, len(names))
    store = listed(tmp_path, *(web.url + name for name in shuffled))
    infos = list(store.list())
    assert [i.key for i in infos] == [f"{web.host}{name}" for name in names]
    assert {i.size for i in infos} == {8}
    assert infos[0].version == hashlib.md5(b"/000.jpg").hexdigest()
    assert infos[0].modified.timestamp() == 1_700_000_000
    assert web.counts == {"HEAD": 150}
    assert [i.key for i in store.list(f"{web.host}/00", start_after=infos[7].key)] == [
        infos[8].key,
        infos[9].key,
    ]


def test_a_file_comes_whole_in_ranges_and_as_a_stream(web: Web, tmp_path: Path) -> None:
    web.files = {"/big": WebFile(BIG), "/flat": WebFile(BIG, ranges=False), "/empty": WebFile()}
    store = listed(tmp_path, *(web.url + path for path in web.files))
    for name in ("big", "flat"):
        key = f"{web.host}/{name}"
        assert store.get(key) == BIG
        assert store.get(key, start=5, length=7) == BIG[5:12]
        assert store.get(key, start=len(BIG) - 2) == BIG[-2:]
        assert store.get(key, length=0) == b""
        store.fetch_file(key, tmp_path / "deep" / name)
        assert (tmp_path / "deep" / name).read_bytes() == BIG
    assert store.get(f"{web.host}/big", start=len(BIG)) == b""
    assert store.get(f"{web.host}/empty") == b""
    assert store.head(f"{web.host}/empty").size == 0  # type: ignore[union-attr]
    with pytest.raises(NotFound, match="not in the list"):
        store.get("h/other.jpg")


@pytest.mark.parametrize("ranges", [True, False])
def test_a_broken_stream_goes_on_where_it_broke(web: Web, tmp_path: Path, ranges: bool) -> None:
    web.files = {"/big": WebFile(BIG, ranges=ranges, cut=2 * 2**20)}
    store = listed(tmp_path, f"{web.url}/big")
    with store.open(f"{web.host}/big") as handle:
        assert handle.read() == BIG
    assert [a.headers.get("range") for a in web.asked][1:] == ["bytes=2097152-"]


@pytest.mark.parametrize("etag", ["md5", None])
def test_a_stream_never_mixes_two_versions(web: Web, tmp_path: Path, etag: str | None) -> None:
    web.files = {"/big": WebFile(BIG, etag=etag, modified=None, cut=2 * 2**20)}
    store = listed(tmp_path, f"{web.url}/big")
    with store.open(f"{web.host}/big") as handle:
        handle.read(10)
        web.files["/big"].data = bytes(len(BIG))
        with pytest.raises(SourceChanged):
            handle.read()


@pytest.mark.parametrize("status", [405, 501, 403])
def test_a_server_that_refuses_head_is_asked_for_one_byte(
    web: Web, tmp_path: Path, status: int
) -> None:
    web.files = {f"/{n}": WebFile(b"abc", head=status) for n in range(40)}
    web.files["/empty"] = WebFile(b"", head=status)
    store = listed(tmp_path, *(web.url + path for path in web.files))
    assert sorted({(i.size) for i in store.list()}) == [0, 3]
    gets = [a for a in web.asked if a.method == "GET"]
    assert {a.headers["range"] for a in gets} == {"bytes=0-0"}
    assert len(gets) == 41
    if status != 403:  # which may be of one file only
        assert web.counts["HEAD"] < 41


def test_a_file_of_unknown_length_is_read_to_know_it(web: Web, tmp_path: Path) -> None:
    web.files = {"/a": WebFile(b"abc", length=False, etag=None, modified=None, ranges=False)}
    store = listed(tmp_path, f"{web.url}/a")
    (info,) = store.list()
    assert (info.size, info.version) == (3, "sha256-" + hashlib.sha256(b"abc").hexdigest())
    assert store.get(info.key) == b"abc"
    with store.open(info.key) as handle:
        assert handle.read() == b"abc"


def test_without_any_validator_the_size_is_the_version(web: Web, tmp_path: Path) -> None:
    web.files = {
        "/a": WebFile(b"abc", etag=None, modified=None),
        "/b": WebFile(b"abc", etag=None),
        "/c": WebFile(b"abc", etag='W/"1"'),
    }
    store = listed(tmp_path, *(web.url + path for path in web.files))
    assert [i.version for i in store.list()] == ["size-3", "1700000000", 'W/"1"']


def test_what_is_gone_is_refused_and_what_fails_now_is_unreadable(web: Web, tmp_path: Path) -> None:
    down = [(500, {})] * 9
    web.files = {
        "/ok": WebFile(b"x"),
        "/gone": WebFile(replies=[(410, {})] * 9),
        "/down": WebFile(b"x", replies=down),
        "/login": WebFile(b"x", replies=[(401, {})] * 9),
        "/later": WebFile(b"x", replies=[(503, {"Retry-After": "86400"})] * 9),
    }
    store = listed(tmp_path, *(web.url + path for path in [*web.files, "/never"]))
    told = Told()
    assert [i.key for i in store.walk(watch=told.watch)] == [f"{web.host}/ok"]
    assert [(key, kind) for key, kind, _ in told.refused] == [
        (f"{web.host}/gone", "not-found"),
        (f"{web.host}/never", "not-found"),
    ]
    assert set(told.unreadable) == {f"{web.host}/{n}" for n in ("down", "login", "later")}
    assert "86400 s" in told.unreadable[f"{web.host}/later"]
    assert len([a for a in web.asked if a.path == "/later"]) == 1
    assert store.head(f"{web.host}/never") is None
    with pytest.raises(NotFound):
        store.get(f"{web.host}/never")
    with pytest.raises(AccessDenied, match="401"):
        store.get(f"{web.host}/login")


def test_without_a_hook_a_url_that_does_not_answer_ends_the_listing(
    web: Web, tmp_path: Path
) -> None:
    web.files = {"/down": WebFile(replies=[(502, {})] * 9)}
    with pytest.raises(TransientError, match="502"):
        list(listed(tmp_path, f"{web.url}/down").list())


def test_a_host_that_is_not_there_is_given_up_as_a_whole(web: Web, tmp_path: Path) -> None:
    web.files = {"/ok": WebFile(b"x")}
    port = Web()
    port.stop()
    dead = [f"{port.url}/{n:03}.jpg" for n in range(300)]
    store = listed(tmp_path, *dead, f"{web.url}/ok")
    told = Told()
    assert [i.key for i in store.walk(watch=told.watch)] == [f"{web.host}/ok"]
    assert set(told.unreadable) == {
        f"{port.host}/",
        *(f"{port.host}/{n:03}.jpg" for n in range(4)),
    }


def test_throttling_is_waited_out_as_the_server_says(web: Web, tmp_path: Path) -> None:
    busy = [(429, {"Retry-After": "0"}), (503, {"Retry-After": "0"})]
    web.files = {f"/{n}": WebFile(b"abc", replies=busy * 3) for n in range(5)}
    store = listed(tmp_path, *(web.url + path for path in web.files))
    assert len(list(store.list())) == 5  # six refusals each, more than the attempts
    assert store.get(f"{web.host}/0") == b"abc"


def test_redirects_are_followed_ten_times_and_to_web_urls_only(web: Web, tmp_path: Path) -> None:
    web.files = {f"/r{n}": WebFile(redirect=f"/r{n + 1}") for n in range(10)}
    web.files |= {
        "/r10": WebFile(b"there"),
        "/long": WebFile(redirect="/r0"),
        "/file": WebFile(redirect="file:///etc/passwd"),
    }
    store = listed(tmp_path, *(web.url + path for path in ("/r0", "/long", "/file")))
    assert store.get(f"{web.host}/r0") == b"there"
    assert store.head(f"{web.host}/r0").size == 5  # type: ignore[union-attr]
    with pytest.raises(InputError, match="10 times"):
        store.get(f"{web.host}/long")
    with pytest.raises(InputError, match="only http"):
        store.get(f"{web.host}/file")


def test_a_host_gets_nothing_but_what_its_url_says(web: Web, tmp_path: Path) -> None:
    other = Web()
    other.files = {"/a": WebFile(b"x")}
    web.files = {"/open": WebFile(b"x"), "/login": WebFile(redirect=f"{other.url}/a")}
    (tmp_path / "urls.txt").write_text(
        f"{web.url}/open\n{web.url.replace('//', '//me:word@')}/login\n"
    )
    keys = Credentials(
        key_id="KEYID", application_key=SecretStr("KEYSECRET"), endpoint="https://s3.x.test"
    )
    store = open_source(str(tmp_path / "urls.txt"), keys)
    assert len(list(store.list())) == 2
    assert store.get(f"{web.host}/login") == b"x"
    everything = repr(web.asked) + repr(other.asked)
    assert "KEYID" not in everything
    assert "KEYSECRET" not in everything
    sent = {a.path: a.headers.get("authorization") for a in web.asked}
    assert sent == {"/open": None, "/login": "Basic bWU6d29yZA=="}
    assert [a.headers.get("authorization") for a in other.asked] == [None, None]
    assert web.asked[0].headers["user-agent"].startswith("trainset/")
    other.stop()


def test_no_text_shows_a_secret_of_a_url(web: Web, tmp_path: Path) -> None:
    url = f"{web.url.replace('//', '//me:word@')}/a.jpg?token=hidden&w=1"
    store = listed(tmp_path, url, url, "http://me:word@h:port/?token=hidden")
    told = Told()
    list(store.walk(watch=told.watch))
    (tmp_path / "urls.txt").write_text(url)
    shown = [repr(told.refused), store.uri(told.refused[-1][0])]
    with pytest.raises(NotFound) as caught:
        store.get(told.refused[-1][0])
    shown.append(str(caught.value))
    assert [kind for _, kind, _ in told.refused] == ["bad-url", "duplicate-url", "not-found"]
    assert not [text for text in shown if "word" in text or "hidden" in text]
    assert "w=1" in shown[1]


def test_a_list_may_lie_on_a_web_server_and_is_fetched_again_when_it_changed(web: Web) -> None:
    web.files = {
        "/list.csv": WebFile(f"id,Image_URL\n1,{web.url}/a.jpg\n2,\n".encode()),
        "/a.jpg": WebFile(b"a"),
        "/b.jpg": WebFile(b"b"),
    }
    told = Told()
    store = open_source(f"{web.url}/list.csv")
    assert [i.key for i in store.walk(watch=told.watch)] == [f"{web.host}/a.jpg"]  # type: ignore[attr-defined]
    assert [(name, kind) for name, kind, _ in told.refused] == [("list.csv:3", "bad-url")]
    assert open_source(f"{web.url}/list.csv").get(f"{web.host}/a.jpg") == b"a"
    fetched = [a for a in web.asked if a.path == "/list.csv" and a.method == "GET"]
    assert len(fetched) == 1
    web.files["/list.csv"] = WebFile(f"url\n{web.url}/b.jpg\n".encode())
    assert [i.key for i in open_source(f"{web.url}/list.csv").list()] == [f"{web.host}/b.jpg"]


def test_what_is_not_wanted_is_not_asked_for(web: Web, tmp_path: Path) -> None:
    web.files = {"/a.jpg": WebFile(b"a"), "/b.txt": WebFile(b"b")}
    store = listed(tmp_path, *(web.url + path for path in web.files))
    watch = Watch(takes=lambda key: key.endswith(".jpg"))
    assert [i.key for i in store.walk(watch=watch)] == [f"{web.host}/a.jpg"]
    assert [a.path for a in web.asked] == ["/a.jpg"]
