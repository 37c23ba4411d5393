"""Predict with the model of this folder, by numpy, tokenizers, and onnxruntime or openvino alone.

    python example.py "a text" "another text"

A pair of texts is written with a tab between them.
"""

from __future__ import annotations

import json
import sys
import unicodedata  # noqa: F401, word_spans asks it
from pathlib import Path

import numpy as np
from task import BY_WORD, answer, word_spans  # type: ignore[import-not-found]
from tokenizers import Encoding, Tokenizer

FOLDER = Path(__file__).resolve().parent
FACTS = json.loads((FOLDER / "plan.json").read_text(encoding="utf-8"))
PRECISIONS = {"bfloat16": "bf16", "float16": "f16"}
"""OpenVINO takes bfloat16 by itself where the processor has it, measured in or not."""


def encoded(texts: list[str]) -> list[Encoding]:
    """Return the tokens of every text, cut as the model was made for."""
    settings = FACTS["card"]["settings"]
    tokenizer = Tokenizer.from_file(str(FOLDER / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.encode_special_tokens = FACTS["tokenization"]["split_special_tokens"]
    side = FACTS["tokenization"]["truncation_side"]
    tokenizer.enable_truncation(settings.get("max_length", 128), direction=side)
    if BY_WORD:
        return [tagged(tokenizer, words_of(text)) for text in texts]
    if len(settings.get("text", ["one", "two"])) == 1:
        return tokenizer.encode_batch(texts)
    pairs = [tuple(text.split("\t", 1)) for text in texts]
    return tokenizer.encode_batch([pair if len(pair) == 2 else pair[0] for pair in pairs])


def words_of(text: str) -> list[str]:
    """Return the words of a text."""
    return [text[begin:end] for begin, end in word_spans(text)]


def tagged(tokenizer: Tokenizer, words: list[str]) -> Encoding:
    """Return the tokens of a text by its words; one that has none is an unknown word."""
    found = tokenizer.encode(words, is_pretokenized=True)
    unknown = FACTS["tokenization"]["unk_token"]
    if unknown is None or set(range(len(words))) <= set(found.word_ids):
        return found
    filled = [word if at in found.word_ids else unknown for at, word in enumerate(words)]
    return tokenizer.encode(filled, is_pretokenized=True)


def logits(encodings: list[Encoding]) -> np.ndarray:
    """Return the logits of a batch: (texts, outputs), or (texts, tokens, outputs) by word."""
    shape = len(encodings), max(len(encoding) for encoding in encodings)
    inputs = {
        "input_ids": np.full(shape, FACTS["pad"], dtype=np.int64),
        "attention_mask": np.zeros(shape, dtype=np.int64),
        "token_type_ids": np.zeros(shape, dtype=np.int64),
    }
    for row, encoding in enumerate(encodings):
        inputs["input_ids"][row, : len(encoding)] = encoding.ids
        inputs["attention_mask"][row, : len(encoding)] = 1
        inputs["token_type_ids"][row, : len(encoding)] = encoding.type_ids
    return run(inputs)


def run(inputs: dict[str, np.ndarray]) -> np.ndarray:
    """Return the logits of a batch, by the engine that the model was measured on."""
    path = str(FOLDER / "model.onnx")
    if FACTS["card"]["engine"] == "openvino":
        import openvino

        precision = PRECISIONS.get(FACTS["card"]["dtype"], "f32")
        options = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": precision}
        model = openvino.compile_model(path, "CPU", options)
        return model({given.any_name: inputs[given.any_name] for given in model.inputs})[0]
    import onnxruntime

    session = onnxruntime.InferenceSession(path)
    taken = [given.name for given in session.get_inputs()]
    return session.run(None, {name: inputs[name] for name in taken})[0]


def main() -> None:
    """Print what the model says of every text."""
    texts = sys.argv[1:] or ["a text"]
    encodings = encoded(texts)
    for text, encoding, found in zip(texts, encodings, logits(encodings), strict=True):
        said = " ".join(words_of(text)) if BY_WORD else text
        print(answer(said, encoding.word_ids, found, FACTS["labels"], **FACTS["decision"]))


if __name__ == "__main__":
    main()
