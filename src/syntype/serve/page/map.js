// The map: where the records that fit were found, where those shown were, and a box to search in.
//
// Degrees are drawn as they are (plate carrée): x is the longitude, y is minus the latitude, so that
// a box is a rectangle. The world repeats to the east and west, so that a box may cross 180°.

import { get } from "./api.js";
import { COAST } from "./coast.js";
import { by, icon, svg } from "./elements.js";
import { filtersOf } from "./state.js";
import { boxWords, counted, number, placeWords } from "./words.js";

const WORLD = { x: -180, y: -90, w: 360 };
const LEAST = 2; // degrees across, at the largest zoom
const STEPS = [10, 5, 2, 1, 0.5, 0.2, 0.1];
const CELL = 9; // pixels across a cell at least, and
const CELLS = 90; // cells side by side at most
const SIDES = ["South", "West", "North", "East"];

/** Read the coast once; `land()` draws it, three worlds wide. */
function readCoast() {
  const at = (text, i) => {
    const code = text.charCodeAt(i);
    return code - 35 - (code > 92) - 45;
  };
  const rings = COAST.split(" ").map((ring) => {
    const begin = (i) => ((at(ring, i) + 45) * 91 + at(ring, i + 1) + 45) / 10;
    let path = `M${begin(0) - 180} ${begin(2) - 90}l`;
    for (let i = 4; i < ring.length; i += 2) path += `${at(ring, i) / 10} ${at(ring, i + 1) / 10} `;
    return `${path}z`;
  });
  by("sprite").append(svg("path", { id: "land", d: rings.join("") }));
}

function land() {
  const worlds = [-360, 0, 360].map((x) => svg("use", { href: "#land", x }));
  const lines = [];
  for (let x = -540; x <= 540; x += 30) lines.push(`M${x} -90V90`);
  for (let y = -60; y <= 60; y += 30) lines.push(`M-540 ${y}H540`);
  const sea = svg("rect", { class: "sea", x: -540, y: -90, width: 1080, height: 180 });
  return [sea, svg("path", { class: "graticule", d: lines.join("") }), svg("g", { class: "land" }, worlds)];
}

const viewBox = ({ x, y, w }) => `${x} ${y} ${w} ${w / 2}`;

/** A small map of one place. */
export function placeMap(latitude, longitude) {
  const w = 60;
  const y = Math.min(Math.max(-latitude - w / 4, -90), 90 - w / 2);
  const given = {
    class: "map",
    viewBox: viewBox({ x: longitude - w / 2, y, w }),
    role: "img",
    "aria-label": `Map: ${placeWords(latitude, longitude)}`,
  };
  const spot = svg("circle", { class: "spot", cx: longitude, cy: -latitude, r: 1.1 });
  return svg("svg", given, land(), spot);
}

/** Longitudes as one arc that is as short as can be: its west and its extent in degrees. */
export function arcOf(longitudes) {
  const sorted = [...longitudes].sort((a, b) => a - b);
  let best = { west: sorted[0], extent: sorted.at(-1) - sorted[0] };
  for (let i = 1; i < sorted.length; i += 1) {
    const extent = sorted[i - 1] + 360 - sorted[i];
    if (extent < best.extent) best = { west: sorted[i], extent };
  }
  return best;
}

/** The view that has all cells in it, with a margin. */
function fitted(cells) {
  if (!cells.length) return WORLD;
  const { west, extent } = arcOf(cells.map((cell) => cell.longitude));
  const latitudes = cells.map((cell) => cell.latitude);
  const [south, north] = [Math.min(...latitudes), Math.max(...latitudes)];
  const w = Math.max(extent * 1.25, (north - south) * 2.5, 12);
  if (w > 270) return WORLD;
  return within({ x: west + extent / 2 - w / 2, y: -(south + north) / 2 - w / 4, w });
}

/** A view that shows nothing beyond the poles, and begins in the first world. */
function within({ x, y, w }) {
  const wide = Math.min(Math.max(w, LEAST), 360);
  const turned = wide === 360 ? x : ((((x + 180) % 360) + 360) % 360) - 180;
  return { x: turned, y: Math.min(Math.max(y, -90), 90 - wide / 2), w: wide };
}

const turn = (longitude) => {
  const turned = ((((longitude + 180) % 360) + 360) % 360) - 180;
  return turned === -180 && longitude > 0 ? 180 : turned;
};

