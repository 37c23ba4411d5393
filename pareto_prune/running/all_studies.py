"""Workers of all studies of a storage, on this host."""

from __future__ import annotations

import threading
from collections.abc import Collection
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

from pareto_prune.running.any_worker import AnyWorker
from pareto_prune.running.fit import Fit
from pareto_prune.running.interruptions import Interruptions
from pareto_prune.running.launch import Launcher
from pareto_prune.running.run_study import Watcher
from pareto_prune.running.seats import Seats, Shop
from pareto_prune.running.worker import default_name
from pareto_prune.storage import Storage, open_storage

_STEP_SECONDS = 0.5


@dataclass(frozen=True)
class Service:
    """What workers of all studies do.

    Attributes:
        url: of the storage.
        watcher: told of stages and trials.
        labels: that the workers have.
        idle: seconds without a trial after which one ends; ``None`` for never.
    """

    url: str
    watcher: Watcher
    labels: Collection[str] = ()
    idle: float | None = None


def work_on_all(service: Service, launcher: Launcher) -> int:
    """Run trials of whichever studies a storage has, until there were none for long.

    Returns:
        How many trials were run.

    Raises:
        UserError: the launcher has no such workers, or the storage does not serve.
        KeyboardInterrupt: SIGINT or SIGTERM came; trials in hand were handed back.
        StorageError: the database failed, or was away for too long.
    """
    hands, stop, lock = launcher.hands(service.watcher), threading.Event(), threading.Lock()
    storage = open_storage(service.url)
    try:
        workers = []
        for index, trials in enumerate(hands):
            name = f"{default_name()}/{index}"
            shop = Shop(service.url, name, service.watcher, trials, stop, lock)
            workers.append(_worker(service, storage, shop))
        return workers[0].work() if len(workers) == 1 else _all_at_once(workers, stop)
    finally:
        storage.close()


def _worker(service: Service, storage: Storage, shop: Shop) -> AnyWorker:
    fit = Fit(storage, shop.worker, service.labels)
    return AnyWorker(storage, Seats(storage, shop), fit, shop.stop, service.idle)


def _all_at_once(workers: list[AnyWorker], stop: threading.Event) -> int:
    """Let each work in a thread; what ends one with an error ends all."""
    with Interruptions(), ThreadPoolExecutor(len(workers)) as pool:
        futures = [pool.submit(_working, worker, stop) for worker in workers]
        try:
            _wait(futures)
        except BaseException:
            stop.set()
            raise
    return sum(future.result() for future in futures)


def _working(worker: AnyWorker, stop: threading.Event) -> int:
    try:
        return worker.work()
    except BaseException:
        stop.set()
        raise


def _wait(futures: list[Future[int]]) -> None:
    """Wait in steps, so that a signal gets through."""
    while wait(futures, timeout=_STEP_SECONDS).not_done:
        pass
