"""Files and directories: what is read, what is passed over, what is an error."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from analyzer.cluster import Cluster, load
from analyzer.errors import ClusterError
from tests.cluster.objects import a_list, a_node, a_pod, a_service

if TYPE_CHECKING:
    from collections.abc import Iterator

NODE = json.dumps(a_node("node-a", "192.0.2.1"))


def error_of(*paths: Path) -> ClusterError:
    with pytest.raises(ClusterError) as caught:
        Cluster.load(paths)
    assert caught.value.hint
    assert "\n" not in str(caught.value)
    return caught.value


def test_nothing_to_read_is_an_empty_cluster() -> None:
    assert Cluster.load([]) == Cluster()


def test_directories_are_read_at_any_depth_but_hidden_files_are_not(
    tmp_path: Path,
) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / ".git").mkdir()
    for place in ("a/b/nodes", ".nodes", ".git/nodes"):
        (tmp_path / place).write_text(NODE.replace("node-a", place.replace("/", "-")))
    assert [node.name for node in Cluster.load([tmp_path]).nodes] == ["a-b-nodes"]


def test_a_file_that_is_given_twice_is_read_once(tmp_path: Path) -> None:
    file = tmp_path / "nodes"
    file.write_text(NODE)
    cluster = Cluster.load([tmp_path, file, str(file), tmp_path / "." / "nodes"])
    assert len(cluster.sources) == 1


def test_a_pipe_is_read() -> None:
    command = [sys.executable, "-c", "import sys; print(sys.argv[1])", NODE]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        cluster = Cluster.load([f"/dev/fd/{process.stdout.fileno()}"])
    assert [node.name for node in cluster.nodes] == ["node-a"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_encodings_of_redirected_output(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "nodes").write_bytes(NODE.encode(encoding))
    assert len(Cluster.load([tmp_path]).nodes) == 1


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    error = error_of(tmp_path / "nowhere")
    assert str(error) == f"{tmp_path / 'nowhere'}: no such file or directory"


def test_an_empty_directory_is_an_error(tmp_path: Path) -> None:
    assert "no files" in str(error_of(tmp_path))


@pytest.fixture
def as_nobody() -> Iterator[None]:
    """Give up root's right to read everything, for a while."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_file_that_may_not_be_read_is_an_error(as_nobody: None) -> None:  # noqa: ARG001
    with tempfile.TemporaryDirectory() as directory:
        secret = Path(directory) / "secret"
        secret.write_text(NODE)
        secret.chmod(0)
        assert "permission denied" in str(error_of(secret))


def test_a_file_without_end_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load, "MAX_FILE_SIZE", 5000)
    (tmp_path / "fits").write_text(f"{NODE}{' ' * (5000 - len(NODE))}")
    Cluster.load([tmp_path])
    (tmp_path / "more").write_text(f"{NODE}{' ' * (5001 - len(NODE))}")
    assert "larger than 5,000 octets" in str(error_of(tmp_path))


@pytest.mark.parametrize(
    "content", [b"\xd4\xc3\xb2\xa1\0\0", gzip.compress(b"{}", mtime=0)]
)
def test_what_is_not_text_is_an_error_only_if_it_is_named(
    tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "capture").write_bytes(content)
    assert "not text" in str(error_of(tmp_path / "capture"))
    (source,) = Cluster.load([tmp_path]).sources
    assert (source.kind, source.used) == ("not text", False)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"kind": "List",\n"items": [', "not valid JSON (Expecting value in line 2)"),
        (f"{NODE}\n{{", "not valid JSON"),
        ('[{"a": 1}', "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        (f'{{"a": {"9" * 5000}}}', "not valid JSON"),
        ("apiVersion: v1\nkind: [Pod", "not valid YAML"),
        ("kind: Pod\nmetadata:\n\tname: x\n", "not valid YAML"),
        ("---\na: !!python/object:os.system {}\n", "not valid YAML"),
        ("---\na: &a {x: 1}\nb: {<<: *a}\n", "not valid YAML"),
        ("---\na: 2023-99-99\n", "not valid YAML"),
        # Newer versions of libyaml have a limit of their own.
        ("---\n" + "[" * 100_000, "nesting"),
        ("---\n" + "- " * 100_000, "more than 200 levels of nesting"),
    ],
)
def test_a_file_that_breaks_off_is_an_error(
    tmp_path: Path, text: str, message: str
) -> None:
    (tmp_path / "broken").write_text(text)
    error = str(error_of(tmp_path / "broken"))
    assert error.startswith(f"{tmp_path / 'broken'}: ")
    assert message in error


