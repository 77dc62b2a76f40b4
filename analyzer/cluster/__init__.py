"""What the cluster consists of, read from the text that its engineers have."""

from analyzer.cluster.model import (
    Endpoint,
    Interface,
    Node,
    Pod,
    Remark,
    Service,
    ServicePort,
    Source,
)
from analyzer.cluster.state import Cluster

__all__ = [
    "Cluster",
    "Endpoint",
    "Interface",
    "Node",
    "Pod",
    "Remark",
    "Service",
    "ServicePort",
    "Source",
]
