"""A ledger in PostgreSQL: who may use it, what happens when it goes away, what is never said."""

from __future__ import annotations

import pickle
import subprocess
import sys
import threading
import traceback
from pathlib import Path

import psycopg
import pytest
from ledger_files import ELSEWHERE, file, sent
from services.postgres import PASSWORD, Postgres

from trainset.errors import AccessDenied, InputError, NotFound, TrainsetError, TransientError
from trainset.transfer.ledger import SqliteLedger, open_ledger
from trainset.transfer.ledger.postgres import PostgresLedger


def secret_free(error: BaseException) -> str:
    """The error's text; it and its whole story hold no password."""
    story = "".join(traceback.format_exception(error))
    for secret in (PASSWORD, PASSWORD.replace("@", "%40").replace("/", "%2F"), "cr@t", "cr%40t"):
        assert secret not in story
        assert secret.encode() not in pickle.dumps(error)
    return str(error)


def refused(url: str, kind: type[TrainsetError]) -> str:
    with pytest.raises(kind) as caught:
        PostgresLedger(url, "home")
    return secret_free(caught.value)


def test_a_wrong_password_is_denied_and_not_repeated_to_anyone(postgres: Postgres) -> None:
    text = refused(postgres.url(password=PASSWORD + "x"), AccessDenied)
    assert f"127.0.0.1:{postgres.port}" in text
    assert "check user and password" in text


def test_a_database_that_is_not_there_is_named(postgres: Postgres) -> None:
    assert "nowhere" in refused(postgres.url("nowhere"), NotFound)


def test_a_server_that_is_not_there_is_a_passing_fault(postgres: Postgres) -> None:
    url = postgres.url().replace(f":{postgres.port}/", ":1/")
    assert "127.0.0.1:1" in refused(url, TransientError)


def test_a_url_that_cannot_be_read_is_not_quoted() -> None:
    for url in (f"postgresql://u:%zz{PASSWORD}@h/db", f"postgresql://u:p@h/db?{PASSWORD}=1"):
        assert "% codes" in refused(url, InputError)
    with pytest.raises(InputError) as caught:
        open_ledger(Path("none"), "home", url=f"mysql://u:{PASSWORD}@h/db")
    assert "mysql" in secret_free(caught.value)


def test_a_user_without_rights_is_told_what_is_missing(postgres: Postgres) -> None:
    url = postgres.new_database()
    with psycopg.connect(url, autocommit=True) as db:
        db.execute("CREATE USER guest PASSWORD 'guest'")
    try:
        name = url.rpartition("/")[2]
        text = refused(postgres.url(name, user="guest", password="guest"), AccessDenied)
        assert "create a schema" in text
    finally:
        with psycopg.connect(url, autocommit=True) as db:
            db.execute("DROP USER guest")


def test_a_newer_layout_is_refused_and_left_alone(postgres: Postgres) -> None:
    url = postgres.new_database()
    PostgresLedger(url, "home").close()
    with psycopg.connect(url, autocommit=True) as db:
        db.execute("UPDATE trainset_ledger.layout SET number = 99")
    assert "layout 99" in refused(url, InputError)


def test_many_hosts_may_open_an_empty_database_at_once(postgres: Postgres) -> None:
    url = postgres.new_database()
    found: list[object] = []

    def work() -> None:
        try:
            with PostgresLedger(url, "home") as ledger:
                found.append(ledger.home)
        except TrainsetError as err:
            found.append(err)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert found == [found[0]] * 6
    assert isinstance(found[0], int)


def test_homes_in_one_database_know_nothing_of_each_other(postgres: Postgres) -> None:
    url = postgres.new_database()
    with PostgresLedger(url, "one") as one, PostgresLedger(url, "two") as two:
        one.record(sent("a"))
        one.flush()
        one.claim([file("b")], owner=ELSEWHERE + "1")
        assert one.hold_content("1" * 64, owner=ELSEWHERE + "1")
        assert two.find(file("a")) is None
        assert two.claim([file("b")], owner=ELSEWHERE + "2")[0].mine
        assert two.hold_content("1" * 64, owner=ELSEWHERE + "2")
        assert two.find_content("ab" * 32) is None
    with PostgresLedger(url, "one") as one, PostgresLedger(url, "three") as three:
        assert (one.is_new, three.is_new) == (False, True)


def test_the_ledger_outlives_a_restart_of_the_server(postgres: Postgres) -> None:
    own = Postgres(postgres.programs)
    try:
        with PostgresLedger(own.url(), "home") as ledger:
            ledger.record(sent("a"))
            ledger.flush()
            own.end()
            ledger.record(sent("b"))
            with pytest.raises(TransientError) as caught:
                ledger.flush()
            secret_free(caught.value)
            own.begin()
            assert ledger.find(file("a")) is not None
            assert ledger.find(file("b")) is not None  # what could not be written still waited
            own.end()
            own.begin()
            assert ledger.claim([file("c")], owner=ELSEWHERE + "1")[0].mine  # over a new connection
    finally:
        own.stop()


def test_the_ledger_of_the_environment_is_used(
    postgres: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_ledger(tmp_path, "home") as ledger:
        assert isinstance(ledger, SqliteLedger)
        assert ledger.path == tmp_path / "ledger.sqlite"
    monkeypatch.setenv("TRAINSET_LEDGER", postgres.url())
    with open_ledger(tmp_path, "home") as ledger:
        assert isinstance(ledger, PostgresLedger)
        assert PASSWORD not in repr(ledger)
        assert PASSWORD not in repr(ledger.session)


def test_without_the_extra_the_error_says_how_to_get_it() -> None:
    program = (
        "import sys\n"
        "sys.modules['psycopg'] = None\n"
        "from pathlib import Path\n"
        "from trainset.errors import MissingExtra\n"
        "from trainset.transfer.ledger import open_ledger\n"
        "try:\n"
        "    open_ledger(Path('x'), 'home', url='postgresql://h/db')\n"
        "except MissingExtra as err:\n"
        "    print(err)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert "pip install 'trainset[sql]'" in done.stdout
