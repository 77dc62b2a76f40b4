"""Shell prompts in a terminal session, and what the command behind one is about."""

from __future__ import annotations

import re
from typing import NamedTuple

_COMMANDS = (
    r"(?:sudo\s+)?(?:microk8s\.?\s*|k3s\s+|minikube\s+)?"
    r"(?:kubectl|oc|k|ip|ip6?tables(?:-legacy|-nft)?(?:-save)?|nft|ipvsadm|conntrack"
    r"|cat|ssh|docker)\b"
)
# user@host with something after it, as bash has it on Debian and on Red Hat, or a
# prompt that says less before a command that is known. Lengths are bounded, here and
# below, so that no line takes more than linear time.
_PROMPT = re.compile(
    r"\[?[\w.-]{1,64}@(?P<host>[\w.-]{1,253})[^#$%]{0,200}[#$%](?:\s+(?P<command>.*))?$"
    rf"|[^#$%>]{{0,200}}[#$%>]\s+(?P<short>{_COMMANDS}.*)$"
)
_NAMESPACE = re.compile(r"\s(?:-n|--namespace)[ =]{0,3}(?P<name>[a-z0-9][a-z0-9-]*)")
_SELECTION = re.compile(r"\s(?:-l|--selector|--field-selector)|\|")
# Commands about the host that they run on.
_HOST_COMMAND = re.compile(
    r"(?:sudo\s+)?(?:ip\s+(?:-\S+\s+)*[al]\w*"
    r"|ip6?tables(?:-legacy|-nft)?(?:-save)?|nft|ipvsadm|conntrack"
    r"|cat\s+/proc/net/nf_conntrack)\b"
)
_ELSEWHERE = re.compile(
    r"(?:sudo\s+)?(?:ssh|docker\s+exec)\s+(?:-[FJilopu]\s+\S+\s+|-\S+\s+){0,9}"
    r"(?:[\w.-]{1,64}@)?"
    r"(?P<host>[\w.-]{1,253})\s+(?:--\s+)?[\"']?(?P<command>.*)"
)
_KUBECTL = re.compile(
    r"(?:sudo\s+)?(?:microk8s\.?\s*|k3s\s+|minikube\s+)?(?:kubectl|oc|k)\b"
)
# Options of kubectl exec that a value follows.
_WITH_VALUE = frozenset({"-n", "--namespace", "-c", "--container", "--context"})


class Prompt(NamedTuple):
    """What a prompt and its command tell.

    ``host`` is where the command ran, and ``pod`` in which pod, if it is one about the
    host; ``namespace`` is what ``-n`` names. ``is_selective`` is whether the command
    leaves something out, by a selector or behind a pipe.
    """

    shows_host: bool = False
    host: str | None = None
    pod: str | None = None
    namespace: str | None = None
    is_selective: bool = False


def prompt(line: str) -> Prompt | None:
    """Recognise a prompt with a command behind it; None if a line is something else."""
    match = _PROMPT.match(line)
    if match is None:
        return None
    command = match["command"] or match["short"] or ""
    namespace = _NAMESPACE.search(command)
    host, pod = match["host"], None
    if elsewhere := _ELSEWHERE.match(command):
        host, command = elsewhere["host"], elsewhere["command"]
    elif _KUBECTL.match(command):
        host, (pod, command) = None, _in_pod(command)
    if not _HOST_COMMAND.match(command):
        host = pod = None
    return Prompt(
        match["host"] is not None,
        host,
        pod,
        namespace["name"] if namespace else None,
        _SELECTION.search(match["command"] or match["short"] or "") is not None,
    )


def _in_pod(command: str) -> tuple[str | None, str]:
    """Split ``kubectl -n x exec -it POD -- COMMAND``."""
    options, _, inner = command.partition(" -- ")
    words = iter(options.partition(" exec ")[2].split())
    for word in words:
        if word in _WITH_VALUE:
            next(words, None)
        elif not word.startswith("-"):
            return word.removeprefix("pod/"), inner.strip()
    return None, inner.strip()
