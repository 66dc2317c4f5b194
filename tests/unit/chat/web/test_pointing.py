import pytest

from chat.web.pointing import Pointing, read_pointing
from lisa.errors import PromptError


def test_reads_boxes_and_points():
    assert read_pointing({"box": [1, 2, 3.5, 4]}) == Pointing(box=(1.0, 2.0, 3.5, 4.0))
    assert read_pointing({"points": [[1, 2], [3, 4]]}) == Pointing(points=((1.0, 2.0), (3.0, 4.0)))


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        "box",
        {},
        {"box": [1, 2, 3]},
        {"box": [1, 2, 3, "4"]},
        {"box": [1, 2, 3, True]},
        {"box": [1, 2, 3, float("nan")]},
        {"box": [1, 2, 3, 10**400]},
        {"points": []},
        {"points": [[1, 2]] * 17},
        {"points": [[1, 2, 3]]},
        {"points": [1, 2]},
    ],
)
def test_refuses_anything_else(data):
    with pytest.raises(PromptError, match="click the picture or drag a box"):
        read_pointing(data)
