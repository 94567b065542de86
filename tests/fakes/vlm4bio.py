"""VLM4Bio in miniature, laid out as published, and its label column at its published size.

The published lists are not in the project. Their dirty patterns are: an empty cell (NaN), a label
that is one blank, trailing and double blanks, `cyprinella whipplei`, genus-only labels, hybrids
with an x, file names ending in .JPG, names without a file.
"""

from itertools import product
from pathlib import Path

from fakes.pictures import write_picture

_SYLLABLES = ("ba", "ce", "di", "fo", "gu", "la", "me", "ni", "po", "ru", "sa", "te")


def binomials(n: int, ending: str) -> list[str]:
    """`n` different names; `ending` keeps the genera of several calls apart."""
    stems = ["".join(parts) for parts in product(_SYLLABLES, repeat=3)]
    return [f"{stems[i // 3].capitalize()}{ending} {stems[-1 - i]}us" for i in range(n)]


def published_labels() -> list[str | None]:
    """743 distinct labels, each once or more: fish 495, birds 188, butterflies 60."""
    names = binomials(470, "fish")
    fish: list[str | None] = [*names, "Cyprinella whipplei"]  # 471 binomials
    fish += [name.split()[0] for name in names[: 13 * 3 : 3]]  # 13 genera
    fish += [f"{names[3 * i]} x {names[3 * i + 1]}" for i in range(5)]  # 5 hybrids
    assert len(set(fish)) == 489
    fish += ["cyprinella whipplei"]  # letter case
    fish += [f"{names[7]} ", f" {names[8]}", names[9].replace(" ", "  ")]  # white space
    fish += [" ", None]
    assert len(set(fish)) == 495
    labels = fish + binomials(188, "bird") + binomials(60, "moth")
    return [label for i, label in enumerate(labels) for _ in range(1 + i % 3)]


ROWS = {
    "Fish": [
        ("INHS_FISH_1.jpg", "Cyprinella whipplei"),
        ("INHS_FISH_2.JPG", "cyprinella whipplei"),
        ("INHS_FISH_3.jpg", "Cyprinella whipplei "),
        ("INHS_FISH_4.jpg", "Lepomis"),
        ("INHS_FISH_5.jpg", "Lepomis cyanellus x Lepomis macrochirus"),
        ("INHS_FISH_6.jpg", ""),
        ("INHS_FISH_7.jpg", " "),
        ("INHS_FISH_8.jpg", "Notropis"),
        ("INHS_FISH_9.jpg", "Esox lucius"),
    ],
    "Bird": [
        ("Black_Tern_0001.jpg", "Chlidonias niger"),
        ("Black_Tern_0002.jpg", "Chlidonias niger"),
        ("Ovenbird_0001.jpg", "Seiurus aurocapilla"),
    ],
    "Butterfly": [
        ("10428251_D.jpg", "Heliconius erato"),
        ("10428251_V.jpg", "Heliconius erato"),
        ("10428252_D.jpg", "Heliconius melpomene"),
    ],
}
"""The 10k list of the miniature; the file of `Seiurus aurocapilla` is never written."""

WITHOUT_FILE = "Ovenbird_0001.jpg"
HARD = [
    ("10428251_D.jpg", "Heliconius erato lativitta"),
    ("10428251_V.jpg", "Heliconius erato emma"),
]


def _write_list(path: Path, rows: list[tuple[str, str]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ["fileNameAsDelivered,scientificName", *(f"{file},{label}" for file, label in rows)]
    path.write_text("\n".join(lines) + "\n")


def write_vlm4bio(root: Path, *, flat: bool = False, datasets: bool = True) -> Path:
    """Write the miniature below `root` and return the folder to read.

    Args:
        root: Where to write.
        flat: All pictures in images/ instead of chunk_0, chunk_1 ...; endings as .jpg only.
        datasets: Whether the groups lie in a folder `datasets`.
    """
    for group, rows in ROWS.items():
        folder = root / "datasets" / group if datasets else root / group
        _write_list(folder / "metadata" / "metadata_10k.csv", rows)
        _write_list(folder / "metadata" / "metadata_easy.csv", rows[:2])
        for place, (file, _) in enumerate(rows):
            if file != WITHOUT_FILE:
                inner = "images" if flat else f"chunk_{place % 2}"
                name = file.replace(".JPG", ".jpg") if flat else file
                picture = write_picture(folder / inner / name.replace(".JPG", ".jpg"))
                picture.rename(folder / inner / name)
    butterflies = root / "datasets" / "Butterfly" if datasets else root / "Butterfly"
    _write_list(butterflies / "metadata" / "metadata_hard.csv", HARD)
    return root
