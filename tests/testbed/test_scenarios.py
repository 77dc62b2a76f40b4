"""A scenario may be captured otherwise than it is in the samples."""

from captures.testbed.scenarios import ALL


def test_every_capture_keeps_as_much():
    captured = ALL["mixed"].captured(96, {}).captures
    assert {c.snaplen for c in captured} == {96}
    assert [c.file for c in captured] == [c.file for c in ALL["mixed"].captures]


def test_any_is_recorded_where_it_is_wanted():
    before = ALL["loadbalancer"].captures
    wanted = {"k8s-worker01": None, "k8s-worker03": "LINUX_SLL"}
    after = ALL["loadbalancer"].captured(None, wanted).captures
    link_types = {c.host: c.linktype for c in after if c.interfaces == ("any",)}
    assert link_types == wanted | {"k8s-master": None}
    assert len({c.file for c in after}) == len(after) == len(before) + 1
