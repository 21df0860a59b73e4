"""What evaluate says of labelled texts that a classifier cannot be measured on."""

import pytest

from seqcli.classification import evaluate
from seqcli.classification.data import Example, Examples
from seqcli.errors import InputError


def test_a_label_that_the_model_has_not_is_named_beside_the_first_of_its_own() -> None:
    labels = [f"label{k}" for k in range(500)]
    rows = Examples(
        "t.csv", [Example("猫", "label3", None, "t.csv: row 2"), Example("犬", "動物", None, "t.csv: row 3")]
    )
    with pytest.raises(
        InputError, match=r"'動物' \(1 row\) is none of the model's: label0, .*label19 and 480 more$"
    ) as said:
        evaluate._gold(rows, labels)
    assert said.value.where == "t.csv: row 3"
    assert evaluate._gold(Examples("t.csv", rows.examples[:1]), labels).tolist() == [3]
