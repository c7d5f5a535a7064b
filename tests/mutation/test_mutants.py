"""The list of mutants fits the code as it is; `make mutants` tries them."""

from __future__ import annotations

from pathlib import Path

import pytest

from .mutants import MUTANTS, Mutant

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.promise)
def test_a_mutant_changes_one_place_and_its_test_is_there(mutant: Mutant) -> None:
    assert (ROOT / mutant.path).read_text().count(mutant.before) == 1
    assert mutant.before != mutant.after
    assert (ROOT / mutant.test.split()[0].partition("::")[0]).exists()