/** The map of the filters; returns how to show a state, and the places of results. */
export function makeMap(app) {
  readCoast();
  const cellsLayer = svg("g", { class: "cells" });
  const dotsLayer = svg("g", { class: "dots" });
  const boxLayer = svg("g", { class: "boxes" });
  const picture = svg("svg", { class: "map", role: "img" }, land(), cellsLayer, boxLayer, dotsLayer);
  const frame = by("map");
  frame.prepend(picture);
  let [view, cells, dots, total, moved, drawing, asked, shown] = [WORLD, [], [], 0, false, false, null, ""];

  const look = (to) => {
    view = within(to);
    draw();
  };
  const zoom = (factor) => {
    moved = true;
    const w = Math.min(Math.max(view.w * factor, LEAST), 360);
    look({ x: view.x + (view.w - w) / 2, y: view.y + (view.w - w) / 4, w });
    load(app.state).catch(app.tell);
  };
  /** Where a longitude stands in this view: a turn to the east where it would be left of it. */
  const placed = (longitude) => longitude + (longitude < view.x ? 360 : 0);

  function draw() {
    picture.setAttribute("viewBox", viewBox(view));
    const most = Math.max(...cells.map((cell) => cell.n), 1);
    const pixel = view.w / (picture.clientWidth || 300);
    const step = degrees();
    cellsLayer.replaceChildren(
      ...cells.map((cell) => {
        const given = { cx: placed(cell.longitude), cy: -cell.latitude };
        const near = placeWords(Math.round(cell.latitude), Math.round(cell.longitude));
        const title = `${counted(cell.n, "record")} near ${near}`;
        const circle = svg("circle", { ...given, r: step * (0.2 + 0.5 * Math.sqrt(cell.n / most)) });
        circle.append(svg("title", {}, title));
        circle.addEventListener("click", () => drawing || app.change({ box: cellBox(cell), record: "" }));
        return circle;
      }),
    );
    dotsLayer.replaceChildren(
      ...dots.map(([latitude, longitude]) =>
        svg("circle", { cx: placed(longitude), cy: -latitude, r: 2 * pixel }),
      ),
    );
    drawBox(app.state.box ? app.state.box.split(",").map(Number) : null);
  }
  function drawBox(sides) {
    if (!sides) return boxLayer.replaceChildren();
    const [south, west, north, east] = sides;
    const width = east < west ? east + 360 - west : east - west;
    boxLayer.replaceChildren(
      ...[-360, 0, 360].map((worlds) =>
        svg("rect", { x: west + worlds, y: -north, width, height: north - south }),
      ),
    );
  }
  const degrees = () => {
    const least = view.w / Math.min((picture.clientWidth || 300) / CELL, CELLS);
    return STEPS.findLast((step) => step >= least) ?? STEPS[0];
  };
  function cellBox({ latitude, longitude }) {
    const step = degrees();
    const low = (value, least) => Math.floor((value - least) / step) * step + least;
    const [south, west] = [low(latitude, -90), low(longitude, -180)];
    const sides = [south, west, Math.min(south + step, 90), Math.min(west + step, 180)];
    return sides.map((side) => Number(side.toFixed(2))).join(",");
  }

  async function load(state, fresh = false) {
    // The box itself does not count, so that what lies beside it can still be seen.
    const filters = filtersOf(state, ["box"]);
    const key = `${filters}|${degrees()}`;
    if (key === shown && !fresh) return draw();
    asked?.abort();
    asked = new AbortController();
    const before = shown.split("|")[0];
    filters.append("degrees", degrees());
    const told = await get("map", filters, asked.signal);
    shown = key;
    cells = told.cells;
    total = cells.reduce((sum, cell) => sum + cell.n, 0);
    describe();
    if (!moved && before !== key.split("|")[0]) {
      const step = degrees();
      look(fitted(cells));
      if (degrees() !== step) return load(state);
    }
    draw();
  }
  function describe() {
    const latitudes = cells.map((cell) => cell.latitude);
    const parallel = (latitude) => placeWords(Math.round(latitude), 0).split(",")[0];
    const [south, north] = [Math.min(...latitudes), Math.max(...latitudes)].map(parallel);
    const words = `${number(total)} with a place${cells.length ? `, ${south} to ${north}` : ""}`;
    picture.setAttribute("aria-label", `Map of the records: ${words}`);
    by("map-words").textContent = words;
  }

  const mode = (on) => {
    drawing = on;
    by("map-draw").setAttribute("aria-pressed", String(on));
    picture.classList.toggle("drawing", on);
  };
  by("map-in").addEventListener("click", () => zoom(0.5));
  by("map-out").addEventListener("click", () => zoom(2));
  by("map-fit").addEventListener("click", () => {
    moved = false;
    look(fitted(cells));
    load(app.state).catch(app.tell);
  });
  by("map-draw").addEventListener("click", () => mode(!drawing));
  dragOn(picture, () => drawing, {
    view: () => view,
    pan(to) {
      moved = true;
      look(to);
    },
    panned: () => load(app.state).catch(app.tell),
    drawn: drawBox,
    chosen(sides) {
      mode(false);
      app.change({ box: sides.join(","), record: "" });
    },
  });
  makeBoxForm(app);
  makeLarge(frame, () => load(app.state).catch(app.tell));
  return {
    async show(state, fresh) {
      showBoxForm(state.box);
      await load(state, fresh);
    },
    places(records) {
      dots = records
        .map((one) => [one.record.decimalLatitude, one.record.decimalLongitude])
        .filter(([north, east]) => Number.isFinite(north) && Number.isFinite(east));
      by("map-legend").hidden = !dots.length;
      by("map-shown").textContent = `${number(dots.length)} shown`;
      draw();
    },
  };
}

