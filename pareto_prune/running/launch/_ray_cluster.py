"""The Ray cluster that workers run on: an existing one, else one of this host's own."""

from __future__ import annotations

import logging
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from sqlalchemy import make_url

from pareto_prune.core.errors import MissingExtraError, Problem, UserError
from pareto_prune.measure.environment import usable_cores

STORE_BYTES = 100 * 1024**2
"""Of a cluster that is started here: only messages pass through it, no models."""
_ANSWER_SECONDS = 10.0
_LOG = logging.getLogger(__name__)
_QUIET = {"logging_level": logging.ERROR, "log_to_driver": False}


@dataclass(frozen=True)
class Node:
    """What a node has: CPUs and GPUs."""

    cpus: float
    gpus: float = 0.0


@dataclass(frozen=True)
class Cluster:
    """A cluster that this process is connected to.

    Attributes:
        nodes: those that are alive.
        here: id of this process's node.
        own: whether it was started here, and ends with the run.
    """

    nodes: tuple[Node, ...]
    here: str
    own: bool

    def check_storage(self, url: str) -> None:
        """Refuse a storage that the nodes cannot share.

        Raises:
            UserError: it is a file of this host, and there are other nodes.
        """
        if make_url(url).drivername == "sqlite" and len(self.nodes) > 1:
            wrong = (
                f"SQLite is a file of one host, and this Ray cluster has {len(self.nodes)} nodes"
            )
            raise UserError(
                Problem(
                    "storage", wrong, "allowed: postgresql+psycopg://USER:PASSWORD@HOST/DATABASE"
                )
            )


@dataclass(frozen=True)
class Share:
    """What each worker has of a cluster.

    Attributes:
        workers: how many there are.
        threads: that each one computes with.
        cpus: that each one takes up, for Ray.
        gpus: that each one sees.
    """

    workers: int
    threads: int
    cpus: float
    gpus: int

    def __str__(self) -> str:
        return f"{self.cpus:g} CPUs and {self.gpus} GPUs"

    @property
    def environment(self) -> dict[str, str]:
        """Variables of a worker's child; Ray sets ``CUDA_VISIBLE_DEVICES``."""
        return dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(self.threads))


def imported() -> Any:
    """Return the module ``ray``.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        import ray
    except ImportError:
        raise MissingExtraError("ray", "ray") from None
    return ray


def check_command_line(url: str) -> None:
    """Refuse a password that Ray would show: it lists the command line of every run.

    Raises:
        UserError: the storage URL's password stands on the command line.
    """
    password = make_url(url).password
    if password and any(
        password in said or quote(password) in said for said in sys.orig_argv if "://" in said
    ):
        wrong = "a Ray cluster shows the command line of a run to its users, password and all"
        raise UserError(Problem("--storage", wrong, "allowed: set PARETO_PRUNE_STORAGE instead"))


@contextmanager
def connected() -> Iterator[Cluster]:
    """Be connected to a cluster for the length of a ``with`` block.

    Where this process is connected already, it stays so afterwards.

    Raises:
        UserError: no cluster answers at ``RAY_ADDRESS``.
        MissingExtraError: Ray is not installed.
    """
    ray = imported()
    if ray.is_initialized():
        yield _seen(ray, own=False)
        return
    with _quiet():
        try:
            yield _seen(ray, own=_connect(ray))
        finally:
            ray.shutdown()


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what Ray says off standard output, which is for results; its own logs have it too."""
    from ray._private import worker

    before = worker.print_to_stdstream
    worker.print_to_stdstream = lambda data, **_: _LOG.debug("%s", data)
    try:
        yield
    finally:
        worker.print_to_stdstream = before


def _seen(ray: Any, own: bool) -> Cluster:
    alive = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    nodes = tuple(Node(has.get("CPU", 0.0), has.get("GPU", 0.0)) for has in alive)
    return Cluster(nodes, ray.get_runtime_context().get_node_id(), own)


def _connect(ray: Any) -> bool:
    """Connect to an existing cluster, else start one; return whether it was started."""
    address = _running()
    if address is None:
        ray.init(
            address="local",
            num_cpus=usable_cores(),
            include_dashboard=False,
            object_store_memory=STORE_BYTES,
            _node_ip_address="127.0.0.1",
            **_QUIET,
        )
        return True
    try:
        ray.init(address=address, **_QUIET)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise _no_answer(address, str(error).strip().splitlines()[0]) from None
    return False


def _running() -> str | None:
    """Return the address that ``RAY_ADDRESS`` or the last ``ray start`` of this host says.

    A cluster that has ended without ``ray stop`` leaves its address behind. Ray itself would try
    that for a quarter of an hour, so what does not answer is found out here.
    """
    from ray._private import services

    said = os.environ.get("RAY_ADDRESS", "")
    if "://" in said:
        wrong = f"{said!r} is for Ray's client"
        raise UserError(
            Problem("RAY_ADDRESS", wrong, "allowed: HOST:PORT, on a node of the cluster")
        )
    try:
        address = services.canonicalize_bootstrap_address(None)
        if address is not None:
            host, _, port = address.rpartition(":")
            socket.create_connection((host, int(port)), timeout=_ANSWER_SECONDS).close()
    except (OSError, ValueError) as error:
        if said:
            raise _no_answer(said, str(error)) from None
        return None
    return str(address) if address is not None else None


def _no_answer(address: str, why: str) -> UserError:
    wrong = f"no Ray cluster answers this host at {address!r} ({why})"
    return UserError(Problem("RAY_ADDRESS", wrong, "allowed: HOST:PORT of one, `local`, or unset"))
