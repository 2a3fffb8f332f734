import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from selfdistill.functional import top_ranked_mask

SHARES = st.integers(0, 64).map(lambda share: share / 64)  # whose products with a count are exact in float32 too


@given(st.integers(0, 2**31), st.integers(1, 12), SHARES)
@settings(max_examples=40)
def test_right_rows_and_a_share_of_the_best_wrong_ones_are_kept(seed, rows, share):
    draws = torch.Generator().manual_seed(seed)
    logits, labels = torch.randn(rows, 4, generator=draws), torch.randint(0, 4, (rows,), generator=draws)
    rank = [sorted(row, reverse=True).index(row[label]) for row, label in zip(logits.tolist(), labels, strict=True)]
    wrong = sum(each > 0 for each in rank)
    best = sorted(range(rows), key=lambda row: rank[row])[: rows - wrong + int(wrong * share)]
    assert top_ranked_mask(logits, labels, share).nonzero()[:, 0].tolist() == sorted(best)
