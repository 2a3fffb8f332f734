from selfdistill.heads import regressor
from tests.helpers.random_features import tokens


def test_only_without_relu_can_a_guess_be_negative():
    maps, shapes = tokens(0, 8, 3, 4, 4).float(), ((8, 3, 4, 4), (8, 5, 4, 4))
    assert regressor(*shapes)(maps).min() == 0
    assert regressor(*shapes, relu=False)(maps).min() < 0
