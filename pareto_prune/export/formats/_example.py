"""Predict with the model of this folder, by numpy, onnxruntime and tokenizers alone.

    python example.py "a text" "another text"

A pair of texts is written with a tab between them.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from tokenizers import Encoding, Tokenizer

FOLDER = Path(__file__).resolve().parent
FACTS = json.loads((FOLDER / "plan.json").read_text(encoding="utf-8"))
BY_WORD = FACTS["card"]["task"] == "ner"


def encoded(texts: list[str]) -> list[Encoding]:
    """Return the tokens of every text, cut to the length that the model was made for."""
    tokenizer = Tokenizer.from_file(str(FOLDER / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(FACTS["card"]["settings"].get("max_length", 128))
    if BY_WORD:
        return tokenizer.encode_batch([text.split() for text in texts], is_pretokenized=True)
    pairs = [tuple(text.split("\t", 1)) for text in texts]
    return tokenizer.encode_batch([pair if len(pair) == 2 else pair[0] for pair in pairs])


def logits(encodings: list[Encoding]) -> np.ndarray:
    """Return the logits of a batch: (texts, classes), or (texts, tokens, classes) for tags."""
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
    session = onnxruntime.InferenceSession(str(FOLDER / "model.onnx"))
    taken = [given.name for given in session.get_inputs()]
    return session.run(None, {name: inputs[name] for name in taken})[0]


def main() -> None:
    """Print the class of every text, or the tag of every word."""
    texts = sys.argv[1:] or ["a text"]
    encodings = encoded(texts)
    for text, encoding, found in zip(texts, encodings, logits(encodings), strict=True):
        print(tagged(text, encoding, found) if BY_WORD else classified(text, found))


def classified(text: str, found: np.ndarray) -> str:
    """Return the likeliest class of a text and its probability; logits (classes,)."""
    shares = np.exp(found - found.max())
    return f"{FACTS['labels'][found.argmax()]} {shares.max() / shares.sum():.3f} {text}"


def tagged(text: str, encoding: Encoding, found: np.ndarray) -> str:
    """Return every word with its tag, that of its first piece; logits (tokens, classes)."""
    first: dict[int | None, int] = {}
    for at, word in enumerate(encoding.word_ids):
        first.setdefault(word, at)
    tags = {word: FACTS["labels"][found[at].argmax()] for word, at in first.items()}
    return " ".join(f"{word}/{tags.get(at, 'cut')}" for at, word in enumerate(text.split()))


if __name__ == "__main__":
    main()
