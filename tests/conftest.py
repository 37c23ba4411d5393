"""What all tests run under.

Tiny models are fastest on one thread; several test runs on one machine then share it well. A shell
starts what it puts in the background with SIGINT ignored, which children inherit: tests of Ctrl-C
need the usual handler.
"""

from __future__ import annotations

import os
import signal

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
