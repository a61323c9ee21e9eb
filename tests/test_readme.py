"""README.md does not lie: every command and program in it is run here, or by CI."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import yaml
from PIL import Image
from services.lakefs import lakefs_server
from services.s3_endpoint import S3Bucket

from trainset.spec import load_spec

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
BIN = Path(sys.executable).parent

# How each command of README is executed.
HOME, PICTURES, BUCKET, LAKEFS, UI, SERVE, SHELL, CI = (
    "on a copy of the demo's home",
    "on a folder of pictures",
    "as the bucket block",
    "as the lakeFS block",
    "test_the_ui_opens",
    "test_flows_are_served",
    "test_activating",
    "by .ci/run",
)
HOW = {
    "make demo": BUCKET,
    "make doctor": BUCKET,
    "export B2_KEY_ID=…": BUCKET,
    "export B2_APPLICATION_KEY=…": BUCKET,
    "export TRAINSET_S3_ENDPOINT=https://s3.us-west-004.backblazeb2.com": BUCKET,
    "export OUT=b2://my-bucket/demo": BUCKET,
    "export LAKEFS_ENDPOINT=https://lakefs.example.com": LAKEFS,
    "export LAKEFS_ACCESS_KEY_ID=…": LAKEFS,
    "export LAKEFS_SECRET_ACCESS_KEY=…": LAKEFS,
    "export LAKEFS_STORAGE_NAMESPACE=s3://my-bucket/lakefs": LAKEFS,
    "make demo OUT=b2://my-bucket/demo VERSIONS=lakefs": LAKEFS,
    "make demo SOURCE=~/Pictures OUT=out/pictures DRY_RUN=1": PICTURES,
    "make demo SOURCE=~/Pictures OUT=out/pictures": PICTURES,
    ". .venv/bin/activate": SHELL,
    "make ui": UI,
    "python -m flows --help": HOME,
    "python -m flows pipeline out/demo/dataset.yaml --dry-run": HOME,
    "python -m flows pipeline out/demo/dataset.yaml": HOME,
    "python -m flows plan-transfer out/demo/dataset.yaml": HOME,
    "python -m flows transfer-media out/demo/dataset.yaml": HOME,
    "python -m flows transfer-media out/demo/dataset.yaml --retry-dead": HOME,
    "python -m flows replay out/demo/dataset.yaml --from read --where true": HOME,
    "python -m flows verify-transfer out/demo/dataset.yaml --dry-run": HOME,
    "python -m flows verify-transfer out/demo/dataset.yaml --level L3": HOME,
    "python -m flows sync-metadata out/demo/dataset.yaml": HOME,
    "python -m flows build-tables out/demo/dataset.yaml": HOME,
    "python -m flows compute-columns out/demo/dataset.yaml --retry-failed": HOME,
    "python -m flows export-dataset out/demo/dataset.yaml --ref v1": HOME,
    "python -m flows approve --help": HOME,
    "python -m flows collect-garbage out/demo/dataset.yaml": HOME,
    "python -m flows doctor --home out/demo": HOME,
    "python -m flows register-blocks": HOME,
    "trainset query out/demo --where \"modality = 'image' and width >= 640\"": HOME,
    "trainset query out/demo --table annotations --limit 5 --format csv": HOME,
    'trainset search out/demo "a red circle" -k 5': HOME,
    "trainset log out/demo": HOME,
    "trainset show out/demo --ref v1": HOME,
    "trainset diff out/demo v1 main --format json": HOME,
    "trainset diff out/demo v1 main --table media": HOME,
    "trainset diff out/demo v1 main --out out/diff.html": HOME,
    "trainset verify out/demo": HOME,
    "trainset dead-letters out/demo": HOME,
    "prefect server start": SERVE,
    "prefect concurrency-limit create b2-upload 4": SERVE,
    'python -m deployments.serve dataset.yaml --cron "0 3 * * *"': SERVE,
    "python -m flows install-connector source-faker==7.2.1 airbyte-cdk==6.61.6 dlt==1.31.0": CI,
    "make test": CI,
    "make lint": CI,
    ".ci/run": CI,
}


def _blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


def _commands() -> list[str]:
    lines = [line for block in _blocks("sh") for line in block.splitlines()]
    return [re.split(r"\s{2,}#", line)[0].strip() for line in lines if line.strip()]


def _of(how: str) -> list[str]:
    """Commands executed in this way, in README's order, each once."""
    return [command for command in dict.fromkeys(_commands()) if HOW.get(command) == how]


