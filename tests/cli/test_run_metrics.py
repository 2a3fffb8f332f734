from selfdistill.cli.run_metrics import format_metrics, skipped_metrics


def test_numbers_in_one_table_and_rows_in_their_own():
    found = {
        "accuracy": {"top1": 50.0, "nll": 1.25},
        "spread": {"ratio": None},
        "classes": [{"class": "cat", "images": 1200, "top1": 5.0, "precision": None, "taken_for": "dog"}],
        "pgd": {"2/255": 3.0},
        "corruption": {"fog": [5.0, 4.0, 3.0, 2.0, 1.0], "mean": 3.0},
        "outside": {"data": "svhn", "images": 64, "energy": {"auroc": 90.0}},
        "cost": {"parameters": 78042},
    }
    numbers, corruption, classes = format_metrics(found)
    assert numbers.splitlines() == [
        "top1                  50.0000",
        "nll                   1.2500",
        "ratio                 –",
        "pgd 2/255             3.0000",
        "corruption mean       3.0000",
        "outside data          svhn",
        "outside images        64",
        "outside energy auroc  90.0000",
        "parameters            78,042",
    ]
    assert corruption.splitlines() == [
        "corruption  1       2       3       4       5",
        "fog         5.0000  4.0000  3.0000  2.0000  1.0000",
    ]
    assert classes.splitlines() == [
        "class  images  top1    precision  taken_for",
        "cat    1,200   5.0000  –          dog",
    ]


def test_a_table_alone():
    assert len(list(format_metrics({"classes": [{"class": "cat", "top1": 5.0}]}))) == 1


def test_skipped_metrics_name_the_required_option():
    changed = {name: {} for name in ("fgsm", "pgd", "corruption")}
    assert skipped_metrics(changed | {"knn": {}, "recall": {}, "spread": {}}) == "outside (needs --ood DATA)"
    assert skipped_metrics(changed | {"outside": {}, "knn": {}, "recall": {}}) == "spread (needs --classifier PATH)"
    assert skipped_metrics({"segmentation": {}, "class_iou": {}, "cost": {}}, "segment") == ""
