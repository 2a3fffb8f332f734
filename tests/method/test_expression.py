import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfdistill.errors import UserError
from selfdistill.method import Method
from selfdistill.method.constructor import method_constructor, signature
from selfdistill.method.networks import Teacher
from selfdistill.methods import REGISTRY, csd, drg, dsr, kd, mixup, parse_method, scd, stkd


@method_constructor
def mine(alpha: float = 0.5) -> Method:
    return Method()


def plain() -> Method:
    return Method()


def nothing() -> int:
    return 3


def test_text_comes_back():
    made = parse_method("drg(alpha=0.3) + dsr()")
    assert made.text == "drg(alpha=0.3) + dsr()"
    assert set(made.all_terms) == {"task", "guidance", "shape"}
    assert made.terms["guidance"].alpha == 0.3


def test_resolved_names_every_argument_whatever_the_order():
    one, other = parse_method("dsr() + drg()"), parse_method("drg(alpha=0.2)+dsr(1.0)")
    assert one.resolved == other.resolved
    assert one.resolved == (
        "drg(tap='stage2', alpha=0.2, temperature=4.0, head='light') + dsr(weight=1.0, temperature=4.0, forget='epoch')"
    )


@pytest.mark.parametrize("name", REGISTRY)
def test_every_method_reads_back_as_itself(name):
    made = REGISTRY[name]()
    assert made.text == f"{name}()"
    assert parse_method(made.text).resolved == made.resolved
    assert parse_method(made.resolved).resolved == made.resolved


@given(st.floats(0, 1), st.sampled_from(["stage1", "layer2", "a'b", 'c"d']))
def test_arguments_survive_as_text(alpha, tap):
    made = drg(alpha=alpha, tap=tap)
    again = parse_method(made.text)
    assert again.text == made.text
    assert again.terms["guidance"].taps == (tap,)


def test_a_method_of_ones_own():
    made = parse_method("tests.method.test_expression:mine(alpha=0.1) + dsr()")
    assert made.text == "tests.method.test_expression:mine(alpha=0.1) + dsr()"
    assert "tests.method.test_expression:mine(alpha=0.1)" in made.resolved
    assert parse_method("tests.method.test_expression:plain()").text == "tests.method.test_expression:plain()"


def test_colons_in_text_stay():
    assert parse_method("kd(teacher='C:/runs/x:y()')").networks == {"teacher": Teacher("C:/runs/x:y()")}


def test_a_method_passes_through():
    made = csd()
    assert parse_method(made) is made


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("drgg()", r"there is no method 'drgg'; did you mean drg"),
        (
            "zzz()",
            r"there is no method 'zzz'; `selfdistill methods` lists all \d+. Your own .* package.module:zzz\(\)",
        ),
        ("drg", r"a method is called: write drg\(\)"),
        ("drg(", r"cannot read the method 'drg\('"),
        ("drg() - dsr()", r"cannot read the method.*calls joined by \+"),
        ("3", r"'3' is no method"),
        ("drg(alpha=open('x'))", r"the arguments of drg\(…\) must be plain values.*open\('x'\)"),
        ("drg(beta=1)", r"drg: got an unexpected keyword argument 'beta'; its arguments are drg\(tap.*alpha"),
        ("dsr(1, 2, 'never', 4)", r"dsr: too many positional arguments"),
        ("scd(pairs='all')", r"scd: pairs must be 'adjacent' or 'last', but is 'all'"),
        ("drg(alpha='a')", r"drg: alpha must be a number of 0 or more, but is 'a'"),
        ("mixup(images=2.5)", r"mixup: images must be a whole number of 2 or more, but is 2.5"),
        ("mixup(images=1)", r"mixup: images must be a whole number of 2 or more, but is 1"),
        ("mixup(alpha=0)", r"mixup: alpha must be a number above 0, but is 0"),
        ("drg(temperature=0)", r"drg: temperature must be a number above 0, but is 0"),
        ("kd(alpha=3)", r"kd: alpha must be a number from 0 to 1, but is 3"),
        ("csd(trust=5)", r"csd: trust must be a number from 0 to 1, but is 5"),
        ("scd(power=0.5)", r"scd: power must be a number of 1 or more, but is 0.5"),
        ("dsr(weight=-1)", r"dsr: weight must be a number of 0 or more, but is -1"),
        ("kd(teacher=3)", r"kd: teacher must be text, but is 3"),
        ("sp(weight=-1)", r"sp: weight must be a number of 0 or more, but is -1"),
        ("sp(weight='a')", r"sp: weight must be a number of 0 or more, but is 'a'"),
        ("nowhere.at_all:mine()", r"cannot import nowhere.at_all:mine"),
        ("tests.method.test_expression:nothing()", r"made a int; a method's constructor returns a Method"),
    ],
)
def test_mistakes_are_answered(text, answer):
    with pytest.raises(UserError, match=answer):
        parse_method(text)


def test_methods_add():
    made = scd() + parse_method("lightskd()") + csd()
    assert set(made.all_terms) == {"task", "similarity", "guidance", "shape", "center"}
    assert len(made.papers) == 3


@pytest.mark.parametrize(
    ("one", "other", "answer"),
    [
        (drg(), drg(alpha=0.1), r"drg\(\) and drg\(alpha=0.1\) both bring the term 'guidance'"),
        (mixup(), csd(), r"mixup\(\) mixes the images.*csd\(\) reads whole images"),
        (csd(), mixup(), r"mixup\(\) mixes the images.*csd\(\) reads whole images"),
        (
            kd(alpha=0.5),
            stkd(),
            r"kd\(alpha=0.5\) and stkd\(\) each set their own task weight \(0.5 and 0.1\)",
        ),
        (mixup(alpha=0.2), stkd(), r"mixup\(alpha=0.2\) and stkd\(\) mix images differently"),
        (kd("a"), stkd("b"), r"name different networks as teacher: 'a' and 'b'"),
        (
            parse_method("label_smoothing()"),
            parse_method("label_smoothing(smoothing=0.2)"),
            r"label_smoothing\(\) and label_smoothing\(smoothing=0.2\) each set their own task",
        ),
    ],
)
def test_what_does_not_add_is_refused_with_both_names(one, other, answer):
    with pytest.raises(UserError, match=answer):
        one + other


def test_needs_merge():
    made = mixup() + stkd(target="mixed predictions") + kd("t")
    assert made.mixing.clean
    assert made.networks == {"teacher": Teacher("t")}
    assert made.weights["task"] == pytest.approx(0.1)


def test_signature():
    assert signature("dsr", dsr) == "dsr(weight=1.0, temperature=4.0, forget='epoch')"


def test_arguments_are_checked_early():
    with pytest.raises(UserError, match="unexpected keyword"):
        dsr(wieght=2)
