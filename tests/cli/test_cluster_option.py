"""``--cluster`` says so if there is no cluster state in what it names."""

import json
import shutil

import pytest
from click.testing import CliRunner

from analyzer.cli import main
from tests.frames import ROOT

ROUND = ROOT / "captures/cluster/loadbalancer"
NIC = str(ROUND / "k8s-worker01.ens18.pcap.gz")


def asked(command, tmp_path, *state):
    told = ["-o", str(tmp_path / "made.tables")] if command == "flows" else []
    options = [word for path in state for word in ("--cluster", str(path))]
    return CliRunner().invoke(main, [command, NIC, *options, *told])


@pytest.fixture
def users(tmp_path):
    """Give a file that is no cluster state."""
    file = tmp_path / "users.txt"
    file.write_text("root:x:0:0:root:/root:/bin/bash\n")
    return file


@pytest.mark.parametrize("command", ["flows", "spread", "paths"])
def test_a_file_without_cluster_state_is_a_warning_of_one_line(
    command, users, tmp_path
):
    result = asked(command, tmp_path, users)
    assert result.exit_code == 0
    first, second = result.stderr.splitlines()[:2]
    assert first == f"analyze: warning: {users}: no cluster state in it"
    assert second == f"  hint: analyze cluster show {users} says what was read"


def test_so_is_a_directory_and_an_empty_file_beside_one_that_has_some(users, tmp_path):
    folder = tmp_path / "notes"
    folder.mkdir()
    shutil.copy(users, folder)
    empty = tmp_path / "empty.txt"
    empty.touch()
    result = asked("paths", tmp_path, ROUND / "cluster", folder, empty)
    warnings = [line for line in result.stderr.splitlines() if "warning" in line]
    assert warnings == [
        f"analyze: warning: {path}: no cluster state in it" for path in (folder, empty)
    ]
    assert "lb-nginx-ds" in result.stdout


@pytest.mark.parametrize(
    "state",
    [ROUND / "cluster", ROUND / "conntrack", ROUND / "cluster/nodes.json", ROUND],
)
def test_what_has_some_is_no_warning(state, tmp_path):
    assert "warning" not in asked("spread", tmp_path, state).stderr


def test_a_list_of_nothing_is_a_warning(tmp_path):
    file = tmp_path / "pods.json"
    file.write_text('{"apiVersion": "v1", "kind": "List", "items": []}')
    assert "no cluster state in it" in asked("spread", tmp_path, file).stderr


def test_a_path_that_is_named_twice_is_read_once_and_no_warning(tmp_path, monkeypatch):
    monkeypatch.chdir(ROUND)
    state = ROUND / "logs" / ".." / "cluster"
    assert "warning" not in asked("spread", tmp_path, state, "./cluster").stderr


@pytest.mark.parametrize("command", ["flows", "spread", "paths"])
def test_pods_that_were_started_after_the_capture_are_a_warning(command, tmp_path):
    state = tmp_path / "state"
    shutil.copytree(ROUND / "cluster", state, ignore=shutil.ignore_patterns("*.txt"))
    listed = json.loads((state / "pods.json").read_text())
    for pod in listed["items"][:4]:
        pod["status"]["startTime"] = "2099-01-01T00:00:00Z"
    (state / "pods.json").write_text(json.dumps(listed))
    result = asked(command, tmp_path, state)
    assert result.exit_code == 0
    assert (
        f"analyze: warning: 4 of {len(listed['items'])} pods of the cluster state"
        " were started after the last packet, and are not named\n  hint: "
    ) in result.stderr
