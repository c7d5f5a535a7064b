"""Kong's normal form of a path."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kong_declarative.request_path import escape, normalise, octets, without_query


@pytest.mark.parametrize(
    ("path", "normal"),
    [
        ("", ""),
        ("/", "/"),
        ("//", "/"),
        ("/a/./b/../c", "/a/c"),
        ("/../a", "/a"),
        ("/a/..", "/"),
        ("/a/.", "/a/"),
        ("/%2e%2e/a", "/a"),
        ("/a%2Fb%3f", "/a%2Fb%3F"),
        ("/%7euser", "/~user"),
        ("/a//b///c", "/a/b/c"),
        ("/%zz%4", "/%zz%4"),
    ],
)
def test_the_normal_form(path: str, normal: str) -> None:
    assert normalise(path) == normal


def test_slashes_may_stay() -> None:
    assert normalise("/a//b/./c", merge_slashes=False) == "/a//b/c"


def test_a_query_begins_at_the_first_question_mark() -> None:
    assert without_query("/a?b?c") == "/a"
    assert without_query("/a") == "/a"


@given(st.text(alphabet="/.%2eEfFaA?é~ ", max_size=30))
def test_it_never_leaves_dots_or_double_slashes_and_a_segment_is_never_above_the_root(path: str) -> None:
    normal = normalise("/" + octets(path))

    assert "//" not in normal
    assert "/../" not in normal
    assert "/./" not in normal
    assert escape(normal).isascii()
