from pathlib import Path

import pytest

from tests.frames import NODEPORT

PACKED = NODEPORT / "k8s-master.any.pcap.gz"


def test_following_is_asked_of_the_pipeline(analyze, pipeline):
    analyze("flows", "n2.eth0.pcap", "--follow", "--for", "30s")
    assert pipeline.asked["following"].growing
    analyze("flows", "n2.eth0.pcap", "--for", "30s")
    assert not pipeline.asked["following"].growing
    analyze("flows", "n2.eth0.pcap")
    assert pipeline.asked["following"] is None


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["n2.eth0.pcap", "n1.eth0.pcap.gz", "--follow"], "reads one capture, not 2"),
        (["n2.eth0.pcap", "-", "--for", "5"], "reads one capture, not 2"),
        ([str(PACKED), "--follow"], "k8s-master.any.pcap.gz is compressed (gzip)"),
        (["n2.eth0.pcap", "--for", "soon"], "'soon' is not a duration"),
        (["n2.eth0.pcap", "--for", "0"], "'0' is not a duration"),
    ],
)
@pytest.mark.usefixtures("pipeline")
def test_what_cannot_be_followed_is_wrong_usage(analyze, arguments, complaint):
    result = analyze("flows", *arguments, columns=300)
    assert result.exit_code == 2
    assert complaint in " ".join(result.stderr.split())


def test_a_file_to_follow_must_be_there(analyze):
    result = analyze("flows", "n3.eth0.pcap", "--follow")
    assert result.exit_code == 1
    assert "n3.eth0.pcap: no such file or directory" in result.stderr
    assert not Path("n3.eth0.tables").exists()
