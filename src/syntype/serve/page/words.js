// What things are called, and numbers, places and likeness in words.

export const RANKS = ["kingdom", "phylum", "class", "order", "family", "genus", "species"];

const COLUMNS = {
  taxonGroup: "Group",
  institutionCode: "Institution",
  collectionCode: "Collection",
  datasetName: "Set",
  countryCode: "Country",
  stateProvince: "State or province",
  basisOfRecord: "Kind of record",
  typeStatus: "Type status",
  lifeStage: "Life stage",
  mediaType: "Medium",
  license: "Licence",
  has: "With",
  box: "Place",
  near: "Near",
  since: "From",
  until: "Until",
  vernacularName: "Common name",
  id: "Identifier here",
  occurrenceID: "Occurrence",
  mediaID: "Medium's identifier",
  taxonID: "Taxon's identifier",
  eventDate: "Date",
  decimalLatitude: "Latitude",
  decimalLongitude: "Longitude",
  coordinateUncertaintyInMeters: "Uncertainty, m",
  catalogNumber: "Catalogue number",
  scientificNameAuthorship: "Authorship",
  verbatimIdentification: "Label as delivered",
  accessURI: "Original medium",
  references: "Record at its source",
  rightsHolder: "Rights holder",
  pixelXDimension: "Width, pixels",
  pixelYDimension: "Height, pixels",
};

const SPLIT = /(?<=[a-z])(?=[A-Z])/;

/** What a column is called. */
export function columnWords(name) {
  if (name in COLUMNS) return COLUMNS[name];
  const words = name.split(SPLIT).join(" ").toLowerCase();
  return words.charAt(0).toUpperCase() + words.slice(1);
}

const regions = new Intl.DisplayNames(["en"], { type: "region" });

/** What a value of a column is called; "" is for records that do not say. */
export function valueWords(column, value) {
  if (value === "") return "not said";
  if (column === "countryCode" && /^[A-Z]{2}$/.test(value)) return regions.of(value);
  if (["basisOfRecord", "mediaType"].includes(column)) {
    const words = value.split(SPLIT).join(" ").toLowerCase();
    return words.charAt(0).toUpperCase() + words.slice(1);
  }
  if (column === "box") return boxWords(value);
  if (column === "near") {
    const [latitude, longitude, km] = value.split(",").map(Number);
    return `${km} km around ${placeWords(latitude, longitude)}`;
  }
  if (column === "license") return licenceWords(value);
  return value;
}

/** Creative Commons' addresses by their names; all else as it is. */
export function licenceWords(value) {
  const found = /creativecommons\.org\/(licenses|publicdomain)\/([a-z-]+)\/(\d\.\d)/i.exec(value);
  if (!found) return value;
  if (found[2] === "zero") return "CC0";
  if (found[2] === "mark") return "Public domain";
  return `CC ${found[2].toUpperCase()} ${found[3]}`;
}

/** 12345 as 12,345. */
export const number = (n) => n.toLocaleString("en");

/** One record, two records. */
export const counted = (n, one, more = `${one}s`) => `${number(n)} ${n === 1 ? one : more}`;

/** 51.5, -0.12 as 51.5° N, 0.12° W. */
export function placeWords(latitude, longitude) {
  return `${degrees(latitude, "N", "S")}, ${degrees(longitude, "E", "W")}`;
}

function degrees(value, positive, negative) {
  const size = String(Math.round(Math.abs(value) * 1000) / 1000);
  return `${size}°${size === "0" ? "" : value > 0 ? ` ${positive}` : ` ${negative}`}`;
}

/** South, west, north, east in words. */
export function boxWords(box) {
  const [south, west, north, east] = box.split(",").map(Number);
  const [a, b] = [degrees(south, "N", "S"), degrees(north, "N", "S")];
  const [c, d] = [degrees(west, "E", "W"), degrees(east, "E", "W")];
  return `${a} to ${b}, ${c} to ${d}`;
}

const LIKELY = [
  [0.9, "very likely"],
  [0.6, "likely"],
  [0.3, "possible"],
  [0.1, "unlikely"],
  [0, "very unlikely"],
];

/** How likely a record is of the same species: per cent and word; nothing where it is not known. */
export function closeWords(closeness) {
  if (closeness === null || closeness === undefined) return null;
  const percent = Math.round(closeness * 100);
  const shown = closeness > 0.995 ? "over 99" : closeness < 0.005 ? "under 1" : String(percent);
  return { percent: `${shown} %`, word: LIKELY.find(([least]) => closeness >= least)[1] };
}

/** What a record is called, and whether that stands in italics: genera and species do. */
export function nameOf(record) {
  const name =
    record.scientificName || record.species || record.verbatimIdentification || "Unnamed specimen";
  const latin = name === record.species || name === record.genus || /^[A-Z][a-z]+ [a-z]/.test(name);
  return { name, latin: latin && name !== "Unnamed specimen" && !/ sp\.?$/.test(name) };
}

/** Whether names of a rank stand in italics. */
export const isLatin = (rank) => rank === "genus" || rank === "species";
