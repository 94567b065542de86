"""How numbers are written: shares in per cent, differences in points, one decimal, true minus."""

from syntype.report.data import Value

NONE = "–"
_MINUS = "−"
_FIXED = "\u00a0"


def share(value: float | None, digits: int = 1) -> str:
    """A fraction as per cent without the sign: 0.7123 is 71.2."""
    return NONE if value is None else f"{100 * value:.{digits}f}"


def signed(value: float | None) -> str:
    """A difference of fractions in points, always with its sign: −0.0123 is −1.2."""
    if value is None:
        return NONE
    text = f"{100 * abs(value):.1f}"
    if float(text) == 0:
        return "0.0"
    return ("+" if value > 0 else _MINUS) + text


def number(value: float | None, digits: int = 3) -> str:
    """A number with a true minus."""
    return NONE if value is None else f"{value:.{digits}f}".replace("-", _MINUS)


def count(value: int | None) -> str:
    """A count with thin spaces between thousands (from five digits on, as SI has it)."""
    if value is None:
        return NONE
    return f"{value:,}".replace(",", "\u202f") if abs(value) >= 10_000 else str(value)


def p_value(value: float | None) -> str:
    """A p-value: three decimals, and no more precision than that claimed."""
    if value is None:
        return NONE
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def interval(value: Value) -> str:
    """The interval of a share alone: [68.9, 73.4]."""
    if value.lower is None or value.upper is None:
        return ""
    return f"[{share(value.lower)},{_FIXED}{share(value.upper)}]"


def with_interval(value: Value) -> str:
    """A share and its interval: 71.2 [68.9, 73.4]."""
    return f"{share(value.estimate)} {interval(value)}".strip()


def signed_interval(value: Value) -> str:
    """The interval of a difference alone: [−1.0, +5.2]."""
    if value.lower is None or value.upper is None:
        return ""
    return f"[{signed(value.lower)},{_FIXED}{signed(value.upper)}]"


def signed_with_interval(value: Value) -> str:
    """A difference and its interval in points: +3.1 [+1.0, +5.2]."""
    return f"{signed(value.estimate)} {signed_interval(value)}".strip()


def unbroken(text: str) -> str:
    """`text` with "k = 48" and "95 %" in one piece at the ends of lines."""
    return text.replace(" = ", f"{_FIXED}={_FIXED}").replace(" %", f"{_FIXED}%")
