// One record over the whole page: its medium large, to be zoomed; all it says; its place; its link.

import { thumbnail, whole } from "./api.js";
import { by, el, outward, say, taxon } from "./elements.js";
import { placeMap } from "./map.js";
import { likeness, pictureOf, rights, soundOf } from "./results.js";
import { asks } from "./state.js";
import { RANKS, columnWords, nameOf, placeWords, valueWords } from "./words.js";

const MOST = 8; // times as large
const SWIPE = 60; // pixels
const FIRST = [
  "eventDate",
  "locality",
  "stateProvince",
  "countryCode",
  "recordedBy",
  "identifiedBy",
  "institutionCode",
  "collectionCode",
  "catalogNumber",
  "typeStatus",
  "sex",
  "lifeStage",
  "basisOfRecord",
  "creator",
  "rightsHolder",
  "license",
  "references",
  ...RANKS,
]; // what visitors look for
const OWN = ["has", "media", "attribution", "licenseURL", "link"]; // shown otherwise

/** The dialog of a record; returns how to show a state. */
export function makeRecord(app) {
  const dialog = by("record");
  let [shown, filled] = ["", null]; // the id, and what was known of it
  const turnable = (found) => {
    const at = app.found.indexOf(found);
    by("record-before").disabled = at <= 0;
    by("record-next").disabled = at < 0 || at === app.found.length - 1;
  };
  const step = (on) => {
    const ids = app.found.map((one) => one.id);
    const to = ids[ids.indexOf(shown) + on];
    if (to !== undefined && ids.includes(shown)) app.change({ record: to }, { replace: true });
  };
  dialog.addEventListener("close", () => {
    if (app.state.record) app.change({ record: "" });
  });
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  dialog.addEventListener("keydown", (event) => {
    const held = event.ctrlKey || event.metaKey || event.altKey || event.shiftKey;
    if (event.target.matches("input, audio") || held) return;
    if (event.key === "ArrowRight") step(1);
    else if (event.key === "ArrowLeft") step(-1);
    else return;
    event.preventDefault();
  });
  by("record-next").addEventListener("click", () => step(1));
  by("record-before").addEventListener("click", () => step(-1));
  by("record-close").addEventListener("click", () => dialog.close());

  return async (state) => {
    if (!state.record) {
      const last = shown;
      shown = "";
      if (dialog.open) dialog.close();
      const card = [...document.querySelectorAll(".card")].find((one) => one.dataset.id === last);
      if (last) card?.querySelector(".open").focus();
      return;
    }
    const id = state.record;
    const found = app.found.find((one) => one.id === id);
    turnable(found);
    if (id === shown && (!found || found === filled)) return;
    [shown, filled] = [id, found];
    const record = found?.record ?? (await app.record(id));
    if (shown !== id || filled !== found) return; // another came in between
    fillRecord(app, found ?? { id, record, similarity: null, closeness: null });
    if (!dialog.open) dialog.showModal();
    by("record-body").scrollTop = 0;
    say(nameOf(record).name);
  };
}

function fillRecord(app, found) {
  const { record } = found;
  const { name, latin } = nameOf(record);
  by("record-name").replaceChildren(
    taxon(name, latin),
    ...(record.scientificNameAuthorship ? [" ", el("small", {}, record.scientificNameAuthorship)] : []),
  );
  by("record-common").textContent = record.vernacularName ?? "";
  by("record-like").replaceChildren(...[likeness(found)].filter(Boolean));
  by("record-rights").replaceChildren(rights(record));
  showMedium(record, name);
  by("record-acts").replaceChildren(...actions(app, found));
  by("record-fields").replaceChildren(...fields(record));
  const { decimalLatitude: latitude, decimalLongitude: longitude } = record;
  const placed = Number.isFinite(latitude) && Number.isFinite(longitude);
  by("record-place").hidden = !placed;
  by("record-map").replaceChildren(
    ...(placed
      ? [placeMap(latitude, longitude), el("figcaption", {}, placeWords(latitude, longitude))]
      : []),
  );
  const link = el("a", { href: `./?${new URLSearchParams({ record: found.id })}` }, "Permanent link");
  by("record-link").replaceChildren(link, copier(link, "Copy"));
}

/** A button that copies a link's address, where the browser lets it. */
export function copier(link, words) {
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(typeof link === "function" ? link() : link.href);
      say("The link is copied");
      button.textContent = "Copied";
    } catch {
      say("The link cannot be copied: take it from the address bar");
      button.textContent = "Take it from the address bar";
    }
    setTimeout(() => (button.textContent = words), 2500);
  };
  const button = el("button", { type: "button", class: "link", onclick: copy }, words);
  return button;
}

