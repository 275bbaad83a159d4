from __future__ import annotations

import pytest

from detector.cli.live import partitions_of, show
from detector.control.wire import Answer


def test_the_partitions_of_all_daemons_are_one_list() -> None:
    answers = [Answer(1, {"partitions": [{"partition": "t/0"}, {"partition": "t/1"}]}), Answer(2, {"partitions": []})]
    assert partitions_of(answers) == [{"partition": "t/0"}, {"partition": "t/1"}]


@pytest.mark.parametrize(("as_json", "printed"), [(True, '{"asked": ["t/0"]}\n'), (False, "one\ntwo\n")])
def test_an_answer_is_one_json_object_for_programs_and_lines_for_people(
    capsys: pytest.CaptureFixture[str], *, as_json: bool, printed: str
) -> None:
    show({"asked": ["t/0"]}, (line for line in ("one", "two")), as_json=as_json)
    assert capsys.readouterr().out == printed
