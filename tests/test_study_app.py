"""The program that serves the study: its links, its secret, its end."""

import re
import signal
import stat
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from mos_study import app as study_app
from tests.small_study import make_study


@pytest.fixture
def store(tmp_path):
    store = make_study(tmp_path)
    yield store
    store.close()


def test_the_secret_is_kept_for_the_owner_alone(tmp_path: Path, monkeypatch):
    monkeypatch.delenv(study_app.SECRET_VARIABLE, raising=False)
    secret = study_app.experimenter_secret(tmp_path)
    assert len(secret) >= 32
    assert study_app.experimenter_secret(tmp_path) == secret
    assert stat.S_IMODE((tmp_path / "experimenter.secret").stat().st_mode) == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["experimenter.secret"]
    monkeypatch.setenv(study_app.SECRET_VARIABLE, "from the environment")
    assert study_app.experimenter_secret(tmp_path) == "from the environment"


def test_the_program_prints_the_links_and_ends_quietly(store):
    command = [
        sys.executable,
        "-m",
        "mos_study.app",
        "--db",
        f"sqlite:///{store.folder.parent}/study.db",
        "--port",
        "0",
    ]
    program = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        raters, experimenter, hint = (program.stdout.readline() for _ in range(3))
        assert "Ctrl+C" in hint
        join = raters.split()[-1]
        with urllib.request.urlopen(join, data=b"") as page:
            assert re.fullmatch(join.replace("join", "s/") + r"[\w-]{32}", page.url)
        link, _, secret = experimenter.split()[-1].partition("#")
        assert secret == study_app.experimenter_secret(store.folder.parent)
        with urllib.request.urlopen(link) as page:
            assert page.status == 200
        program.send_signal(signal.SIGINT)
        assert program.stdout.read() == ""
        assert program.wait(20) == 0
    finally:
        program.kill()
        program.communicate()


def test_serving_needs_a_prepared_study(tmp_path, capsys):
    assert study_app.main(["--db", f"sqlite:///{tmp_path}/study.db", "--port", "0"]) == 1
    assert "mos_study.prepare" in capsys.readouterr().err
