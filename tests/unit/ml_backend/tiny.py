"""Small transformers that are made and trained in a second: real checkpoints for tests, without any download."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tokenizers import Tokenizer, normalizers, pre_tokenizers, processors
from tokenizers.models import WordPiece

if TYPE_CHECKING:
    import torch

WORDS = ("good", "bad", "fine", "poor", "ana", "ben", "acme", "met", "and", "the", "in", "so", ".", ",", "!")
VOCABULARY = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    *WORDS,
    *"abcdefghijklmnopqrstuvwxyz",
    *(f"##{c}" for c in "abcdefghijklmnopqrstuvwxyz"),
]


def need_torch() -> None:
    """Skip the test, or the module, that calls this where the extra `transformers` is not installed."""
    for package in ("torch", "transformers"):
        pytest.importorskip(package, reason=f"{package} is not installed (extra transformers)")


def save_tokenizer(folder: Path) -> Tokenizer:
    """A lower-casing WordPiece tokenizer with BERT's special tokens."""
    need_torch()
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(WordPiece({word: i for i, word in enumerate(VOCABULARY)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    ).save_pretrained(folder)
    return tokenizer


def config(classes: Sequence[str], activation: str = "gelu") -> Any:
    """A BERT of two layers, 32 wide."""
    need_torch()
    import torch
    from transformers import BertConfig

    torch.manual_seed(7)
    return BertConfig(
        vocab_size=len(VOCABULARY), hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64,
        hidden_act=activation, max_position_embeddings=64, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
        id2label=dict(enumerate(classes)), label2id={name: i for i, name in enumerate(classes)},
    )  # fmt: skip


def encoder(folder: Path, activation: str = "gelu") -> Path:
    """An untrained encoder."""
    save_tokenizer(folder)
    from transformers import BertModel

    BertModel(config(["x"], activation), add_pooling_layer=False).save_pretrained(folder)
    return folder


def text_classifier(folder: Path, classes: Sequence[str], examples: Sequence[tuple[str, int]], steps: int = 60) -> Path:
    """A sequence classifier that has learned `examples` by heart."""
    tokenizer = save_tokenizer(folder)
    import torch
    from transformers import BertForSequenceClassification

    model = BertForSequenceClassification(config(classes))
    ids, mask = _batch(tokenizer, [text for text, _ in examples])
    labels = torch.tensor([label for _, label in examples])
    _learn(model, lambda: model(input_ids=ids, attention_mask=mask, labels=labels).loss, steps)
    model.save_pretrained(folder)
    return folder


def token_classifier(folder: Path, classes: Sequence[str], words: dict[str, str], steps: int = 150) -> Path:
    """A token classifier that gives each word of `words` its class, and anything else O."""
    tokenizer = save_tokenizer(folder)
    import torch
    from transformers import BertForTokenClassification

    model = BertForTokenClassification(config(classes))
    generator = torch.Generator().manual_seed(7)
    names = [*words, *(word for word in WORDS if word not in words)]
    texts = [" ".join(names[i] for i in torch.randint(len(names), (8,), generator=generator)) for _ in range(128)]
    ids, mask = _batch(tokenizer, texts)
    by_id = {tokenizer.token_to_id(word): classes.index(name) for word, name in words.items()}
    labels = torch.tensor([[by_id.get(int(i), classes.index("O")) for i in row] for row in ids])
    _learn(model, lambda: model(input_ids=ids, attention_mask=mask, labels=labels).loss, steps)
    model.save_pretrained(folder)
    return folder


def _batch(tokenizer: Tokenizer, texts: Sequence[str]) -> tuple[torch.Tensor, torch.Tensor]:
    import torch

    encodings = tokenizer.encode_batch(list(texts))
    width = max(len(one) for one in encodings)
    ids = torch.zeros((len(encodings), width), dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, one in enumerate(encodings):
        ids[row, : len(one)] = torch.tensor(one.ids)
        mask[row, : len(one)] = 1
    return ids, mask


def _learn(model: torch.nn.Module, loss: object, steps: int) -> None:
    import torch

    torch.set_num_threads(1)  # so small a model is slower with more
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    model.train()
    for _ in range(steps):
        optimizer.zero_grad()
        loss().backward()  # type: ignore[operator]
        optimizer.step()
    model.eval()
