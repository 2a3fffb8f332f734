"""Findings and caveats agree with the numbers."""

import re

from selfdistill.report.runs import runs_of
from selfdistill.report.tables.accuracy import footer
from selfdistill.report.text.caveats import caveats
from selfdistill.report.text.findings import findings
from selfdistill.study.analysis.summary import summary_rows
from tests.helpers.written_studies import BASE, GAINS, write


def told(study):
    """The sentences without their marks."""
    return [re.sub(r"</?\w+>", "", each).replace("\u00a0", " ") for each in findings(study, summary_rows(study))]


def test_better_worse_and_not_distinguishable(tmp_path):
    sentences = told(write(tmp_path))
    assert sentences[:3] == [
        "drg(alpha=0.1) + dsr(weight=2) is better than ce() by 1.00 points (95 % interval 0.80 to 1.20) and "
        "csd() by 0.64 (0.50 to 0.78).",
        "scd() is worse than ce() by 4.00 points (95 % interval 3.66 to 4.34) and sad() by 1.00 (0.80 to 1.20).",
        "byot(), label_smoothing() and &lt;img src=x onerror=alert(1)&gt; cannot be distinguished from ce() with "
        "these seeds, which could show differences of 0.49 to 1.06 points or more; if the observed differences are "
        "true, 236 to more than 1,000 seeds are needed to detect them.",
    ]
    assert sentences[3] == (
        "A step takes 1.05 (label_smoothing()) to 1.35 (&lt;img src=x onerror=alert(1)&gt;) times as long as with ce()."
    )
    assert sentences[4] == "Extra parameters in training, not in the exported model: scd() 9,610 and byot() 9,610."


def test_one_seed_and_one_method(tmp_path):
    gains = {name: GAINS[name] for name in ("ce()", "csd()")}
    assert told(write(tmp_path / "a", gains, seeds=1)) == [
        "One seed is not enough to compare csd() with ce().",
        "A step takes 1.05 times as long as with ce().",
    ]
    alone = write(tmp_path / "b", {"csd()": GAINS["csd()"]})
    assert told(alone) == [
        "There is nothing to compare yet: finish runs of csd() and another method with the same seed."
    ]


def test_seeds_needed_are_stated_once(tmp_path):
    gap = (1.0, -0.5, 0.8, 0.4, 0.2)
    one = told(write(tmp_path / "a", {"ce()": GAINS["ce()"], "csd()": gap}))
    two = told(write(tmp_path / "b", {"ce()": GAINS["ce()"], "csd()": gap, "drg()": gap}))
    assert re.search(r"if the observed differences are true, \d+ to \d+ seeds are needed to detect them\.$", one[0])
    assert re.search(r"if the observed differences are true, \d+ to \d+ seeds are needed to detect them\.$", two[0])


def test_caveats(tmp_path):
    study = write(tmp_path)
    text = " ".join(caveats(study, summary_rows(study), runs_of(study))).replace("\u00a0", " ")
    assert "With only 5 seeds, a true difference may not be significant." in text
    assert "The 7 verdicts are Holm-corrected" in text
    assert "The test set has 359 images: one image is 0.28 points." in text
    assert "Results hold for resnet8 on digits with 1,294 training images for 3 epochs" in text
    assert BASE.epochs == 3


def test_equal_differences_have_no_test_without_the_number_of_images(tmp_path):
    gains = {"ce()": (0.0, 1.0, 2.0), "csd()": (0.5, 1.5, 2.5)}
    study = write(tmp_path, gains, seeds=3)
    assert told(study)[0] == "No test is possible of csd() against ce(): all differences are equal."
    assert any(line.startswith("untested: all differences are equal and the number of") for line in footer(study))
    study.test_images = 10_000
    assert told(study)[0].startswith("csd() is better than ce() by 0.50 points")
    assert not any(line.startswith("untested") for line in footer(study))
