"""Installing a connector: from a folder of packages, without network, into a place of its own."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

import pytest

from flows.__main__ import main
from flows.doctor_connectors import connector_checks
from trainset.errors import InputError, NotFound
from trainset.metadata.airbyte import install, open_airbyte
from trainset.metadata.airbyte.environments import Wanted, find_connector
from trainset.metadata.airbyte.install import install_connector
from trainset.spec import parse_spec

CODE = """
import json, sys
SPEC = {"type": "object", "properties": {"token": {"type": "string", "airbyte_secret": True}}}
def main():
    say = {
        "spec": {"type": "SPEC", "spec": {"connectionSpecification": SPEC}},
        "check": {"type": "CONNECTION_STATUS", "connectionStatus": {"status": "SUCCEEDED"}},
        "discover": {"type": "CATALOG", "catalog": {"streams": [
            {"name": sys.prefix, "json_schema": {}, "supported_sync_modes": ["full_refresh"]}]}},
    }
    print(json.dumps(say[sys.argv[1]]))
"""


def _wheel(folder: Path, version: str, *, program: str = "source-tiny") -> None:
    """A package ``airbyte-source-tiny`` as a registry would have it."""
    folder.mkdir(exist_ok=True)
    info = f"airbyte_source_tiny-{version}.dist-info"
    files = {
        "source_tiny.py": CODE,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: airbyte-source-tiny\nVersion: {version}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": f"[console_scripts]\n{program} = source_tiny:main\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{name},,\n" for name in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(folder / f"airbyte_source_tiny-{version}-py3-none-any.whl", "w") as wheel:
        for name, text in files.items():
            wheel.writestr(name, text)


@pytest.mark.parametrize("by", ["uv", "pip"])
def test_a_connector_has_an_environment_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    if by == "pip":
        monkeypatch.setattr(install, "_uv", lambda: None)
    _wheel(tmp_path / "wheels", "1.2.0")
    said: list[str] = []
    note = install_connector(
        "source-tiny==1.2.0", wheels=tmp_path / "wheels", folder=tmp_path / "c", say=said.append
    )
    assert (note.name, note.version) == ("source-tiny", "1.2.0")
    assert said[0].startswith("installing source-tiny==1.2.0")
    assert said[-1] == "source-tiny 1.2.0 is ready"
    reader = open_airbyte("source-tiny==1.2.0", folder=tmp_path / "c")
    reader.check()
    (stream,) = reader.discover()
    assert stream.name == str(tmp_path / "c" / "source-tiny==1.2.0")
    assert stream.name != sys.prefix
    assert "token" in reader.spec()["properties"]["config"]["properties"]


def test_what_is_installed_is_not_installed_again_and_what_is_half_is(tmp_path: Path) -> None:
    wheels, folder = tmp_path / "wheels", tmp_path / "c"
    _wheel(wheels, "1.2.0")
    half = folder / "source-tiny" / "bin"
    half.mkdir(parents=True)
    (half / "source-tiny").write_text("what a killed try left")
    with pytest.raises(NotFound):
        find_connector(folder, Wanted.parse("source-tiny"))
    assert install_connector("source-tiny", wheels=wheels, folder=folder).version == "1.2.0"
    said: list[str] = []
    _wheel(wheels, "1.3.0")
    install_connector("source-tiny", wheels=wheels, folder=folder, say=said.append)
    assert said == [f"source-tiny 1.2.0 is installed in {folder / 'source-tiny'}"]
    install_connector("source-tiny==1.3.0", wheels=wheels, folder=folder)
    found = {w: find_connector(folder, Wanted.parse(w))[1].version for w in ("source-tiny",)}
    assert found == {"source-tiny": "1.3.0"}
    assert find_connector(folder, Wanted.parse("source-tiny==1.2.0"))[1].version == "1.2.0"


def test_a_package_that_is_not_there_says_how_to_place_it(tmp_path: Path) -> None:
    _wheel(tmp_path / "wheels", "1.2.0")
    with pytest.raises(InputError, match=r"pip download airbyte-source-tiny -d wheels") as found:
        install_connector(
            "source-tiny==9.9",
            wheels=tmp_path / "wheels",
            folder=tmp_path / "c",
            say=lambda _: None,
        )
    assert "--wheels wheels" in str(found.value)
    _wheel(tmp_path / "odd", "1.2.0", program="something-else")
    with pytest.raises(InputError, match="brings no program 'source-tiny'"):
        install_connector("source-tiny", wheels=tmp_path / "odd", folder=tmp_path / "d")
    with pytest.raises(NotFound):
        find_connector(tmp_path / "d", Wanted.parse("source-tiny"))


def test_the_command_and_the_doctor_know_the_same_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TRAINSET_CONNECTORS", str(tmp_path / "c"))
    _wheel(tmp_path / "wheels", "1.2.0")
    spec = parse_spec(
        {
            "name": "x",
            "home": "home",
            "media": [{"name": "m", "from": "media"}],
            "metadata": [
                {"name": "a", "from": {"airbyte": "source-tiny==1.2.0"}, "stream": "s"},
                {"name": "b", "from": {"airbyte": "gone.yaml"}, "stream": "s"},
            ],
        },
        folder=tmp_path,
    )
    variables = {"TRAINSET_CONNECTORS": str(tmp_path / "c")}
    tiny, gone, cdk = connector_checks(spec, variables)
    assert (tiny.state, gone.state, cdk.state) == ("fail", "fail", "fail")
    assert tiny.fix == "run: python -m flows install-connector source-tiny==1.2.0"
    arguments = ["install-connector", "source-tiny==1.2.0", "--wheels", str(tmp_path / "wheels")]
    assert main(arguments) == 0
    assert "source-tiny 1.2.0 is ready" in capsys.readouterr().out
    assert connector_checks(spec, variables)[0].state == "ok"
