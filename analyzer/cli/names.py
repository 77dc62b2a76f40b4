"""What the cluster calls an address."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

    from analyzer.cluster import Cluster


class Names:
    """Names of addresses; none without cluster state.

    Parameters
    ----------
    cluster : Cluster, optional
    """

    def __init__(self, cluster: Cluster | None) -> None:
        self._cluster = cluster

    def of(self, ip: str) -> str | None:
        """Name the pod, node or service that has an address."""
        return self._cluster.name_of(ip) if self._cluster else None

    def node(self, ip: str) -> str | None:
        """Name the node that an address belongs to."""
        return self._cluster.node_of(ip) if self._cluster else None

    def service(self, ip: str, port: int | None, protocol: str) -> str | None:
        """Name the services, as ``namespace/name``, that an address and port are of."""
        if self._cluster is None or port is None:
            return None
        offered = self._cluster.services_at(ip, port, protocol)
        names = dict.fromkeys(
            f"{each.namespace}/{each.name}" if each.namespace else each.name
            for each, _ in offered
        )
        return ", ".join(names) or None

    def services(self) -> pl.LazyFrame:
        """Tabulate all services.

        Returns
        -------
        pl.LazyFrame
            One row per ``address``, ``port`` and ``protocol``: ``service`` (str) as
            :meth:`service` gives it.
        """
        import polars as pl

        from analyzer.cluster import Cluster

        table = (self._cluster or Cluster()).service_table().lazy()
        name = pl.concat_str("service_namespace", "service_name", separator="/")
        return table.group_by("address", "port", "protocol").agg(
            name.str.strip_prefix("/").unique().sort().str.join(", ").alias("service")
        )
