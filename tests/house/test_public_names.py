import syntype


def test_public_names_are_these() -> None:
    """What is not listed here is not promised to anyone; a change here is a change for users."""
    assert sorted(syntype.__all__) == ["__version__"]
