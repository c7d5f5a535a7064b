"""Wrong files with the findings that each must have, good files with none, and a real Kong's verdict on both.

A wrong file begins with what is to be found in it: `# error RULE LINE`.
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

import pytest
from yeastarctl.check.checker import check_files
from yeastarctl.check.finding import Finding
from yeastarctl.check.rules import RULES

CORPUS = Path(__file__).parent / "corpus"
WRONG = sorted((CORPUS / "wrong").glob("*.yml"))
GOOD = sorted((CORPUS / "good").glob("*.yml"))
VERDICTS = json.loads((CORPUS / "kong-verdicts.json").read_text())

ENVIRONMENT = {
    "FUTURESMS_USERNAME": "gateway",
    "FUTURESMS_PASSWORD": "a password",
    "FUTURESMS_JSON": '{"password": "a password"}',
    "ACME_KEY_SET": "sha256:" + "3c" * 32,
}

# Rules that say what Kong refuses; the others are about what it takes.
KONG_S = frozenset(
    [
        "yaml",
        "empty",
        "not-kong",
        "format-version",
        "unknown-field",
        "type",
        "required",
        "value",
        "url",
        "duplicate",
        "reference",
        "scope",
        "lua-syntax",
        "plugin-unknown",
    ]
)
# Tested beside: they need a running Kong, a date, or a fault of this check.
ELSEWHERE = frozenset({"kong-refuses", "certificate-ended", "certificate-ends", "refused"})


def expected(path: Path) -> list[tuple[str, str, int]]:
    found = re.findall(r"^# (error|warning|hint) (\S+) (\d+)$", path.read_text(), re.MULTILINE)
    return [(severity, rule, int(line)) for severity, rule, line in found]


@cache
def found(path: Path) -> list[Finding]:
    return check_files([path], ENVIRONMENT)


@pytest.mark.parametrize("path", WRONG, ids=lambda path: path.stem)
def test_what_is_wrong_is_found_where_it_stands(path: Path) -> None:
    findings = found(path)
    assert expected(path)
    missing = set(expected(path)) - {(f.severity, f.rule, f.line) for f in findings}
    assert not missing, findings
    assert all(finding.problem and finding.rule in RULES for finding in findings)


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_a_good_file_has_no_errors(path: Path) -> None:
    assert [finding for finding in found(path) if finding.severity == "error"] == []


@pytest.mark.parametrize("name", VERDICTS)
def test_what_is_said_of_kong_is_what_a_real_kong_says(name: str) -> None:
    findings = found(CORPUS / name)
    refused = any(f.severity == "error" and f.rule in KONG_S for f in findings)
    elsewhere = any(f.rule == "not-judged" for f in findings)  # a plugin that the recorded Kong had not
    by_kong = VERDICTS[name]["status"] != 201
    # Of an older format Kong takes the file, and matches nothing with it.
    assert refused == by_kong or elsewhere or "version-1" in name or "version-2" in name, VERDICTS[name]


@pytest.mark.parametrize("path", WRONG, ids=lambda path: path.stem)
def test_where_kong_tells_the_field_the_finding_has_kong_s_words(path: Path) -> None:
    errors = (VERDICTS.get(f"wrong/{path.name}") or {}).get("errors")
    words = list(_leaves(errors)) if isinstance(errors, dict) else []
    findings = found(path)
    if {finding.rule for finding in findings} & {"yaml", "empty", "not-kong", "format-version"}:
        return  # said in other words, before Kong's schemas are asked
    problems = " ".join(finding.problem for finding in findings)
    # The compilers of regular expressions and of Lua word their errors in their own ways.
    wanted = [word for word in words if not re.search("PCRE|regex|error parsing", word)]
    assert not wanted or any(word in problems for word in wanted), (words, problems)


def _leaves(tree: object) -> list[str]:
    if isinstance(tree, dict):
        return [leaf for member in tree.values() for leaf in _leaves(member)]
    if isinstance(tree, list):
        return [leaf for member in tree for leaf in _leaves(member)]
    return [tree] if isinstance(tree, str) else []


def test_every_rule_has_a_wrong_file() -> None:
    shown = {rule for path in WRONG for _, rule, _ in expected(path)}
    assert set(RULES) - shown - ELSEWHERE == {"not-judged", "deck-file"}
    hints = {finding.rule for path in GOOD for finding in found(path)}
    assert {"not-judged", "deck-file"} <= hints


def test_the_corpus_is_large_and_recorded() -> None:
    assert len(WRONG) >= 150
    judged = {f"{path.parent.name}/{path.name}" for path in (*WRONG, *GOOD)}
    assert set(VERDICTS) <= judged
    assert len(VERDICTS) > 0.9 * len(judged)


@pytest.mark.parametrize(
    ("name", "todo"),
    [
        ("country-code", "write the two letters of the country: PH"),
        ("country-name", "write the two letters of the country: PH"),
        ("country-norway", 'quote it: unquoted, YAML reads NO, Norway, as a switch: "NO"'),
    ],
)
def test_a_country_is_cured_by_its_two_letters(name: str, todo: str) -> None:
    path = next(path for path in WRONG if path.stem == name)
    assert todo in [finding.todo for finding in found(path)]
