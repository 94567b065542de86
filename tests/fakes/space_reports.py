"""A report of a space with six modalities, of made-up numbers, pictures and sounds."""

import io

import numpy as np
from PIL import Image

from syntype.report.data import Value
from syntype.report.space_data import (
    AuditRow,
    AuditView,
    CombinationRow,
    CurvePoint,
    Example,
    Found,
    GainRow,
    LevelMatrix,
    MapView,
    Medium,
    PairCell,
    PatchCurve,
    Presence,
    SpaceReport,
    StepRow,
)
from syntype.report.space_media import small_wav

MODALITIES = ("image", "text", "place", "satellite", "sound", "climate")
_SPECIES = ("Parus major", "Erithacus rubecula", "Turdus merula", "Sitta europaea")


def value(estimate, width=0.03, low=0.0, high=1.0):
    ends = max(estimate - width, low), min(estimate + width, high)
    return Value(float(estimate), float(ends[0]), float(ends[1]))


def picture(seed=0, side=96):
    """A disc on a gradient as JPEG."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side] / side
    base = rng.uniform(60, 200, 3) + 50 * y[..., None]
    centre = rng.uniform(0.3, 0.7, 2)
    disc = (x - centre[0]) ** 2 + (y - centre[1]) ** 2 < 0.05
    pixels = np.where(disc[..., None], rng.uniform(20, 250, 3), base).clip(0, 255).astype(np.uint8)
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "JPEG")
    return content.getvalue()


def song(seed=0, rate=22050, seconds=1.5):
    """A chirp as a small WAV file."""
    rng = np.random.default_rng(seed)
    t = np.arange(int(rate * seconds)) / rate
    pitch = 2000 + rng.uniform(500, 2500) * np.sin(2 * np.pi * rng.uniform(1, 5) * t)
    wave = 0.5 * np.sin(2 * np.pi * np.cumsum(pitch) / rate) * np.sin(np.pi * t / seconds)
    return small_wav((wave + rng.normal(0, 0.01, len(t))).astype(np.float32), rate)


def medium(kind, seed=0, caption=None):
    caption = _SPECIES[seed % 4] if caption is None else caption
    if kind in ("image", "satellite"):
        return Medium(kind=kind, caption=caption, content=picture(seed))
    if kind == "sound":
        return Medium(kind=kind, caption=caption, content=song(seed))
    words = {
        "text": "Animalia Chordata Aves Passeriformes Paridae Parus major",
        "place": "48.86°N 2.35°E",
        "climate": "11.3 °C, 640 mm a year",
    }
    return Medium(kind=kind, caption=caption, text=words[kind])


def matrices():
    rng = np.random.default_rng(4)
    made = []
    for level, strength in (("instance", 0.2), ("species", 0.5), ("genus", 0.6), ("family", 0.7)):
        cells = []
        for query in MODALITIES:
            for gallery in MODALITIES:
                if query == gallery and level == "instance":
                    continue
                hit = float(strength * rng.uniform(0.02, 1))
                cells.append(
                    PairCell(
                        query=query,
                        gallery=gallery,
                        metrics={
                            "Recall@1": value(hit),
                            "Recall@5": value(min(2 * hit, 1)),
                            "Recall@10": value(min(2.5 * hit, 1)),
                            "medianRank": Value(12.5, 9.0, 17.0),
                            "mAP": value(hit * 1.1),
                        },
                        chance={"Recall@1": 0.011, "Recall@5": 0.05, "Recall@10": 0.1},
                        n_queries=412,
                        n_gallery=12_412 if gallery != "text" else 48,
                    )
                )
        made.append(LevelMatrix(level=level, cells=cells))
    return made


def curve(name, chosen=0.4):
    alphas = [round(0.1 * i, 1) for i in range(11)]
    tasks = ("image to text, species", "sound to image", "place to image", "climate to place")
    points = []
    for alpha in alphas:
        scores = {
            tasks[0]: value(0.62 + 0.05 * alpha - 0.14 * alpha**2, 0.02),
            tasks[1]: value(0.21 + 0.16 * alpha, 0.03),
            tasks[2]: value(0.12 - 0.02 * alpha, 0.02),
            tasks[3]: Value(0.5),
        }
        points.append(CurvePoint(alpha=alpha, scores=scores))
    return PatchCurve(
        name=name,
        points=points,
        chosen=chosen,
        floors={tasks[0]: 0.61, tasks[2]: 0.11},
        patching_task=tasks[1],
        split="validation (selection half)",
    )


def fake_map(seed=0, truth=True):
    h, w = 36, 60
    y, x = np.mgrid[:h, :w]
    bump = np.exp(-((y - 14) ** 2 / 60 + (x - 25 - 5 * seed) ** 2 / 160))
    score = bump / bump.max()
    score[28:, :20] = np.nan
    return MapView(
        name="Parus major (by its name)",
        score=score,
        west=-12.0,
        south=35.0,
        east=48.0,
        north=71.0,
        reading="chance of presence, relative to the background",
        truth=bump > 0.4 if truth else None,
        presences=((52.5, 13.4), (48.8, 2.3), (57.0, 15.0)),
        metrics={
            "AUC": value(0.91),
            "average precision": value(0.6),
            "Boyce": Value(0.83, 0.7, 0.9),
        },
        file="maps/parus-major.tif",
    )


def examples():
    made = []
    for query, gallery, rank in (("sound", "image", 2.0), ("image", "sound", 1.0),
                                 ("text", "satellite", None), ("image", "place", 3.0)):  # fmt: skip
        answers = [
            Found(
                medium=medium(gallery, seed), right=rank == seed + 1, similarity=0.61 - 0.04 * seed
            )
            for seed in range(5)
        ]
        made.append(Example(query=medium(query, 3), answers=answers, rank=rank, n_gallery=412))
    return made


def fake_space_report(**changes):
    """Everything that the page can show."""
    steps = ("binder", "locked", "unlocked", "patched")
    rows = [
        StepRow(
            task=task,
            scores={step: value(base + up * i) for i, step in enumerate(steps)},
            changes={
                step: value(up, 0.02, low=-1)
                for step in steps[1:]
            },
        )
        for task, base, up in (
            ("image to text, species", 0.6, -0.03),
            ("sound to image, instance", 0.1, 0.06),
            ("place to image, instance", 0.08, 0.001),
        )
    ]  # fmt: skip
    whole = {
        "title": "Six modalities in one space: synthetic-six",
        "dataset": "synthetic-six:small",
        "binder": "our small ViT and text tower",
        "modalities": MODALITIES,
        "n": 412,
        "n_units": 396,
        "n_species": 48,
        "split": "test",
        "matrices": matrices(),
        "curves": [curve("Alpha of the image tower, patched with sound")],
        "curves_metric": "Recall@1 in %",
        "steps": steps,
        "step_rows": rows,
        "combinations": [
            CombinationRow(name="image", score=value(0.6), n=412),
            CombinationRow(name="sound", score=value(0.35, 0.05), n=180, missing=232),
            CombinationRow(name="image + sound", score=value(0.71, 0.04), n=180, missing=232),
            CombinationRow(name="image + climate", score=value(0.55), n=400, missing=12),
            CombinationRow(name="image + sound (sound shuffled)", score=value(0.41), n=180,
                           missing=232, baseline=True),
            CombinationRow(name="place only, no encoder", score=value(0.12), n=412, baseline=True),
        ],
        "gains": [
            GainRow(added="sound", without="image", change=value(0.06, 0.03, -1), verdict="helps"),
            GainRow(added="climate", without="image", change=value(-0.05, 0.03, -1),
                    verdict="hurts"),
            GainRow(added="image", without="climate", change=value(0.01, 0.03, -1),
                    verdict="undecided"),
        ],
        "n_classes": 48,
        "examples": examples(),
        "maps": [fake_map(), fake_map(1, truth=False)],
        "audit": [
            AuditView(
                title="Distance to the nearest training point",
                rows=[
                    AuditRow(name=name, score=value(0.6 - 0.09 * i, 0.02 + 0.02 * i), n=120)
                    for i, name in enumerate(("below 1 km", "1 to 10 km", "10 to 50 km",
                                              "50 to 200 km", "1000 km or more"))
                ],
            ),
            AuditView(
                title="Band of latitude",
                rows=[
                    AuditRow(name=name, score=value(0.5 - 0.1 * i), n=100, n_train=800 - 390 * i)
                    for i, name in enumerate(("30°N to 60°N", "0° to 30°N", "30°S to 0°"))
                ],
            ),
        ],
        "audit_metric": "top-1 of species",
        "audit_notes": ["If every cell counted the same, the score were 43.1 % instead of 52.0 %."],
        "presence": [
            Presence(modality="image", n=412),
            Presence(modality="sound", n=180, missing={"no file": 220, "silent": 12}),
            Presence(modality="climate", n=400, missing={"sea": 12}),
        ],
        "warnings": [
            "Adding climate to image loses 5.0 points (2.0 to 8.0) on 400 rows. Leave it out."
        ],
        "left_out": ["Sound classification by a probe was not asked for."],
        "commands": ["syntype bind --data synthetic-six:small --binder small"],
        "settings": {"seed": 0, "steps": list(steps)},
        "provenance": {"version": "0.0", "time": "2026-01-01"},
    }  # fmt: skip
    return SpaceReport(**(whole | changes))
