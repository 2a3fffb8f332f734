"""Controls: the same heads and passes without distillation."""

import pytest
import torch
from torch.testing import assert_close

import selfdistill as sd
from selfdistill.errors import UserError
from selfdistill.methods import REGISTRY, ce, drg, dsr, kd, parse_method
from selfdistill.study.compare import with_controls
from tests.contract.steps import Training, distil, parameters


def test_a_control_trains_its_head_and_leaves_the_imitation_out():
    whole, control = (Training(distil(text)) for text in ("drg()", "control(drg())"))
    first = whole.distiller.method.weights
    assert control.distiller.method.weights == first
    losses = whole.steps(1).log[0], control.steps(1).log[0]
    assert losses[0].keys() == losses[1].keys()
    assert_close(losses[0]["guidance.mimic"], losses[1]["guidance.mimic"])  # it is measured all the same
    total = control.distiller.total(losses[1])
    assert_close(total, losses[1]["task"] + losses[1]["guidance.learn"])


def test_a_control_without_heads_is_cross_entropy():
    plain, control = Training(distil("ce()")).steps(3), Training(distil("control(scd())")).steps(3)
    assert torch.equal(parameters(plain.distiller.student), parameters(control.distiller.student))


def test_expressions_of_controls():
    made = parse_method("control(drg(alpha=0.5) + dsr())")
    assert made.control
    assert made.text == "control(drg(alpha=0.5) + dsr())"
    assert parse_method(made.text).text == made.text
    assert made.resolved == " + ".join(sorted(f"control({call})" for call in (drg(alpha=0.5) + dsr()).calls))
    with pytest.raises(UserError, match="half a control; write control"):
        made + ce()
    for text in ("control()", "control(drg(), dsr())", "control(a=drg())"):
        with pytest.raises(UserError, match="goes around one expression"):
            parse_method(text)


def test_control_of_a_method_or_an_expression():
    assert sd.control("drg()").text == sd.control(drg()).text == "control(drg())"
    assert sd.control(drg() + dsr()).resolved == parse_method("control(drg() + dsr())").resolved
    with pytest.raises(UserError, match="there is no method 'nothing'"):
        sd.control("nothing()")


def test_controls_are_added_where_there_is_something_to_control():
    asked = ["ce()", "drg(alpha=0.5)", "scd()", "byot()", "kd()"]
    assert with_controls(asked) == [
        "ce()",
        "drg(alpha=0.5)",
        "control(drg(alpha=0.5))",
        "scd()",
        "byot()",
        "control(byot())",
        "kd()",
    ]
    assert not kd().as_control().has_control


@pytest.mark.parametrize("name", REGISTRY)
def test_a_term_that_learns_says_so_and_gives_its_parts(name):
    distiller = distil(f"{name}()")
    losses = Training(distiller).steps(1).log[0]
    for term, each in distiller.terms.items():
        if term != "task":
            assert each.uses_labels == (f"{term}.learn" in losses), f"{term} of {name}"
