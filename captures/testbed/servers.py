"""The servers in the pods: nginx, apache2, redis, dnsmasq from their packages.

Each runs in the foreground with its own configuration and a log that names the
pod and the client address and port that it saw: the second witness of the truth.
"""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING

from captures.testbed import metallb, netns
from captures.testbed.cluster import HOST_NETWORK_PORT, Cluster, Pod
from captures.testbed.topology import NIC

if TYPE_CHECKING:
    from pathlib import Path

# Request log lines of nginx and apache2 have one form; both count header octets.
NGINX_LOG = (
    "$msec pod={pod} conn=$connection req=$connection_requests "
    "client=$remote_addr:$remote_port server=$server_addr:$server_port "
    'sent=$bytes_sent status=$status "$request"'
)
APACHE_LOG = (
    "%{{sec}}t.%{{msec_frac}}t pod={pod} conn=- req=%k "
    "client=%a:%{{remote}}p server=%A:%{{local}}p sent=%O status=%>s "
    '\\"%r\\"'
)

NGINX = """user root;
worker_processes 1;
error_log {directory}/error.log;
pid {directory}/nginx.pid;
events {{ worker_connections 512; }}
http {{
    log_format seen '{log_format}';
    access_log {directory}/access.log seen;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    keepalive_requests 10000;
    server {{
        listen {port} backlog=512;
        listen [::]:{port} ipv6only=on backlog=512;
        root {documents};
    }}
}}
"""

APACHE = """ServerName {pod}
Listen {port}
PidFile {directory}/apache.pid
ErrorLog {directory}/error.log
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule dir_module /usr/lib/apache2/modules/mod_dir.so
StartServers 1
MinSpareThreads 1
MaxSpareThreads 25
ThreadsPerChild 25
DocumentRoot {documents}
DirectoryIndex index.html
LogFormat "{log_format}" seen
CustomLog {directory}/access.log seen
"""

DNSMASQ = """no-resolv
no-hosts
keep-in-foreground
user=root
log-queries=extra
log-facility={directory}/access.log
pid-file={directory}/dnsmasq.pid
local=/cluster.local/
edns-packet-max=4096
cache-size=0
"""

START_TIMEOUT = 10.0  # seconds for a server to listen


def documents(directory: Path) -> Path:
    """Write what the web servers serve: a small page and an eight-megabyte file.

    The file's text repeats with a running number every kilobyte: it compresses
    well, so that a capture of its download does too, and no two segments are alike.
    """
    root = directory / "documents"
    root.mkdir()
    (root / "index.html").write_text(
        "<!DOCTYPE html>\n<html><head><title>Welcome</title></head>\n<body>\n"
        + "<p>This page is served by one pod of a DaemonSet.</p>\n" * 10
        + "</body></html>\n"
    )
    with (root / "blob.bin").open("w") as blob:
        for number in range(8 * 1024):
            blob.write(f"{number:015d} {'testbed' * 144}"[:1023] + "\n")
    return root


def start(cluster: Cluster) -> None:
    """Start every pod's server and every node's speaker; wait until all listen."""
    root = documents(netns.RUN_DIRECTORY)
    waiting = []
    for pod in cluster.pods:
        if pod.server is None or pod.server == "client":
            continue
        directory = netns.RUN_DIRECTORY / "pods" / pod.name
        directory.mkdir(parents=True)
        command, port = configure(cluster, pod, directory, root)
        namespace = pod.node if pod.host_network else pod.name
        with (directory / "output.log").open("w") as output:
            netns.spawn(namespace, command, stdout=output, stderr=output)
        waiting.append((namespace, port, pod.name))
    start_speakers(cluster)
    for namespace, port, pod_name in waiting:
        wait_until_listening(namespace, port, pod_name)


def configure(
    cluster: Cluster, pod: Pod, directory: Path, root: Path
) -> tuple[list[str], int]:
    """Write a server's configuration; return its command and its port."""
    config = directory / "server.conf"
    if pod.server == "nginx":
        port = HOST_NETWORK_PORT if pod.host_network else 80
        config.write_text(
            NGINX.format(
                directory=directory,
                documents=root,
                port=port,
                log_format=NGINX_LOG.format(pod=pod.name),
            )
        )
        # One process: nothing is left when it ends.
        switches = "daemon off; master_process off;"
        return ["nginx", "-c", str(config), "-g", switches], port
    if pod.server == "apache":
        config.write_text(
            APACHE.format(
                directory=directory,
                documents=root,
                pod=pod.name,
                port=90,
                log_format=APACHE_LOG.format(pod=pod.name),
            )
        )
        return ["apache2", "-DFOREGROUND", "-f", str(config)], 90
    if pod.server == "redis":
        options = {
            "port": "6379",
            "bind": "* -::*",
            "protected-mode": "no",
            "save": '""',
            "loglevel": "verbose",
            "dir": str(directory),
            "logfile": str(directory / "access.log"),
        }
        config.write_text("".join(f"{k} {v}\n" for k, v in options.items()))
        return ["redis-server", str(config)], 6379
    config.write_text(DNSMASQ.format(directory=directory) + zone(cluster))
    return ["dnsmasq", "-C", str(config)], 53


def zone(cluster: Cluster) -> str:
    """Return dnsmasq's records: every Service, and one name with a large answer."""
    lines = []
    for service in cluster.services:
        name = f"{service.name}.{service.namespace}.svc.cluster.local"
        lines.append(f"host-record={name},{service.cluster_ip}")
        if cluster.ipv6:
            lines.append(f"host-record={name},{service.cluster_ip6}")
    # Twelve strings of 250 octets: more than two fragments' worth over UDP.
    lines += [
        f'txt-record=large.cluster.local,"{number:02d}{"k8s-" * 62}"'
        for number in range(12)
    ]
    return "\n".join(lines) + "\n"


def start_speakers(cluster: Cluster) -> None:
    """Start MetalLB's speaker on every node that announces an address."""
    by_node: dict[str, list[str]] = {}
    for service in cluster.services:
        if service.load_balancer_ip:
            node = cluster.announcers[service.load_balancer_ip]
            by_node.setdefault(node, []).extend(service.external_ips(cluster.families))
    for node, addresses in by_node.items():
        process = netns.spawn(
            node,
            [sys.executable, metallb.__file__, NIC, *addresses],
            stdout=subprocess.PIPE,
        )
        if process.stdout is None or process.stdout.readline() != "ready\n":
            raise netns.TestbedError(f"{node}: the LoadBalancer speaker did not start")


def wait_until_listening(namespace: str, port: int, pod: str) -> None:
    """Wait for a server's socket, without a packet: ``ss`` looks at the kernel."""
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline:
        listing = netns.run_inside(namespace, ["ss", "-Hltn", f"sport = :{port}"])
        if listing:
            return
        time.sleep(0.02)
    log = netns.RUN_DIRECTORY / "pods" / pod / "output.log"
    raise netns.TestbedError(
        f"{pod}: nothing listens on port {port} after {START_TIMEOUT:.0f} s: "
        f"{log.read_text().strip()}"
    )
