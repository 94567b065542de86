import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes.vlm4bio import published_labels
from syntype.taxonomy import cleaning
from syntype.taxonomy.cleaning import clean_labels

LABELS = st.lists(
    st.one_of(
        st.none(),
        st.text(max_size=12),
        st.sampled_from(["Cyprinella whipplei", "cyprinella whipplei", " Lepomis", "a_b", "nan"]),
    ),
    max_size=20,
)


def names(*labels: str | None) -> list[str | None]:
    taxa, _ = clean_labels(labels)
    return [taxon.species if taxon else None for taxon in taxa]


def test_published_vlm4bio_labels_count_743_742_741_738_737() -> None:
    labels = published_labels()
    taxa, report = clean_labels(labels)
    steps = dict(report.steps)
    counted = [
        steps[step] for step in ("published", "missing", "blank", "white_space", "letter_case")
    ]
    assert counted == [743, 742, 741, 738, 737]
    assert len({taxon.species for taxon in taxa if taxon}) == 737
    assert report.rows_missing == labels.count(None)
    assert report.rows_blank == labels.count(" ")
    assert len(report.no_binomial) == 13 + 5
    assert report.changed["cyprinella whipplei"] == "Cyprinella whipplei"
    assert len(report.changed) == 4


@pytest.mark.parametrize("word", ["", "nan", "NaN", "NA", "N/A", "NULL", "None", "<NA>"])
def test_missing(word: str) -> None:
    assert cleaning.missing(word) is None
    assert names(word, "Esox lucius") == [None, "Esox lucius"]


def test_missing_keeps_words_that_only_look_alike() -> None:
    assert cleaning.missing("Nanus nanus") == "Nanus nanus"
    assert cleaning.missing("none") == "none"


@pytest.mark.parametrize(
    ("label", "clean"),
    [
        ("Esox\u00a0lucius", "Esox lucius"),  # non-breaking blank
        ("Esox\tlucius", "Esox lucius"),
        ("\ufeffEsox lucius", "Esox lucius"),  # byte order mark
        ("Esox\u200b lucius", "Esox lucius"),  # zero-width blank
        ("Isoe\u0308tes lacustris", "Isoëtes lacustris"),  # two code points for one letter
        ("Polygonia c\u2011album", "Polygonia c-album"),  # non-breaking hyphen
    ],
)
def test_unicode(label: str, clean: str) -> None:
    assert cleaning.unicode(label) == clean


def test_blank_and_white_space() -> None:
    assert cleaning.blank(" \t") is None
    assert cleaning.blank(" a") == " a"
    assert cleaning.white_space("  Esox   lucius ") == "Esox lucius"


@pytest.mark.parametrize(
    ("label", "clean"),
    [
        ("Abudefduf_vaigiensis", "Abudefduf vaigiensis"),
        ("Cinclus_cinclus_cinclus", "Cinclus cinclus cinclus"),
        ("Lepomis_sp.", "Lepomis sp."),
        (
            "Lepomis_cyanellus_x_Lepomis_macrochirus",
            "Lepomis cyanellus x Lepomis macrochirus",
        ),
        ("acantharia_protist", "acantharia_protist"),
        ("copepod_calanoid_frillyAntennae", "copepod_calanoid_frillyAntennae"),
        ("Black_footed_Albatross", "Black_footed_Albatross"),
        ("001.Laysan_Albatross", "001.Laysan_Albatross"),
    ],
)
def test_underscores(label: str, clean: str) -> None:
    assert cleaning.underscores(label) == clean


@pytest.mark.parametrize(
    ("label", "clean"),
    [
        ("Lepomis cyanellus × Lepomis macrochirus", "Lepomis cyanellus x Lepomis macrochirus"),
        ("Salix X fragilis", "Salix x fragilis"),
        ("X", "X"),
        ("Type X", "Type X"),
        ("Xiphias gladius", "Xiphias gladius"),
    ],
)
def test_hybrid_sign(label: str, clean: str) -> None:
    assert cleaning.hybrid_sign(label) == clean


@pytest.mark.parametrize(
    ("label", "clean"),
    [
        ("Parus major Linnaeus, 1758", "Parus major"),
        ("Cyanistes caeruleus (Linnaeus, 1758)", "Cyanistes caeruleus"),
        ("Portunus sanguinolentus de Haan, 1833", "Portunus sanguinolentus"),
        ("Salmo trutta fario Linnaeus, 1758", "Salmo trutta fario"),
        ("Aedes aegypti (Linnaeus in Hasselquist, 1762)", "Aedes aegypti"),
        ("Abies alba Mill.", "Abies alba Mill."),  # no year: could be any word
        ("Felis catus Siamese", "Felis catus Siamese"),
        ("Photo of Linnaeus, 1758", "Photo of Linnaeus, 1758"),
        ("Lepomis", "Lepomis"),
    ],
)
def test_authorship(label: str, clean: str) -> None:
    assert cleaning.authorship(label) == clean


def test_letter_case_needs_the_genus_to_be_known() -> None:
    assert names("cyprinella whipplei", "Cyprinella lutrensis") == [
        "Cyprinella whipplei",
        "Cyprinella lutrensis",
    ]
    assert names("great tit", "Parus major") == ["great tit", "Parus major"]
    assert names("PARUS MAJOR", "parus", "Parus major") == ["Parus major", "Parus", "Parus major"]
    assert names("lepomis cyanellus X lepomis macrochirus", "Lepomis gibbosus")[0] == (
        "Lepomis cyanellus x Lepomis macrochirus"
    )


def test_plankton_classes_stay_as_they_are() -> None:
    labels = ["acantharia_protist", "acantharia_protist_halo", "unknown_blobs_and_smudges"]
    taxa, report = clean_labels(labels)
    assert [taxon.species for taxon in taxa if taxon] == labels
    assert [taxon.at("genus") for taxon in taxa if taxon] == ["", "", ""]
    assert not report.changed


def test_verbatim_is_kept() -> None:
    (taxon,), _ = clean_labels(["Esox_lucius "])
    assert taxon is not None
    assert (taxon.verbatim, taxon.scientific_name) == ("Esox_lucius ", "Esox lucius")


@given(LABELS)
@settings(max_examples=80, deadline=None)
def test_cleaning_is_idempotent_and_counts_never_rise(labels: list[str | None]) -> None:
    taxa, report = clean_labels(labels)
    once = [taxon.scientific_name if taxon else None for taxon in taxa]
    assert names(*once) == once
    counts = [n for _, n in report.steps]
    assert counts == sorted(counts, reverse=True)
    assert counts[-1] == len({name for name in once if name})
    assert report.rows_missing + report.rows_blank == once.count(None)


@given(LABELS, st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_cleaning_does_not_depend_on_the_order(labels: list[str | None], random) -> None:
    shuffled = list(labels)
    random.shuffle(shuffled)
    assert clean_labels(labels)[1] == clean_labels(shuffled)[1]
    assert dict(zip(labels, names(*labels), strict=True)) == dict(
        zip(shuffled, names(*shuffled), strict=True)
    )
