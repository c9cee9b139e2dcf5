"""Identifiers."""

from common.ids import uuid7


def test_ids_are_version_7_unique_and_rising() -> None:
    made = [uuid7() for _ in range(2_000)]

    assert {one.version for one in made} == {7}
    assert len(set(made)) == len(made)
    assert made == sorted(made)
