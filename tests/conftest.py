"""What all tests run under.

Tiny models are fastest on one thread; several test runs on one machine then share it well. A shell
starts what it puts in the background with SIGINT ignored, which children inherit: tests of Ctrl-C
need the usual handler.

The suite says the same every time: random numbers start from one seed in every test, whatever ran
before, and hypothesis tries the same examples (`--hypothesis-profile=explore` tries new ones).
"""

from __future__ import annotations

import os
import random
import signal

import numpy as np
import pytest
from hypothesis import settings

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("explore", deadline=None)
settings.register_profile("suite", deadline=None, derandomize=True)
settings.load_profile("suite")


@pytest.fixture(autouse=True)
def _seeded() -> None:
    import torch  # after the environment above, which it reads once

    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
