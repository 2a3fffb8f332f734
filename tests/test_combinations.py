"""Any two methods: they add, or the answer names both and the way out."""

import re

import pytest

from selfdistill.data.requirements import SameClassImage
from selfdistill.errors import UserError
from selfdistill.method import Method
from selfdistill.methods import REGISTRY, bake, cs_kd, ddgsd, dlb, drg, eed, one, parse_method, pcl, ps_kd, sla

WAYS_OUT = re.compile(
    r"; (train with one of the two|leave one out|a method can be added once|name the same one in both)"
)


def added(one, other):
    try:
        return one + other
    except UserError as error:
        return str(error)


@pytest.mark.parametrize("name", REGISTRY)
def test_two_methods_add_or_the_answer_says_what_to_do(name):
    for other in REGISTRY:
        found = added(parse_method(f"{name}()"), parse_method(f"{other}()"))
        if isinstance(found, str):
            assert f"{name}(" in found, found
            assert f"{other}(" in found, found
            assert WAYS_OUT.search(found), found
        else:
            assert found.text == f"{name}() + {other}()"


@pytest.mark.parametrize("name", REGISTRY)
def test_the_order_of_two_methods_does_not_matter(name):
    for other in REGISTRY:
        first, second = (
            added(parse_method(f"{a}()"), parse_method(f"{b}()")) for a, b in ((name, other), (other, name))
        )
        assert isinstance(first, str) == isinstance(second, str)
        if not isinstance(first, str):
            assert first.resolved == second.resolved


@pytest.mark.parametrize(
    ("one", "other", "answer"),
    [
        (
            ddgsd(),
            pcl(),
            r"ddgsd\(\) and pcl\(\) each need batches of their own "
            r"\(ExtraAugmentation\(more=1\) and ExtraAugmentation\(more=2\)\); train with",
        ),
        (
            bake() + cs_kd(itself=False),
            Method(needs={"peer": SameClassImage(itself=True)}, text="pairs()"),
            r"bake\(\) \+ cs_kd\(itself=False\) and pairs\(\) each need batches of their own "
            r"\(SameClassImage\(itself=False\)",
        ),
        (dlb(), sla(), r"dlb\(\) and sla\(\) each set their own task \(LastBatch and JointLabels\); leave one out"),
        (drg(), drg(), r"drg\(\) and drg\(\) both have the term 'guidance'; a method can be added once"),
        (eed(), one(), r"eed\(\) and one\(\) both have the term 'ensemble'; train with one of the two"),
        (ps_kd(), sla(), r"ps_kd\(\) and sla\(\) each set their own task"),
    ],
)
def test_two_samplers_two_tasks_or_two_terms_of_a_name_are_refused(one, other, answer):
    with pytest.raises(UserError, match=answer):
        one + other
