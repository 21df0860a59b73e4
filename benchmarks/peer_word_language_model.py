"""The peer of the word benchmark: a language model trained as PyTorch's example ``word_language_model`` is by default.

    python benchmarks/peer_word_language_model.py TRAIN VALID --cpu-seconds 600

Written by us after the example's published defaults: 2 LSTM layers of 200 units on embeddings of 200, weights not tied,
dropout 0.2 behind embedding, layers and output, every weight of embedding and decoder uniform in ±0.1; batches of 20
rows of 35 words, state carried on; plain gradient descent from a rate of 20, gradients clipped at a norm of 0.25, the
rate divided by 4 after an epoch that is no better on the validation text. A line is a sentence and ends with ``<eos>``.
Prints the validation perplexity after every 60 CPU seconds of training, as JSON lines.
"""

import argparse
import json
import math
import time
from pathlib import Path

import torch
from torch import nn

ROWS, STEPS, SIZE, LAYERS, DROPOUT, RATE, CLIP, ANNEAL = 20, 35, 200, 2, 0.2, 20.0, 0.25, 4.0


class Peer(nn.Module):
    """Embedding, LSTM, decoder."""

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.drop = nn.Dropout(DROPOUT)
        self.embedding = nn.Embedding(vocabulary, SIZE)
        self.lstm = nn.LSTM(SIZE, SIZE, LAYERS, dropout=DROPOUT)
        self.decoder = nn.Linear(SIZE, vocabulary)
        for weight in (self.embedding.weight, self.decoder.weight):
            nn.init.uniform_(weight, -0.1, 0.1)
        nn.init.zeros_(self.decoder.bias)

    def forward(
        self, words: torch.Tensor, state: tuple[torch.Tensor, torch.Tensor]
    ) -> tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor]]:
        """Logits of the next words, ``(t · b, V)``, and the state."""
        out, state = self.lstm(self.drop(self.embedding(words)), state)
        return self.decoder(self.drop(out)).flatten(0, 1), state


def main() -> None:
    """Trains for the time that was asked for."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("train", type=Path)
    asked.add_argument("valid", type=Path)
    asked.add_argument("--cpu-seconds", type=float, default=600)
    options = asked.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(1)
    texts = [path.read_text("utf-8").replace("\n", " <eos> ").split() for path in (options.train, options.valid)]
    index = {word: number for number, word in enumerate(dict.fromkeys(texts[0]))}
    train, valid = (torch.tensor([index.get(word, index["<unk>"]) for word in text]) for text in texts)
    model, rate, best = Peer(len(index)), RATE, math.inf
    clock, spoken, epoch = Clock(), 0.0, 0
    while clock.spent < options.cpu_seconds:
        epoch += 1
        columns, state = rows(train, ROWS), zeros(ROWS)
        for start in range(0, len(columns) - 1, STEPS):
            clock.run()
            words, targets = columns[start : start + STEPS], columns[start + 1 : start + 1 + STEPS]
            logits, state = model(words[: len(targets)], (state[0].detach(), state[1].detach()))
            model.zero_grad()
            nn.functional.cross_entropy(logits, targets.flatten()).backward()
            nn.utils.clip_grad_norm_(model.parameters(), CLIP)
            with torch.no_grad():
                for weight in model.parameters():
                    weight.add_(weight.grad, alpha=-rate)
            clock.stop()
            if clock.spent - spoken >= 60 or clock.spent >= options.cpu_seconds:
                spoken = clock.spent
                print(json.dumps(said(model, valid, clock.spent, epoch + start / len(columns) - 1)), flush=True)
            if clock.spent >= options.cpu_seconds:
                return
        clock.run()  # the example looks at the validation text after every epoch, too
        reached = perplexity(model, valid)
        clock.stop()
        rate, best = (rate, reached) if reached < best else (rate / ANNEAL, best)


class Clock:
    """Processor time of the training alone."""

    def __init__(self) -> None:
        self.spent = self.began = 0.0

    def run(self) -> None:
        """Goes on."""
        self.began = time.process_time()

    def stop(self) -> None:
        """Adds what has passed."""
        self.spent += time.process_time() - self.began


def rows(words: torch.Tensor, count: int) -> torch.Tensor:
    """``(t, count)``, each column a stretch of the text."""
    length = len(words) // count
    return words[: length * count].view(count, length).T.contiguous()


def zeros(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The state before the first word."""
    return torch.zeros(LAYERS, count, SIZE), torch.zeros(LAYERS, count, SIZE)


def perplexity(model: Peer, words: torch.Tensor) -> float:
    """Of the validation text, ten rows side by side as in the example."""
    model.eval()
    columns, state, total, count = rows(words, 10), zeros(10), 0.0, 0
    with torch.no_grad():
        for start in range(0, len(columns) - 1, STEPS):
            targets = columns[start + 1 : start + 1 + STEPS]
            logits, state = model(columns[start : start + len(targets)], state)
            total += float(nn.functional.cross_entropy(logits, targets.flatten(), reduction="sum"))
            count += targets.numel()
    model.train()
    return math.exp(total / count)


def said(model: Peer, valid: torch.Tensor, seconds: float, epochs: float) -> dict[str, float]:
    """A line of the results."""
    return {"cpu_s": round(seconds, 1), "epochs": round(epochs, 2), "perplexity": round(perplexity(model, valid), 2)}


if __name__ == "__main__":
    main()
