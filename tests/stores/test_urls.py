"""Keys of URLs, and what of a URL may be shown."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainset.errors import InputError
from trainset.stores.keys import check_key
from trainset.stores.urls import has_secret, parse_url, safe_text, safe_url

HASH = r"~[0-9a-f]{16}"
ODD = st.text(
    st.sampled_from(string.ascii_letters + "0123456789-._~!$&'()*+,;=:@/ %\\\"<>éü日\x07\x00"),
    max_size=40,
)
ESCAPED = st.text(st.sampled_from("aB/.~%2fF "), max_size=30)


def key(url: str) -> str:
    return parse_url(url).key


def test_a_plain_url_is_its_own_key() -> None:
    assert key("https://Example.org/a/b.jpg") == "example.org/a/b.jpg"
    assert key("http://example.org:8080/a%20b/%C3%BC.jpg") == "example.org:8080/a b/ü.jpg"
    assert key("https://example.org:443/a.jpg#top") == "example.org/a.jpg"
    assert key("https://example.org/a/./x/../b.jpg") == "example.org/a/b.jpg"


@pytest.mark.parametrize(
    ("url", "start", "end"),
    [
        ("https://h/img.jpg?w=1", "h/img~", ".jpg"),
        ("https://h/img?id=7", "h/img~", ""),
        ("https://h/", "h/index~", ""),
        ("https://h", "h/index~", ""),
        ("https://h/a%2Fb.jpg", "h/a_b~", ".jpg"),
        ("https://h/.well-known/x.png", "h/_well-known/x~", ".png"),
        ("https://h/a//b.gif", "h/a/_/b~", ".gif"),
        ("https://h/%00%0A.jpg", "h/__~", ".jpg"),
        ("https://h/" + "é" * 900 + ".jpg", "h/é", ".jpg"),
    ],
)
def test_what_would_not_be_unique_gets_a_hash_before_its_extension(
    url: str, start: str, end: str
) -> None:
    found = key(url)
    assert found.startswith(start)
    assert found.endswith(end)
    assert len(found.removesuffix(end).rpartition("~")[2]) == 16
    assert found == key(url)


def test_other_queries_give_other_keys_and_other_signatures_the_same() -> None:
    assert key("https://h/i?id=1") != key("https://h/i?id=2")
    signed = "https://h/i.jpg?X-Amz-Date={0}&X-Amz-Signature={0}&X-Amz-Expires=9"
    assert key(signed.format("1")) == key(signed.format("2")) == "h/i.jpg"
    sas = "https://h/i.jpg?sv=2024&se={0}&sr=b&sp=r&sig={0}&v=1"
    assert key(sas.format("1")) == key(sas.format("2"))
    assert key(sas.format("1")) != key("https://h/i.jpg")


def test_scheme_and_user_do_not_count() -> None:
    assert key("http://u:p@h/a.jpg") == key("https://h/a.jpg") == "h/a.jpg"
    assert parse_url("http://u:p%40@h/a.jpg").auth == "u:p@"
    assert "u" not in parse_url("http://u:p@h/a.jpg").request.split("//")[1]


@pytest.mark.parametrize(
    "text",
    ["", "a.jpg", "file:///etc/passwd", "ftp://h/a", "http://", "http://h:x/a", "http://[::1/a",
     "http://../a", "http://h /a", "https://\udcff/a", "//h/a"],
)  # fmt: skip
def test_what_is_no_web_url_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="URL"):
        parse_url(text)


@given(ODD, ODD)
def test_every_url_has_a_valid_key_that_is_not_hidden(path: str, query: str) -> None:
    url = f"https://h/{path}?{query}"
    found = check_key(key(url))
    assert found == key(url)
    assert not any(name.startswith(".") or not name for name in found.split("/"))


@given(st.lists(ESCAPED, min_size=2, max_size=2), st.booleans())
def test_two_urls_have_one_key_only_when_they_ask_for_one_thing(
    paths: list[str], as_query: bool
) -> None:
    urls = [parse_url(f"https://h/a{'?' if as_query else '/'}{path}") for path in paths]
    asked = [url.request.rstrip("&") if as_query else url.request for url in urls]
    if asked[0] != asked[1]:
        assert urls[0].key != urls[1].key
    else:
        assert urls[0].key == urls[1].key


@given(ODD.filter(lambda path: "?" not in path))
def test_asking_for_the_normal_form_asks_for_the_same(path: str) -> None:
    once = parse_url(f"https://h/{path}")
    again = parse_url(once.request)
    assert (again.request, again.key) == (once.request, once.key)


def test_no_secret_of_a_url_is_shown() -> None:
    url = "https://me:pass@h/a.jpg?w=3&X-Amz-Signature=abc&api_key=k1&token=t#x"
    assert safe_url(url) == "https://h/a.jpg?w=3&X-Amz-Signature=***&api_key=***&token=***"
    assert safe_url("simplecache::sftp://me:pass@h/a") == "simplecache::sftp://h/a"
    assert safe_text(f"no {url}&sig=x, or so") .count("***") >= 3  # fmt: skip
    assert "pass" not in safe_text(f"cannot open {url}")
    assert has_secret(url)
    assert has_secret("sftp://me:pass@h/a")
    assert not has_secret("sftp://me@h/a?w=3")
    assert not has_secret("/data/a:b@c")
