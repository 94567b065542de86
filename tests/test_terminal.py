import pytest

from syntype import terminal
from syntype.progress import SILENT, Progress


def test_cells_are_text_not_markup(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.show_table("T", ("a", "b"), [("[red]x[/red]", "[1, 2]")])
    out = capsys.readouterr().out
    assert "[red]x[/red]" in out
    assert "[1, 2]" in out


def test_errors_go_to_standard_error_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.show_error("no such folder [bold]x " + "y" * 300)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert "[bold]x" in captured.err


def test_a_log_file_gets_one_line_per_bar(capsys: pytest.CaptureFixture[str]) -> None:
    with terminal.TerminalProgress().task("embedding", 10, 4) as task:
        for _ in range(6):
            task.advance()
        task.note("loss 1.0")
    assert capsys.readouterr().err == "embedding (6 of 10 to do)\n"


def test_a_log_file_gets_a_line_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terminal, "EVERY", 0.0)
    with terminal.TerminalProgress().task("train [x]", 10, 4) as task:
        task.note("loss 1.0")
        task.advance(2)
    assert capsys.readouterr().err.splitlines()[1] == "train [x]: 6 of 10 loss 1.0"


def test_quiet_is_silent() -> None:
    assert terminal.progress_of(quiet=True) is SILENT
    assert isinstance(terminal.progress_of(quiet=False), Progress)
