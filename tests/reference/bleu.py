"""Scores of the pairs in bleu.tsv by sacrebleu's corpus BLEU with its defaults, into bleu.json.

    pip install sacrebleu==2.6.0 && python bleu.py
"""

import json
from pathlib import Path

from sacrebleu.metrics import BLEU

here = Path(__file__).parent
lines = (here / "bleu.tsv").read_text(encoding="utf-8").splitlines()
pairs = [line.split("\t") for line in lines if not line.startswith("#")]


def score(pairs):
    written, true = [p[0] for p in pairs], [p[1] for p in pairs]
    return BLEU().corpus_score(written, [true]).score


scores = {"all": score(pairs)}
scores |= {f"line {i}": score([pair]) for i, pair in enumerate(pairs, 1)}
(here / "bleu.json").write_text(json.dumps(scores, indent=1) + "\n")
