"""A folder of class folders as users have them: small JPEG photographs, some of them broken."""

from pathlib import Path

from fakes.ugly_pictures import jpeg

_GENERA = ("Esox", "Perca", "Salmo", "Tinca", "Lota", "Gobio")


def species_names(n_species: int) -> list[str]:
    """Binomials, `n_species` of them, over six genera."""
    return [f"{_GENERA[number % len(_GENERA)]} specie{number:02d}s" for number in range(n_species)]


def write_class_folders(folder: Path, *, n_species: int, n_images: int, n_broken: int = 0) -> Path:
    """Write `n_images` pictures of each species, and `n_broken` more that cannot be read.

    The broken ones lie in the first species: cut off in the middle of the JPEG, or of zero bytes,
    in turn; they are called `broken-N.jpg`.
    """
    names = species_names(n_species)
    for number, name in enumerate(names):
        place = folder / name.replace(" ", "_")
        place.mkdir(parents=True)
        for picture in range(n_images):
            content = jpeg(48, 40, seed=1000 * number + picture)
            (place / f"{picture:03d}.jpg").write_bytes(content)
    for number in range(n_broken):
        whole = jpeg(48, 40, seed=900_000 + number)
        cut = b"" if number % 2 else whole[: len(whole) // 3]
        (folder / names[0].replace(" ", "_") / f"broken-{number}.jpg").write_bytes(cut)
    return folder