def test_every_command_has_its_way_of_being_executed() -> None:
    assert set(_commands()) == set(HOW)


def _environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", **more}


def _shell(
    command: str, cwd: Path, *, accept: Sequence[int] = (0, 3), **environment: str
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        ["bash", "-c", f"set -e\n{_make_here(command)}"],
        cwd=cwd,
        env=_environment(**environment),
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode in accept, f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-5000:]}"
    return done


def _make_here(command: str) -> str:
    """``make`` of this checkout, run from any folder, without setting up what is set up."""
    ours = f"make --no-print-directory -f {ROOT / 'Makefile'} -o .venv/.stamp PY={sys.executable}"
    return re.sub(r"^make(?= )", ours, command, flags=re.MULTILINE)


@pytest.fixture(scope="module")
def server() -> Iterator[None]:
    """The Prefect server that the commands share, up until the last of them has ended.

    Each would start its own and stop it again, which takes longer than what most of them do.
    """
    command = [sys.executable, "-m", "flows", "ui"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as user:
        assert user.stdout is not None
        assert "Prefect UI" in user.stdout.readline()
        yield
        user.send_signal(signal.SIGINT)


@pytest.fixture(scope="module")
def copied(server: None, demo_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a copy of the demo's home at out/demo."""
    folder = tmp_path_factory.mktemp("readme")
    shutil.copytree(demo_home, folder / "out" / "demo", symlinks=True)
    spec = folder / "out" / "demo" / "dataset.yaml"
    written = yaml.safe_load(spec.read_text(encoding="utf-8"))
    written["home"] = str(folder / "out" / "demo")
    spec.write_text(yaml.safe_dump(written, sort_keys=False), encoding="utf-8")
    return folder


@pytest.mark.demo
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("command", _of(HOME))
def test_commands_work_on_the_demo(command: str, copied: Path) -> None:
    keys = {
        "B2_KEY_ID": "0041f1e2d3c4b5a6000000001",
        "B2_APPLICATION_KEY": "K004-secret",
        "TRAINSET_S3_ENDPOINT": "https://s3.us-west-004.backblazeb2.com",
    }
    done = _shell(command, copied, **(keys if "register-blocks" in command else {}))
    if "--dry-run" not in command:
        assert done.stdout.strip(), "it says something"
    assert "K004-secret" not in done.stdout + done.stderr


@pytest.mark.demo
@pytest.mark.timeout(1200)
def test_the_program_on_the_first_screen_works(copied: Path) -> None:
    (program,) = _blocks("python")
    assert len(program.splitlines()) <= 11
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=copied, capture_output=True, text=True, check=True
    )
    *hits, last = done.stdout.splitlines()
    assert len(hits) == 5
    scores = [float(line.split()[0]) for line in hits]
    assert scores == sorted(scores, reverse=True)
    assert "('v1',)" in last
    stars = int(re.findall(r"\) (\d+) \[", last)[0])
    assert stars > 0, "the sample has stars, and the question finds them"


@pytest.mark.demo
@pytest.mark.timeout(1200)
def test_the_demo_takes_a_folder_of_ones_own(tmp_path: Path) -> None:
    pictures = tmp_path / "Pictures"
    pictures.mkdir()
    for number, colour in enumerate(("red", "green", "blue")):
        Image.new("RGB", (96, 64), colour).save(pictures / f"{number}.png")
    dry, real = sorted(_of(PICTURES), key=len, reverse=True)
    _shell(dry, tmp_path, HOME=str(tmp_path))
    assert not (tmp_path / "out" / "pictures" / "media").exists()
    _shell(real, tmp_path, HOME=str(tmp_path))
    assert load_spec(tmp_path / "out" / "pictures" / "dataset.yaml").media
    assert (tmp_path / "out" / "pictures" / "report.html").is_file()


@pytest.mark.demo
@pytest.mark.timeout(1800)
def test_the_bucket_block_works_on_a_bucket_that_is_as_strict_as_b2(
    s3_bucket: S3Bucket, tmp_path: Path
) -> None:
    (block,) = [b for b in _blocks("sh") if "export B2_KEY_ID" in b]
    given = s3_bucket.endpoint
    for said, ours in {
        "B2_KEY_ID=…": f"B2_KEY_ID={given.key_id}",
        "B2_APPLICATION_KEY=…": f"B2_APPLICATION_KEY={given.secret}",
        "https://s3.us-west-004.backblazeb2.com": given.url,
        "my-bucket": s3_bucket.name,
    }.items():
        assert said in block
        block = block.replace(said, ours)
    done = _shell(f"{block}\ntrainset query $OUT --limit 2\ntrainset log $OUT", tmp_path)
    assert "list, put, get and delete work" in done.stdout
    assert "v1" in done.stdout
    assert given.secret not in done.stdout + done.stderr
    assert not (tmp_path / "out").exists(), "all of it lies in the bucket"


@pytest.mark.demo
@pytest.mark.timeout(1800)
def test_the_lakefs_block_works_with_media_in_a_bucket(s3_bucket: S3Bucket, tmp_path: Path) -> None:
    (block,) = [b for b in _blocks("sh") if "export LAKEFS_ENDPOINT" in b]
    keys = s3_bucket.endpoint
    with lakefs_server(bucket=s3_bucket) as server:
        for said, ours in {
            "https://lakefs.example.com": server.endpoint,
            "ACCESS_KEY_ID=…": f"ACCESS_KEY_ID={server.key_id}",
            "SECRET_ACCESS_KEY=…": f"SECRET_ACCESS_KEY={server.secret}",
            "my-bucket": s3_bucket.name,
        }.items():
            assert said in block
            block = block.replace(said, ours)
        done = _shell(
            f"{block}\ntrainset query b2://{s3_bucket.name}/demo --ref v1 --limit 2",
            tmp_path,
            B2_KEY_ID=keys.key_id,
            B2_APPLICATION_KEY=keys.secret,
            TRAINSET_S3_ENDPOINT=keys.url,
        )
    assert "tag v1" in done.stdout + done.stderr
    assert "sample/photos/" in done.stdout
    assert server.secret not in done.stdout + done.stderr
    assert not (tmp_path / "out").exists(), "all of it lies in the bucket"


def test_the_spec_in_readme_is_a_spec(tmp_path: Path) -> None:
    (block,) = _blocks("yaml")
    (tmp_path / "dataset.yaml").write_text(block)
    assert load_spec(tmp_path / "dataset.yaml").name == "street-scenes"


@pytest.mark.prefect
def test_the_ui_opens(tmp_path: Path) -> None:
    (command,) = _of(UI)
    with _background(command, tmp_path, TRAINSET_PREFECT_HOME=str(tmp_path / "prefect")) as ui:
        assert ui.stdout is not None
        line = ui.stdout.readline()
        url = re.findall(r"http://[\d.]+:\d+", line)[0]
        with urllib.request.urlopen(url, timeout=30) as page:
            assert b"Prefect" in page.read()
        os.killpg(ui.pid, signal.SIGINT)  # what Ctrl-C does
        ui.wait(30)
        assert "Traceback" not in ui.stdout.read()


@pytest.mark.usefixtures("prefect_server")
def test_flows_are_served(prefect_server: str, tmp_path: Path) -> None:
    from deployments.serve import FLOWS

    limit, command = _of(SERVE)[1:]
    _shell(limit, tmp_path, accept=(0,), PREFECT_API_URL=prefect_server)
    spec = "name: served\nhome: home\nmedia: [{name: a, from: media}]\n"
    (tmp_path / "dataset.yaml").write_text(spec)
    with _background(command, tmp_path, PREFECT_API_URL=prefect_server) as server:
        for _ in range(120):
            request = urllib.request.Request(
                f"{prefect_server}/deployments/filter",
                b'{"deployments": {"name": {"any_": ["served"]}}}',
                {"Content-Type": "application/json"},
            )
            with urllib.request.urlopen(request, timeout=30) as reply:
                found = reply.read().decode()
            if found.count('"flow_id"') == len(FLOWS) or server.poll() is not None:
                break
            time.sleep(0.5)
        assert found.count('"flow_id"') == len(FLOWS), server.poll()
        assert "0 3 * * *" in found


@pytest.mark.skipif(not (ROOT / ".venv" / "bin" / "activate").exists(), reason="no .venv here")
def test_activating_puts_the_commands_on_the_path() -> None:
    (command,) = _of(SHELL)
    done = subprocess.run(
        ["bash", "-c", f"{command} && command -v trainset prefect python"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert [Path(line).name for line in done.stdout.splitlines()] == [
        "trainset",
        "prefect",
        "python",
    ]


def test_ci_runs_what_readme_says_it_runs() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    assert re.search(r"^make test\b", script, re.MULTILINE)
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(r"^test: lint$", makefile, re.MULTILINE)


@contextlib.contextmanager
def _background(command: str, cwd: Path, **environment: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        ["bash", "-c", f"exec {_make_here(command)}"],
        cwd=cwd,
        env=_environment(**environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(60)
