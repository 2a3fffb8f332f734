import pytest
import torch

from selfdistill.data.class_weights import class_weights, example_weights, inverse_frequency
from selfdistill.errors import UserError

CLASSES = ("cat", "dog", "owl")
LABELS = torch.tensor([0, 0, 0, 1, 1, 2])


def test_rare_classes_weigh_more_and_the_mean_over_examples_is_one():
    found = class_weights("auto", LABELS, CLASSES)
    assert found.tolist() == pytest.approx([6 / 9, 1.0, 2.0])
    assert found[LABELS].mean() == pytest.approx(1.0)
    assert inverse_frequency(LABELS, 3).equal(found)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("weights.json", '{"dog": 2, "cat": 0.5, "owl": 3.5}'),
        ("weights.csv", "class,weight\nowl,3.5\ncat,0.5\ndog,2\n"),
        ("weights.tsv", "weight\tclass\n3.5\towl\n0.5\tcat\n2\tdog\n"),
    ],
)
def test_a_file_names_the_classes(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    assert class_weights(str(tmp_path / name), LABELS, CLASSES).tolist() == [0.5, 2.0, 3.5]


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("w.json", '{"cat": 1, "dog": 2}', "has no weight for classes: 'owl'; the classes are 'cat', 'dog', 'owl'"),
        ("w.json", '{"cat": 1, "dog": 2, "owl": 1, "cow": 1}', "names classes that the data lack: 'cow'"),
        (
            "w.json",
            '{"cat": 1, "dog": 0, "owl": 1}',
            "the weight of the class 'dog' in .* is 0; it must be a",
        ),
        ("w.json", '{"cat": 1, "dog": "2", "owl": 1}', "the weight of the class 'dog' in .* is '2'"),
        ("w.json", '{"cat": 1, "dog": true, "owl": 1}', "the weight of the class 'dog' in .* is True"),
        ("w.json", "[1, 2, 3]", "an object is wanted"),
        ("w.csv", "class,weight\ncat,1\ncat,2\ndog,1\nowl,1\n", "gives the class 'cat' several weights; leave one"),
        ("w.csv", "class,weight\ncat,much\ndog,1\nowl,1\n", "the weight of the class 'cat' in .* is 'much'"),
        ("w.csv", "name,weight\ncat,1\ndog,1\nowl,1\n", "has no column 'class'; its columns are name, weight"),
    ],
)
def test_wrong_files_are_refused(tmp_path, name, text, why):
    (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=why):
        class_weights(str(tmp_path / name), LABELS, CLASSES)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"there is no file .*none\.json.; class weights are auto, or a JSON"):
        class_weights(str(tmp_path / "none.json"), LABELS, CLASSES)


def test_weights_of_examples_and_of_classes_multiply():
    own, by_class = torch.arange(6.0), torch.tensor([1.0, 2.0, 4.0])
    assert example_weights(LABELS, own, None) is own
    assert example_weights(LABELS, None, None) is None
    assert example_weights(LABELS, None, by_class).tolist() == [1, 1, 1, 2, 2, 4]
    assert example_weights(LABELS, own, by_class).tolist() == [0, 1, 2, 6, 8, 20]