/** Dragging moves the map, or draws a box. */
function dragOn(picture, drawing, on) {
  let from = null;
  const place = (event) => {
    const point = new DOMPoint(event.clientX, event.clientY);
    return point.matrixTransform(picture.getScreenCTM().inverse());
  };
  const sidesOf = (a, b) => {
    const digits = on.view().w > 40 ? 0 : 1;
    const round = (value) => Number(value.toFixed(digits));
    const low = (value) => Math.min(Math.max(round(-value), -90), 90);
    const [west, east] = [Math.min(a.x, b.x), Math.max(a.x, b.x)].map(round);
    const [w, e] = east - west >= 360 ? [-180, 180] : [turn(west), turn(east)];
    return [low(Math.max(a.y, b.y)), w, low(Math.min(a.y, b.y)), e];
  };
  picture.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    from = { at: place(event), x: event.clientX, y: event.clientY, view: on.view(), moved: false };
    if (drawing()) picture.setPointerCapture(event.pointerId);
  });
  picture.addEventListener("pointermove", (event) => {
    if (!from) return;
    from.moved ||= Math.hypot(event.clientX - from.x, event.clientY - from.y) > 3;
    if (!from.moved) return;
    picture.setPointerCapture(event.pointerId);
    if (drawing()) return on.drawn(sidesOf(from.at, place(event)));
    const scale = from.view.w / picture.clientWidth;
    const { view } = from;
    on.pan({
      x: view.x - (event.clientX - from.x) * scale,
      y: view.y - (event.clientY - from.y) * scale,
      w: view.w,
    });
  });
  picture.addEventListener("pointerup", (event) => {
    const begun = from;
    from = null;
    if (!begun?.moved) return;
    if (drawing()) on.chosen(sidesOf(begun.at, place(event)));
    else on.panned();
  });
  picture.addEventListener("pointercancel", () => (from = null));
}

/** The box in numbers, for keyboards. */
function makeBoxForm(app) {
  const inputs = SIDES.map((side) => by(`box-${side.toLowerCase()}`));
  const wrong = by("box-wrong");
  by("box-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const sides = inputs.map((input) => input.valueAsNumber);
    if (sides.some(Number.isNaN)) wrong.textContent = "Four numbers in degrees are wanted.";
    else if (sides[0] > sides[2]) wrong.textContent = "The south lies below the north.";
    else {
      wrong.textContent = "";
      app.change({ box: sides.join(","), record: "" });
    }
  });
  by("box-clear").addEventListener("click", () => {
    wrong.textContent = "";
    showBoxForm("");
    app.change({ box: "", record: "" });
  });
}

function showBoxForm(box) {
  const sides = box ? box.split(",") : ["", "", "", ""];
  SIDES.forEach((side, i) => (by(`box-${side.toLowerCase()}`).value = sides[i]));
  by("box-clear").hidden = !box;
  by("box-words").textContent = box ? boxWords(box) : "";
}

/** The same map over the whole page, and back. */
function makeLarge(frame, onchange) {
  const [dialog, home, button] = [by("large"), frame.parentElement, by("map-large")];
  button.addEventListener("click", () => {
    if (dialog.open) return dialog.close();
    dialog.append(frame);
    button.replaceChildren(icon("x"), "Close");
    dialog.showModal();
    onchange();
  });
  dialog.addEventListener("close", () => {
    home.prepend(frame);
    button.replaceChildren(icon("large"), "Enlarge");
    button.focus();
    onchange();
  });
}