function showMedium(record, name) {
  const sound = record.media.kind === "sound";
  const src = sound ? "" : whole(record);
  const picture = src
    ? el("img", { src, alt: `Picture of ${name}`, draggable: "false" })
    : pictureOf(record, 960, {});
  if (src) picture.addEventListener("error", () => fallBack(picture, record), { once: true });
  const link = !whole(record) && record.media.full && outward(record.media.full, "Open it there");
  by("stage").replaceChildren(...[picture, sound && soundOf(record, name), link].filter(Boolean));
  by("zoom").hidden = !src;
  by("record").onkeydown = null;
  if (src) makeZoom(by("stage"), picture);
}

/** The small picture where the whole one does not come. */
function fallBack(picture, record) {
  const gone = () => picture.replaceWith(el("span", { class: "absent" }, "No picture"));
  picture.addEventListener("error", gone, { once: true });
  picture.src = thumbnail(record, 960);
}

/** Zoom by buttons, wheel, keys and double click; drag to move. */
function makeZoom(stage, picture) {
  let [scale, x, y, from] = [1, 0, 0, null];
  const draw = () => {
    const [w, h] = [((scale - 1) * stage.clientWidth) / 2, ((scale - 1) * stage.clientHeight) / 2];
    x = Math.min(Math.max(x, -w), w);
    y = Math.min(Math.max(y, -h), h);
    picture.style.transform = `translate(${x}px, ${y}px) scale(${scale})`;
    stage.classList.toggle("zoomed", scale > 1);
    by("zoom-out").disabled = scale <= 1;
    by("zoom-in").disabled = scale >= MOST;
  };
  const zoom = (factor, event) => {
    const to = Math.min(Math.max(scale * factor, 1), MOST);
    if (event) {
      const box = stage.getBoundingClientRect();
      const [cx, cy] = [event.clientX - box.left - box.width / 2, event.clientY - box.top - box.height / 2];
      x = cx - ((cx - x) * to) / scale;
      y = cy - ((cy - y) * to) / scale;
    }
    scale = to;
    draw();
  };
  const moves = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
  by("zoom-in").onclick = () => zoom(1.5);
  by("zoom-out").onclick = () => zoom(1 / 1.5);
  stage.onwheel = (event) => {
    event.preventDefault();
    zoom(event.deltaY < 0 ? 1.2 : 1 / 1.2, event);
  };
  stage.ondblclick = (event) => zoom(scale > 1 ? 1 / MOST : 2.5, event);
  stage.onpointerdown = (event) => {
    from = [event.clientX - x, event.clientY - y];
    stage.setPointerCapture(event.pointerId);
  };
  stage.onpointermove = (event) => {
    if (!from || scale === 1) return;
    [x, y] = [event.clientX - from[0], event.clientY - from[1]];
    draw();
  };
  stage.onpointerup = (event) => {
    // A swipe over the whole picture turns to the next one.
    const swept = from && scale === 1 && event.pointerType === "touch" ? event.clientX - x - from[0] : 0;
    from = null;
    if (Math.abs(swept) > SWIPE) by(swept < 0 ? "record-next" : "record-before").click();
  };
  stage.onpointercancel = () => (from = null);
  by("record").onkeydown = (event) => {
    if (event.target.matches("input") || event.ctrlKey || event.metaKey) return;
    if (event.key === "+" || event.key === "=") zoom(1.5);
    else if (event.key === "-") zoom(1 / 1.5);
    else if (event.key === "0") zoom(1 / MOST);
    else if (scale > 1 && event.shiftKey && event.key in moves) {
      const [dx, dy] = moves[event.key];
      [x, y] = [x + dx * 60, y + dy * 60];
      draw();
    } else return;
    event.preventDefault();
  };
  draw();
}

function actions(app, found) {
  const button = (words, onclick) => el("button", { type: "button", class: "chip", onclick }, words);
  const { decimalLatitude: latitude, decimalLongitude: longitude } = found.record;
  const place = Number.isFinite(latitude) && Number.isFinite(longitude) && `${latitude},${longitude}`;
  const asked = asks(app.state);
  return [
    button("More like this", () => app.moreLike(found.id)),
    asked && button("Add to the question", () => app.alsoLike(found.id)),
    asked && button("Not like this", () => app.notLike(found.id)),
    place &&
      app.about.encoder.can.includes("place") &&
      button("What may live there", () => app.livesAt(place)),
  ].filter(Boolean);
}

function fields(record) {
  const place = ([name]) => (FIRST.includes(name) ? FIRST.indexOf(name) : FIRST.length);
  return Object.entries(record)
    .filter(([name, value]) => !OWN.includes(name) && value !== "" && value !== null)
    .sort((a, b) => place(a) - place(b))
    .flatMap(([name, value]) => {
      const text = String(value);
      const shown = ["references", "accessURI", "license"].includes(name)
        ? outward(text, valueWords(name, text))
        : valueWords(name, text);
      return [el("dt", { title: name }, columnWords(name)), el("dd", {}, shown)];
    });
}
