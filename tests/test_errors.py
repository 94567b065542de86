import inspect
import re

from syntype import errors


def classes() -> list[type[errors.SyntypeError]]:
    return [
        member
        for _, member in inspect.getmembers(errors, inspect.isclass)
        if issubclass(member, errors.SyntypeError)
    ]


def test_the_tree_in_the_docstring_is_the_tree_in_the_code() -> None:
    lines = {}
    for line in (errors.__doc__ or "").splitlines():
        if match := re.match(r"^[ │├└─]*(\w+(?:Error))\b", line):
            code = re.search(r"exit (\d)", line)
            lines[match[1]] = int(code[1]) if code else None
    assert set(lines) == {cls.__name__ for cls in classes()}
    for cls in classes():
        drawn = lines[cls.__name__]
        assert drawn in (None, cls.exit_code), cls.__name__


def test_siblings_of_the_root_have_codes_of_their_own() -> None:
    codes = [
        cls.exit_code
        for cls in classes()
        if cls.__base__ is errors.SyntypeError or errors.SyntypeError in cls.__bases__
    ]
    assert len(codes) == len(set(codes))
