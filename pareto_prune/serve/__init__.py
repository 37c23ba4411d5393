"""The web service: the studies of a storage, to be looked at, steered and added to.

::

    request ─► limits ─► access ─► /  /studies/…  /metrics      our pages
               431, 413   401       /dashboard /api /static      Optuna's dashboard
               headers    405       /api/v1                      orders and submissions, POST

Without the token there is a log-in page and ``/health``. Models are handed out as safetensors.
"""

from __future__ import annotations

from pareto_prune.serve._server import serve

__all__ = ["serve"]