def test_every_prefix_of_a_file_is_read_or_refused(tmp_path: Path) -> None:
    documents = a_list(
        a_node("node-a", "192.0.2.1"), a_pod("p", "10.1.0.1"), a_service("s", 80)
    )
    text = json.dumps(documents)
    file = tmp_path / "cut"
    for end in range(1, len(text)):
        file.write_text(text[:end])
        assert "not valid JSON" in str(error_of(file))


def test_broken_json_in_a_session_is_only_reported(tmp_path: Path) -> None:
    (tmp_path / "session").write_text(
        "root@a:~# kubectl get no\nnode-a Ready <none> 1d v1.26.4\n"
        'root@a:~# kubectl get po -o json\n{"kind":\n"Pod"\n'
        "root@a:~# kubectl get no\nnode-b Ready <none> 1d v1.26.4\n"
    )
    cluster = Cluster.load([tmp_path])
    assert [node.name for node in cluster.nodes] == ["node-a", "node-b"]
    (broken,) = (source for source in cluster.sources if source.remarks)
    assert (broken.kind, broken.line) == ("broken JSON", 4)
    assert broken.remarks[0].lines == 2


def test_broken_json_in_a_page_is_only_reported(tmp_path: Path) -> None:
    (tmp_path / "page").write_text(
        f"For example:\n```\n{{...}}\n```\n```\n{NODE}\n```\n"
    )
    cluster = Cluster.load([tmp_path])
    assert len(cluster.nodes) == 1
    assert [source.kind for source in cluster.sources] == [
        "broken JSON",
        "nodes (JSON)",
    ]


def test_a_table_goes_on_after_broken_json(tmp_path: Path) -> None:
    table = "NAME STATUS ROLES AGE VERSION\nnode-a Ready <none> 1d v1.26.4\n"
    (tmp_path / "session").write_text(f"so:\n{{\n  {{\n{table}")
    assert len(Cluster.load([tmp_path]).nodes) == 1


def test_json_yaml_and_tables_may_follow_each_other(tmp_path: Path) -> None:
    pretty = json.dumps(a_pod("p", "10.1.0.1"), indent=4)
    (tmp_path / "session").write_text(
        f"root@a:~# kubectl get po -o json\n{pretty}\n{NODE}\n"
        "NAME STATUS ROLES AGE VERSION\nnode-b Ready <none> 1d v1.26.4\n"
        "root@a:~# kubectl get svc -o yaml\n"
        "apiVersion: v1\nkind: Service\nmetadata: {name: s}  # kubectl get x\n"
        "spec:\n  # kubectl get y\n  clusterIP: 10.0.0.1\n"
        "root@a:~# kubectl get no\nnode-c Ready <none> 1d v1.26.4\n"
    )
    cluster = Cluster.load([tmp_path])
    assert [node.name for node in cluster.nodes] == ["node-a", "node-b", "node-c"]
    assert len(cluster.pods) == 1
    assert cluster.services[0].cluster_ips == ("10.0.0.1",)
    lines = [(source.kind, source.line) for source in cluster.sources]
    assert lines[0] == ("pods (JSON)", 2)
    assert not any(source.remarks for source in cluster.sources)


def test_an_endpoint_slice_as_kubectl_sorts_its_keys(tmp_path: Path) -> None:
    (tmp_path / "slice").write_text(
        "addressType: IPv4\napiVersion: discovery.k8s.io/v1\nendpoints:\n"
        "- addresses:\n  - 10.1.0.1\nkind: EndpointSlice\nmetadata:\n  labels:\n"
        "    kubernetes.io/service-name: web\n  name: web-x\nports:\n- port: 80\n"
    )
    cluster = Cluster.load([tmp_path])
    assert [item.service for item in cluster.endpoints] == ["web"]
    assert len(cluster.sources) == 1


