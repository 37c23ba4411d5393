"""The storage: studies in SQLite or PostgreSQL, shared by any number of workers.

::

    storage = open_storage("sqlite:///pareto_prune.db")
    study = storage.create(config)               # or open_study(name)
    study.enqueue(candidates, space)             # starters, once

    claim ─► assign ─► renew, report … ─► tell       one trial; or hand_back, when interrupted
      │        │
      │        └ its candidate, if it came without one
      └ a waiting trial, else the next number; None when as many as asked for are taken

    study.read()                                 # everything, as records

Every verb is one transaction, tried again while the database is away. Nothing here loads torch or
what prunes; reading loads no Optuna either.
"""

from __future__ import annotations

from pareto_prune.storage.events import UNFIT, StudyEvent
from pareto_prune.storage.leases import LEASE_SECONDS, SILENT_SECONDS, LeaseLostError
from pareto_prune.storage.promotions import PromotedError
from pareto_prune.storage.queue import Queued
from pareto_prune.storage.standing import Identity
from pareto_prune.storage.steering import Verb, verb_of, verbs_from
from pareto_prune.storage.studies import Storage, StudySummary, open_storage
from pareto_prune.storage.study import StoredStudy
from pareto_prune.storage.workers import WorkerStatus

__all__ = [
    "LEASE_SECONDS",
    "SILENT_SECONDS",
    "UNFIT",
    "Identity",
    "LeaseLostError",
    "PromotedError",
    "Queued",
    "Storage",
    "StoredStudy",
    "StudyEvent",
    "StudySummary",
    "Verb",
    "WorkerStatus",
    "open_storage",
    "verb_of",
    "verbs_from",
]
