"""Random numbers of terms: by the key of a pass, and only where a term says that it draws them."""

import pytest
import torch

import selfdistill as sd
from tests.contract.steps import EXPRESSIONS, ROWS, Training, batch, clock, distil, images

LABELS = torch.arange(ROWS) % 5


def losses(text, key):
    """The losses of a first step with this key."""
    distiller = distil(text, "group")
    training, at = Training(distiller), clock(0)._replace(key=torch.tensor(key))
    return distiller(batch(0, distiller.method), at, training.memories).losses


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_a_term_that_draws_says_so(text):
    one, same, other = (losses(text, key) for key in (1, 1, 2))
    assert all(torch.equal(one[name], same[name]) for name in one)
    terms = distil(text).terms
    drawn = {name.partition(".")[0] for name in one if not torch.equal(one[name], other[name])}
    assert drawn == {name for name, term in terms.items() if term.uses_random}


def taught(seed, calls, state=None):
    """The losses of some calls of a custom loop, and its state after them."""
    torch.manual_seed(0)
    teach = sd.teach(sd.create("resnet8", 5, size=16), "sd_dropout()", images(0), seed=seed)
    if state:
        teach.load_state_dict(state)
    found = []
    for _ in range(calls):
        teach(images(0), LABELS)
        found.append(teach.losses["dropout"].item())
    return found, teach.state_dict()


def test_a_custom_loop_draws_by_its_seed_and_goes_on_after_a_resume():
    first, state = taught(0, 2)
    whole, _ = taught(0, 4)
    again, _ = taught(7, 2, state)
    assert first[0] != first[1]
    assert taught(1, 1)[0] != first[:1]
    assert [*first, *again] == pytest.approx(whole, rel=1e-5)  # running statistics apart, the student is the same