USED = {
    "iptables-save": "*nat\n"
    "-A KUBE-SERVICES -d 10.0.0.1/32 -p tcp --dport 80 -j REJECT",
    "nft ruleset (text)": "table ip kube-proxy {\nmap no-endpoint-services {\n"
    "elements = { 10.0.0.1 . tcp . 80 : drop }\n}\n}",
    "ipvsadm": "IP Virtual Server version 1.2.1 (size=4096)\nTCP  10.0.0.1:443 rr",
    "conntrack": "tcp 6 118 TIME_WAIT src=10.0.0.1 dst=10.0.0.2 sport=1 dport=2 "
    "src=10.0.0.2 dst=10.0.0.1 sport=2 dport=1 [ASSURED]",
}
NOT_USED = {
    "iptables-save": "*nat\n:INPUT ACCEPT [0:0]\n-A INPUT -j KUBE-SERVICES\nCOMMIT",
    "nft ruleset (text)": "table ip nat {\n\tchain POSTROUTING {\n\t}\n}",
    "ip route": "default via 192.0.2.254 dev eth0\nblackhole 10.1.0.64/26 proto 80",
    "ip neigh": "10.1.0.64 dev vxlan.calico lladdr 66:c1:17:77:92:d1 PERMANENT",
    "bridge fdb": "66:c1:17:77:92:d1 dst 192.0.2.2 self permanent",
}


@pytest.mark.parametrize("kind", USED)
def test_rules_and_connections_are_told_by_content(tmp_path: Path, kind: str) -> None:
    (tmp_path / "some.txt").write_text(USED[kind] + "\n")
    (source,) = Cluster.load([tmp_path]).sources
    assert (source.kind, source.used, source.remarks) == (kind, True, ())
    assert source.objects == 1


@pytest.mark.parametrize("kind", NOT_USED)
def test_what_tells_nothing_is_told_by_content(tmp_path: Path, kind: str) -> None:
    (tmp_path / "some.txt").write_text(NOT_USED[kind] + "\n")
    (source,) = Cluster.load([tmp_path]).sources
    assert (source.kind, source.used, source.remarks) == (kind, False, ())


def test_other_tools_in_one_file_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "all").write_text("\n".join([*USED.values(), *NOT_USED.values()]))
    kinds = [source.kind for source in Cluster.load([tmp_path]).sources]
    assert kinds == [*USED, *NOT_USED]


@pytest.mark.parametrize(
    "line",
    [
        "a " + ":" * 100_000 + " 3d",
        "a@" + "b" * 100_000 + "#x",
        "#" * 100_000,
        "NAME" + " A" * 100_000 + " a",
        "web 1/1 Running 1 (" + " ago" * 100_000,
        "x ClusterIP None <none> 80/TCP " + "1s" * 100_000 + "!",
        "$ kubectl get po -n" + " " * 100_000 + "!",
    ],
    ids=lambda line: line[:20],
)
def test_no_line_takes_more_than_linear_time(tmp_path: Path, line: str) -> None:
    (tmp_path / "long").write_text(f"web 1/1 Running 0 1m\n{line}\n")
    assert len(Cluster.load([tmp_path]).pods) == 1


def test_an_nft_ruleset_in_json_is_recognised(tmp_path: Path) -> None:
    (tmp_path / "rules").write_text('{"nftables": [{"metainfo": {}}]}')
    (source,) = Cluster.load([tmp_path]).sources
    assert (source.kind, source.used) == ("nft ruleset (JSON)", False)


def test_an_empty_file_is_said_to_be_empty(tmp_path: Path) -> None:
    (tmp_path / "nothing").touch()
    assert [item.kind for item in Cluster.load([tmp_path]).sources] == ["empty"]


def test_importing_the_package_loads_nothing_heavy() -> None:
    program = (
        "import sys, analyzer.cluster;"
        "print(*{'yaml', 'polars', 'pyarrow', 'rich', 'click'} & set(sys.modules))"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert result.stdout.split() == []
