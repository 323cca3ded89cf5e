"""Each mistake of the table is reported at its line and path, with what is wrong and what to do."""

from pathlib import Path
from string import Template

import pytest
import yaml

from inventory.errors import SiteFileError
from inventory.resolve import load_files

TABLE = yaml.safe_load((Path(__file__).parents[2] / "fixtures/sites/broken.yaml").read_text(encoding="utf-8"))


def text_of(case: dict[str, str]) -> str:
    return Template(case["text"]).safe_substitute(TABLE["parts"])


@pytest.mark.parametrize("case", TABLE["cases"], ids=lambda case: case["name"])
def test_the_first_problem_says_where_what_and_how_to_mend_it(case):
    with pytest.raises(SiteFileError) as caught:
        load_files({"site.yaml": text_of(case)})
    problem = caught.value.problems[0]
    assert (problem.file, problem.line, problem.path) == ("site.yaml", case["line"], case["path"])
    assert case["what"] in problem.what
    assert case["fix"] in problem.fix


def test_names_of_cases_are_unique():
    names = [case["name"] for case in TABLE["cases"]]
    assert len(names) == len(set(names)) >= 40
