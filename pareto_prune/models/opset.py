"""The versions of ONNX that graphs are in."""

from __future__ import annotations

OPSET = 20
"""Of every graph, written or traced: the first with ``Gelu``, the last that torch traces to; ONNX
Runtime reads it from version 1.17 on."""
IR_VERSION = 9
