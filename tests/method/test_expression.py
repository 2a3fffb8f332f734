from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfdistill.errors import UserError
from selfdistill.method import Method
from selfdistill.method.constructor import method_constructor, signature
from selfdistill.method.networks import Teacher
from selfdistill.methods import REGISTRY, csd, drg, dsr, kd, mixup, parse_method, parse_stored_method, scd, stkd


@method_constructor
def mine(alpha: float = 0.5) -> Method:
    return Method()


@method_constructor
def counted(share: float = 0.5, count: int = 3, kind: Literal["a", 1] = "a", detach: bool = True) -> Method:
    return Method()


@method_constructor
def nothing() -> int:
    return 3


@method_constructor
def fails() -> Method:
    raise RuntimeError("on purpose")


def plain() -> Method:
    raise AssertionError("an unmarked function was called")


NUMBER = 3
HERE = "tests.method.test_expression"


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
        ("mixup(images=2.5)", r"mixup: images must be a whole number from 2 to 1,000,000, but is 2.5"),
        ("mixup(images=1)", r"mixup: images must be a whole number from 2 to 1,000,000, but is 1"),
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
        (drg(), drg(alpha=0.1), r"drg\(\) and drg\(alpha=0.1\) both have the term 'guidance'"),
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


@pytest.mark.parametrize("name", [f"{HERE}:plain", f"{HERE}:NUMBER", f"{HERE}:Literal", "unittest.mock:call"])
def test_only_marked_constructors_are_called(name):
    with pytest.raises(UserError, match=f"{name} is not called: it is not marked as a method's constructor; write @"):
        parse_method(f"{name}()")


@pytest.mark.parametrize("text", ["os:mkdir('{}')", "ce() + os:mkdir('{}')", "control(os:mkdir('{}'))"])
def test_a_name_in_a_file_calls_nothing(text, tmp_path):
    text = text.format(tmp_path / "made")
    with pytest.raises(UserError, match=r"the module 'os', which is not imported for a name in a file; .*--modules os"):
        parse_stored_method(text)
    with pytest.raises(UserError, match="os:mkdir is not called"):
        parse_stored_method(text, ["os"])
    with pytest.raises(UserError, match="os:mkdir is not called"):
        parse_method(text)
    assert not (tmp_path / "made").exists()


def test_a_name_in_a_file_imports_nothing(tmp_path, monkeypatch):
    (tmp_path / "stranger_module.py").write_text("raise SystemExit(7)")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UserError, match="which is not imported for a name in a file"):
        parse_stored_method("stranger_module:made()")
    with pytest.raises(UserError, match="cannot import stranger_module:made: the module raised SystemExit: 7"):
        parse_stored_method("stranger_module:made()", ["stranger_module"])


def test_a_stored_method_is_the_registrys_or_of_a_named_module():
    assert parse_stored_method("drg(alpha=0.3) + dsr()").text == "drg(alpha=0.3) + dsr()"
    assert parse_stored_method(f"{HERE}:mine()", [HERE]).text == f"{HERE}:mine()"
    with pytest.raises(UserError, match="not imported for a name in a file"):
        parse_stored_method(f"{HERE}:mine()", ["tests", "tests.method"])


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("kd(temperature=1, temperature=2)", "kd is given the argument temperature more than once"),
        ("kd(**{'alpha': 0.5})", r"the arguments of kd\(…\) must be plain values"),
        ("kd(*(1, 2))", r"the arguments of kd\(…\) must be plain values"),
        ("kd({[]: 1})", r"the arguments of kd\(…\) must be plain values"),
        ("dsr(weight=1e999)", "dsr: weight must be a number of 0 or more, but is inf"),
        ("dsr(weight=-1e999)", "dsr: weight must be a number of 0 or more, but is -inf"),
        (f"dsr(weight={'9' * 400})", "dsr: weight must be a number of 0 or more, but is a whole number of 1329 bits"),
        (f"dsr(weight={'9' * 5000})", "cannot read the method .*limit"),
        (f"dsr(weight=0x{'f' * 5000})", "dsr: weight must be a number .*is a whole number of 20000 bits"),
        (f"mixup(images={10**18})", "mixup: images must be a whole number from 2 to 1,000,000, but is 1000000000000"),
        ("mixup(images=True)", "mixup: images must be a whole number .*, but is True"),
        ("born_again(generations=2000)", "born_again: generations must be a whole number from 1 to 20, but is 2000"),
        ("dml(networks=21)", "dml: networks must be a whole number from 2 to 20, but is 21"),
        ("kd(temperature=1j)", "kd: temperature must be a number above 0, but is 1j"),
        ("csd(detach=1)", "csd: detach must be True or False, but is 1"),
        (f"{HERE}:counted(kind=True)", "counted: kind must be 'a' or 1, but is True"),
        (f"drg({'-' * 3000}1)", "nested too deeply"),
        (f"drg({'(' * 500}1{')' * 500})", "cannot read the method .*nested"),
        ("ce(a" + ".a" * 3000 + ")", "cannot read the method"),
        ("a" + ".a" * 3000 + "()", "cannot read the method .*nested too deeply"),
        (" + ".join(["ce()"] * 6000), r"it has 41,997 characters; at most 10,000 are read"),
        ("a" * 1_000_000, "it has 1,000,000 characters"),
        ("ce()\0", "cannot read the method .*null"),
        ("ce(\udcff)", "it has bytes that are not UTF-8"),
        ("os._colon_.mkdir('x')", "no name may contain _colon_"),
        (r"drg(tap='\d')", "invalid escape sequence"),
        ("(lambda: 1)()", "is no name of a method"),
        ("", "cannot read the method ''"),
        (f"{HERE}:fails()", rf"{HERE}:fails\(\) raised RuntimeError: on purpose; fix it"),
        (f"{HERE}:nowhere()", f"cannot import {HERE}:nowhere"),
    ],
    ids=range(30),
)
def test_no_expression_ends_in_another_error(text, answer):
    with pytest.raises(UserError, match=answer) as found:
        parse_method(text)
    assert len(str(found.value)) < 1000


def test_a_module_that_cannot_be_parsed(tmp_path, monkeypatch):
    (tmp_path / "broken_module.py").write_text("def (:\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UserError, match="cannot import broken_module:f: the module raised SyntaxError"):
        parse_method("broken_module:f()")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("bake(weight=1)", "bake(weight=1.0)"),
        ("bake(weight=2)", "bake(weight=2.0)"),
        ("kd(warmup=0)", "kd(warmup=-0.0)"),
        ("kd(alpha=1)", "kd(alpha=1.0)"),
        (f"{HERE}:counted(share=2)", f"{HERE}:counted(share=2.0)"),
        ("control(dsr(weight=3))", "control(dsr(weight=3.0))"),
    ],
)
def test_equal_numbers_are_one_method(one, other):
    first, second = parse_method(one), parse_method(other)
    assert (first.text, first.resolved) == (second.text, second.resolved)
    assert parse_method(first.text).resolved == first.resolved
    assert parse_method(first.resolved).resolved == first.resolved


def test_quoted_text_with_quotes_stays():
    assert parse_method(r"kd(teacher='it\'s os:x(y)')").networks == {"teacher": Teacher("it's os:x(y)")}
    assert parse_method("""kd(teacher='''it's os:x(y)''')""").networks == {"teacher": Teacher("it's os:x(y)")}


def test_a_long_module_name_is_cut_in_the_message():
    with pytest.raises(UserError, match="cannot import") as caught:
        parse_method(f"{'on' * 3000}_x:raises()")
    assert len(str(caught.value)) < 1000
