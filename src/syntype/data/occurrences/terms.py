"""Words of Darwin Core, Audiovisual Core and Dublin Core: their short names and what they hold.

A term comes as an address (http://rs.tdwg.org/dwc/terms/scientificName), with a prefix
(dwc:scientificName), or bare, in any case (scientificname). Here it is its short name in the
standard's own letters. The letters of a term do not matter to any of the standards, and iDigBio
writes them small.
"""

import re
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

OCCURRENCE = "occurrence"
TAXON = "taxon"
IDENTIFICATION = "identification"
MULTIMEDIA = "multimedia"

_TERMS = """
acceptedScientificName associatedMedia basisOfRecord catalogNumber class collectionCode
coordinateUncertaintyInMeters countryCode dateIdentified datasetID datasetName day
decimalLatitude decimalLongitude eventDate eventID family genericName genus higherClassification
identificationID identificationVerificationStatus identifiedBy infraspecificEpithet
institutionCode isAcceptedIdentification kingdom lifeStage locality materialEntityID
materialSampleID month occurrenceID order organismID phylum recordedBy scientificName
scientificNameAuthorship sex specificEpithet stateProvince taxonID taxonRank typeStatus
verbatimIdentification vernacularName year gbifID datasetKey species mediaType accessURI
bestQualityAccessURI contributor created creator furtherInformationURL format
goodQualityAccessURI identifier license owner PixelXDimension PixelYDimension providerManagedID
publisher references rights rightsHolder rightsIRI source title type UsageTerms WebStatement
uuid geoPoint isoCountryCode coreid mediaID
"""
_KNOWN = {term.lower(): term for term in _TERMS.split()}


def short_term(term: str) -> str:
    """The short name of a term; its own last word where it is none that is used here."""
    word = re.split(r"[/#:]", term.strip().rstrip("/"))[-1]
    return _KNOWN.get(word.lower(), word)


def row_type(address: str) -> str:
    """What the rows of a file of an archive are: the last word of the type's address, small."""
    return short_term(address).lower()


def first(row: Mapping[str, str], *names: str) -> str:
    """The first of several fields of a row that holds something."""
    for name in names:
        if text := row.get(name, ""):
            return text
    return ""


_KINDS = {
    "stillimage": "StillImage", "image": "StillImage", "images": "StillImage",
    "photo": "StillImage", "photograph": "StillImage", "picture": "StillImage",
    "movingimage": "MovingImage", "video": "MovingImage", "videos": "MovingImage",
    "movie": "MovingImage", "sound": "Sound", "sounds": "Sound", "audio": "Sound",
    "interactiveresource": "InteractiveResource", "model": "InteractiveResource",
    "3dmodel": "InteractiveResource", "models": "InteractiveResource", "text": "Text",
    "dataset": "Dataset", "collection": "Collection", "physicalobject": "PhysicalObject",
}  # fmt: skip
_MIME = {
    "jpg": "image/jpeg", "jpeg": "image/jpeg", "jpe": "image/jpeg", "png": "image/png",
    "gif": "image/gif", "tif": "image/tiff", "tiff": "image/tiff", "bmp": "image/bmp",
    "webp": "image/webp", "jp2": "image/jp2", "mp3": "audio/mpeg", "wav": "audio/wav",
    "flac": "audio/flac", "ogg": "audio/ogg", "m4a": "audio/mp4", "mp4": "video/mp4",
    "mov": "video/quicktime", "avi": "video/x-msvideo", "pdf": "application/pdf",
}  # fmt: skip
_MIME_KINDS = {"image": "StillImage", "audio": "Sound", "video": "MovingImage"}


def mime_of(text: str) -> str:
    """A format as a MIME type: `jpeg` and `JPG` are image/jpeg; other texts as delivered."""
    text = text.strip()
    return _MIME.get(text.lower().lstrip("."), text)


def kind_of(word: str, mime: str, address: str) -> str:
    """The kind of a medium in the words of the DCMI types: StillImage, Sound, MovingImage ...

    Args:
        word: As delivered: a word, or the address of a type of the DCMI.
        mime: Its format.
        address: Where it is; only its ending is looked at, if nothing else tells.

    Returns:
        "" if nothing tells; a word that is no known type as delivered.
    """
    last = re.split(r"[/#:]", word.strip())[-1]
    plain = re.sub(r"[\s_-]", "", last).lower()
    if plain in _KINDS:
        return _KINDS[plain]
    for text in (mime, _MIME.get(_ending(address), "")):
        family = text.lower().partition("/")[0]
        if family in _MIME_KINDS:
            return _MIME_KINDS[family]
    return word.strip()


_ADDRESS = re.compile(r"(?:https?|ftp)://[^\s/?#:]+", re.IGNORECASE)


def _ending(address: str) -> str:
    try:
        path = urlsplit(address).path
    except ValueError:
        return ""
    return path.rpartition(".")[2].lower()


def is_address(text: str) -> bool:
    """Whether a text is the address of something on the web."""
    return _ADDRESS.match(text) is not None


def same_address(text: str) -> str:
    """What two addresses share that lead to one thing: neither http/https nor the host's case."""
    rest = text.strip().partition("://")[2] or text.strip()
    host, slash, path = rest.partition("/")
    return host.lower() + slash + path


def merged(rows: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Several rows about one thing as one: of each field what the earliest row that has it says."""
    result: dict[str, str] = {}
    for row in rows:
        for name, text in row.items():
            if text and not result.get(name):
                result[name] = text
    return result
