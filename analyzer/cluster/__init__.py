"""What the cluster consists of, read from the text that its engineers have."""

from analyzer.cluster.model import (
    Backend,
    Endpoint,
    Extent,
    Interface,
    Node,
    Pod,
    ProxyRule,
    Remark,
    Service,
    ServicePort,
    Source,
)
from analyzer.cluster.state import Cluster

__all__ = [
    "Backend",
    "Cluster",
    "Endpoint",
    "Extent",
    "Interface",
    "Node",
    "Pod",
    "ProxyRule",
    "Remark",
    "Service",
    "ServicePort",
    "Source",
]
