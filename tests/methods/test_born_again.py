import pytest
import torch
from torch.testing import assert_close

from selfdistill.errors import UserError
from selfdistill.method.networks import Teacher
from selfdistill.methods import born_again, kd, parse_method
from selfdistill.train import networks as teacher
from selfdistill.train.run import run
from tests.helpers.small_runs import small
from tests.helpers.step_contexts import only, step_context
from tests.train.conftest import digits  # noqa: F401  # a fixture


def draw():
    draws = torch.Generator().manual_seed(0)
    logits, told = (torch.randn(6, 5, generator=draws, dtype=torch.float64) for _ in range(2))
    return logits, told, torch.randint(0, 5, (6,), generator=draws)


def value(method, step):
    return sum(method.weights[name] * term.loss(step) for name, term in method.all_terms.items())


def test_the_loss_is_the_plain_loop():
    logits, told, labels = draw()
    loop = 0.0
    for z, t, y in zip(logits, told, labels, strict=True):
        p, q = z.exp() / z.exp().sum(), t.exp() / t.exp().sum()
        loop += (-p[y].log() + sum(q[k] * (q[k] / p[k]).log() for k in range(5))) / 6
    assert_close(value(born_again(), step_context(logits, labels, views={"teacher": told})), loop)


def test_it_is_twice_kd_in_equal_parts():
    logits, told, labels = draw()
    step = step_context(logits, labels, views={"teacher": told})
    assert_close(value(born_again(), step), 2 * value(kd(alpha=0.5, temperature=1.0), step))


def test_each_generation_is_taught_by_the_one_before():
    assert born_again().networks == {"teacher": Teacher(taught_by="ce()")}
    made, met = born_again(generations=3), []
    while made.networks:
        met.append(made.resolved)
        made = parse_method(made.networks["teacher"].taught_by)
    assert met == [f"born_again(generations={g})" for g in (3, 2, 1)]
    assert made.resolved == "ce()"


@pytest.mark.parametrize("generations", [0, -1, 1.5])
def test_generations_are_counted_from_one(generations):
    with pytest.raises(UserError, match="generations must be a whole number from 1 to 20"):
        born_again(generations=generations)


def test_a_run_trains_its_ancestors_first(digits, tmp_path):  # noqa: F811
    run(small("born_again(generations=2)", epochs=1), tmp_path / "child", splits=digits)
    told = sorted(teacher.load_run(folder)[1]["method"] for folder in (tmp_path / "teachers").iterdir())
    assert told == ["born_again()", "ce()"]
    assert only(born_again(), "parent").weight == 1.0
