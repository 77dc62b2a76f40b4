"""The reference cluster's dataplane, in network namespaces of one machine.

Read the modules in this order to learn how a Service works:

``cluster``
    Nodes, pods and Services: the objects that everything below is derived from.
``netns``
    Namespaces and processes that are ours, recorded so that ``down`` finds them.
``topology``, ``calico``
    Links, then what felix programs: routes, VXLAN, proxy ARP, natOutgoing.
``kubeproxy``, ``kubeproxy_iptables``, ``kubeproxy_nftables``
    What kube-proxy writes on every node.
``metallb``
    Who answers ARP and neighbour solicitations for a LoadBalancer address.
``servers``, ``traffic``, ``client``, ``scenarios``
    Real servers, the programs that call them, and what each recording shows.
``capture``, ``conntrack``, ``truth``, ``paths``, ``logs``, ``observed``, ``state``
    What was recorded, what really happened, and what kubectl would have printed.
``clocks``
    A node whose clock is wrong, by a known amount.
``record``
    One scenario from first namespace to last file.
"""
