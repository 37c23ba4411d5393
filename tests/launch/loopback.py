"""Ray clusters that are reached on 127.0.0.1 only.

Asked to connect to 127.0.0.1, Ray takes the address of a network card instead, where a cluster of
the loopback device does not listen.
"""

from __future__ import annotations

from ray._private import services


def keep_to_loopback() -> None:
    """Have Ray take 127.0.0.1 for the address of this host, in this process."""
    services.get_node_ip_address = lambda address=None: "127.0.0.1"
