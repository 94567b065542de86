// Facets: values with counts, several at once, a search within long ones; and the active filters.

import { get } from "./api.js";
import { by, el, icon, taxon } from "./elements.js";
import { activeOf, filtersOf, toggled, unfiltered } from "./state.js";
import { RANKS, columnWords, counted, isLatin, number, valueWords } from "./words.js";

const SHOWN = 8; // values before "all"
const SEARCHED = 12; // values from which a facet has a search box
const MOST = 100;
const HAS = ["image", "sound", "place", "date"];

/** One section a facet, filled when it is opened; returns how to show a state. */
export function makeFacets(app) {
  const several = app.about.sets.length > 1;
  const told = app.about.facets.filter((column) => several || column !== "datasetName");
  const columns = told.sort((a, b) => RANKS.includes(a) - RANKS.includes(b));
  const facets = columns.map((column, i) => makeFacet(app, column, i < 3 && !RANKS.includes(column)));
  const has = makeHas(app);
  by("facets").replaceChildren(...facets.map((facet) => facet.section), has.section);
  let asked = null;
  let shown = "";
  return async (state, fresh) => {
    has.show(state);
    for (const facet of facets) facet.mark(state);
    const open = facets.filter((facet) => facet.section.open);
    const key = `${filtersOf(state)}|${open.map((facet) => facet.column)}`;
    if ((key === shown && !fresh) || !open.length) return;
    asked?.abort();
    asked = new AbortController();
    const params = filtersOf(state);
    for (const facet of open) params.append("only", facet.column);
    params.append("most", MOST);
    const told = await get("facets", params, asked.signal);
    shown = key;
    for (const facet of open) facet.fill(told.facets[facet.column] ?? []);
  };
}

function makeFacet(app, column, open) {
  const list = el("ul", { class: "values" });
  const within = el("input", {
    type: "search",
    placeholder: `Find in ${columnWords(column).toLowerCase()}`,
    "aria-label": `Find in ${columnWords(column).toLowerCase()}`,
    hidden: true,
  });
  const all = el("button", { type: "button", class: "link", hidden: true });
  const badge = el("span", { class: "count" });
  const summary = el("summary", {}, columnWords(column), " ", badge);
  const section = el("details", { class: "facet", open }, summary, within, list, all);
  let [values, whole] = [[], false];

  const draw = () => {
    const chosen = app.state.filters[column] ?? [];
    const text = within.value.trim().toLowerCase();
    const fits = (one) => valueWords(column, one.value).toLowerCase().includes(text);
    const gone = chosen.filter((value) => !values.some((one) => one.value === value));
    const known = [...gone.map((value) => ({ value, count: 0 })), ...values].filter(fits);
    const some = whole || text ? known : known.filter((one, i) => i < SHOWN || chosen.includes(one.value));
    refill(list, some.map((one) => valueItem(app, column, one, chosen.includes(one.value))));
    within.hidden = values.length < SEARCHED;
    all.hidden = Boolean(text) || known.length <= SHOWN;
    const more = values.length >= MOST ? "more" : `all ${known.length}`;
    all.textContent = whole ? "Show fewer" : `Show ${more}`;
  };
  const everything = async () => {
    if (values.length !== MOST) return;
    const params = filtersOf(app.state);
    params.append("only", column);
    params.append("most", 1000);
    const told = await get("facets", params).catch(() => null);
    if (told) values = told.facets[column] ?? [];
    draw();
  };
  within.addEventListener("input", draw);
  within.addEventListener("focus", everything);
  all.addEventListener("click", () => {
    whole = !whole;
    draw();
    if (whole) everything();
  });
  section.addEventListener("toggle", () => section.open && app.refresh());
  return {
    column,
    section,
    mark(state) {
      const n = state.filters[column]?.length ?? 0;
      badge.textContent = n ? `${n} chosen` : "";
      if (values.length) draw();
    },
    fill(told) {
      values = told;
      draw();
    },
  };
}

function valueItem(app, column, { value, count }, checked) {
  const change = () => app.change({ filters: toggled(app.state.filters, column, value), record: "" });
  const box = el("input", { type: "checkbox", value, onchange: change });
  box.checked = checked;
  const words = valueWords(column, value);
  const name = taxon(words, isLatin(column) && value, { class: value ? "" : "quiet" });
  const n = count === undefined ? null : el("span", { class: "count" }, number(count));
  return el("li", {}, el("label", {}, box, name, n));
}

/** New items in place of old ones; the focus stays at the same value. */
function refill(list, items) {
  const focused = list.contains(document.activeElement) ? document.activeElement.value : null;
  list.replaceChildren(...items);
  if (focused === null) return;
  [...list.querySelectorAll("input")].find((box) => box.value === focused)?.focus();
}

function makeHas(app) {
  const list = el("ul", { class: "values" });
  const section = el("details", { class: "facet" }, el("summary", {}, columnWords("has")), list);
  return {
    section,
    show(state) {
      const chosen = state.filters.has ?? [];
      refill(list, HAS.map((value) => valueItem(app, "has", { value }, chosen.includes(value))));
    },
  };
}

/** The active filters as chips that remove them. */
export function showChips(app, state) {
  const chips = by("chips");
  const active = activeOf(state);
  const items = active.map(({ column, value, changes }) => {
    const words = valueWords(column, value);
    const label = `Remove the filter ${columnWords(column)}: ${words}`;
    const onclick = () => {
      const at = [...chips.children].indexOf(item);
      app.change({ ...changes, record: "" });
      (chips.children[Math.min(at, chips.children.length - 1)]?.querySelector("button") ?? by("words")).focus();
    };
    const name = taxon(words, isLatin(column));
    const item = el(
      "li",
      {},
      el(
        "button",
        { type: "button", class: "chip", "aria-label": label, onclick },
        el("span", { class: "quiet" }, columnWords(column)),
        name,
        icon("x"),
      ),
    );
    return item;
  });
  if (active.length > 1) {
    const onclick = () => {
      app.change({ ...unfiltered(), record: "" });
      by("words").focus();
    };
    items.push(el("li", {}, el("button", { type: "button", class: "link", onclick }, "Remove all filters")));
  }
  chips.replaceChildren(...items);
  chips.hidden = !active.length;
  by("n-filters").textContent = active.length ? counted(active.length, "filter") : "Filters";
}
