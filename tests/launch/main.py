"""A run with a launcher: ``URL FOLDER [NAME]``; its trials wait for ever."""

from __future__ import annotations

import functools
import sys
import threading

from pareto_prune.running.launch import Job, launchers
from pareto_prune.storage import open_storage
from tests.launch.jobs import prepare_long
from tests.storage.scripted import space_of

if __name__ == "__main__":
    url, folder, name = (*sys.argv[1:], "processes")[:3]
    if name == "ray":
        from tests.launch.loopback import keep_to_loopback

        keep_to_loopback()
    study = open_storage(url).open_study("scripted")
    prepare = functools.partial(prepare_long, folder)
    job = Job(url, "scripted", prepare, functools.partial(space_of, study.config))
    launcher = launchers.create(name, {"workers": 2})
    try:
        launcher.launch(job, lambda event: print(event.kind, flush=True), threading.Event())
    except KeyboardInterrupt:
        sys.exit(130)
