// What was found: pictures with name, likeness, attribution and licence, in groups where wanted.

import { thumbnail, whole } from "./api.js";
import { by, el, outward, svg, taxon } from "./elements.js";
import { asks, linkOf } from "./state.js";
import { closeWords, counted, nameOf, number } from "./words.js";

const SKELETONS = 12;

/** The grid of results; returns what fills it. */
export function makeResults(app) {
  const grid = by("grid");
  grid.addEventListener("keydown", move);
  grid.addEventListener("focusin", (event) => current(event.target.closest(".card")));
  return {
    wait() {
      grid.setAttribute("aria-busy", "true");
      const cards = Array.from({ length: SKELETONS }, () =>
        el("li", { class: "card skeleton" }, el("div", { class: "mat" }), el("p"), el("p")),
      );
      grid.replaceChildren(el("ul", { class: "cards", "aria-hidden": "true" }, cards));
    },
    show(page, state, more) {
      grid.removeAttribute("aria-busy");
      if (!more) grid.replaceChildren();
      const first = fillGrid(app, grid, page, state);
      if (more) first?.querySelector(".open").focus();
      else current(grid.querySelector(".card"));
    },
    clear() {
      grid.removeAttribute("aria-busy");
      grid.replaceChildren();
    },
  };
}

/** Append a page of results; the first card of it. */
function fillGrid(app, grid, page, state) {
  const cards = page.records.map((found) => [found.id, makeCard(app, found, state)]);
  if (!state.group) {
    const list = grid.querySelector("ul") ?? grid.appendChild(el("ul", { class: "cards" }));
    list.append(...cards.map(([, card]) => card));
  } else {
    const byId = new Map(cards);
    for (const group of page.groups) {
      const list = groupList(app, grid, group);
      list.append(...group.records.map((id) => byId.get(id)).filter(Boolean));
    }
  }
  return cards[0]?.[1];
}

/** The list of a group, made where it is not there yet; all of a group are one step away. */
function groupList(app, grid, group) {
  const there = [...grid.children].find((section) => section.dataset.name === group.name);
  if (there) return there.querySelector("ul");
  const latin = ["species", "genus"].includes(group.rank) && group.name;
  const name = taxon(group.name || `${group.rank} not said`, latin);
  const list = el("ul", { class: "cards" });
  const all = () => {
    const filters = { ...app.state.filters, [group.rank]: [group.name] };
    app.change({ filters, group: "", record: "" });
  };
  const more = group.n > group.records.length &&
    el("button", { type: "button", class: "link", onclick: all }, `Show all ${number(group.n)}`);
  const count = el("span", { class: "count" }, counted(group.n, "record"));
  const section = el("section", { class: "group" }, el("h3", {}, name, " ", count, " ", more), list);
  section.dataset.name = group.name;
  grid.append(section);
  return list;
}

function makeCard(app, found, state) {
  const { record } = found;
  const { name, latin } = nameOf(record);
  const near = closeWords(found.closeness);
  const said = [name, record.vernacularName, near && `${near.percent} same species, ${near.word}`];
  const open = el(
    "a",
    {
      class: "open",
      href: linkOf({ ...state, record: found.id }),
      tabindex: -1,
      "aria-label": said.filter(Boolean).join(", "),
      onclick: (event) => {
        if (event.ctrlKey || event.metaKey || event.shiftKey) return;
        event.preventDefault();
        app.open(found.id);
      },
    },
    pictureOf(record, 480),
  );
  const caption = el(
    "figcaption",
    {},
    taxon(name, latin, { class: "name" }),
    record.vernacularName && el("span", { class: "common" }, record.vernacularName),
    likeness(found),
    rights(record),
  );
  const sound = record.media.kind === "sound" && soundOf(record, name);
  const card = el(
    "li",
    { class: "card" },
    el("figure", {}, el("div", { class: "mat" }, open, sound), caption),
    actions(app, found, state, name),
  );
  card.dataset.id = found.id;
  return card;
}

/** How like a record is: in per cent where that is calibrated, else the bare number. */
export function likeness(found) {
  const near = closeWords(found.closeness);
  if (near) {
    const bar = svg("rect", { width: Math.max(found.closeness * 100, 1), height: 2, class: "full" });
    const rule = svg("rect", { width: 100, height: 2, class: "rule" });
    return el(
      "span",
      { class: "likeness" },
      svg("svg", { viewBox: "0 0 100 2", preserveAspectRatio: "none", "aria-hidden": "true" }, rule, bar),
      el("b", {}, near.percent),
      " same species ",
      el("span", { class: "quiet" }, near.word),
    );
  }
  if (found.similarity === null || found.similarity === undefined) return null;
  return el("span", { class: "likeness quiet" }, `similarity ${found.similarity.toFixed(2)}`);
}

/** Whose a medium is and under which licence, with the licence's address. */
export function rights(record) {
  const words = record.attribution || "Rights not said";
  return el("span", { class: "rights" }, outward(record.licenseURL, words, { rel: "license noopener" }));
}

/** A record's picture, or what stands for it where there is none here. */
export function pictureOf(record, size, given = { loading: "lazy" }) {
  if (record.media.kind === "sound") return el("span", { class: "wave" }, waves());
  const src = thumbnail(record, size);
  if (!src) {
    const words = record.media.full ? "The picture is kept elsewhere" : "No picture";
    return el("span", { class: "absent" }, words);
  }
  const failed = () => picture.replaceWith(el("span", { class: "absent" }, "No picture"));
  const picture = el("img", { src, alt: nameOf(record).name, onerror: failed, ...given });
  return picture;
}

/** A player for a record that is a sound. */
export function soundOf(record, name) {
  const src = whole(record);
  if (!src) return null;
  return el("audio", { controls: true, preload: "none", src, "aria-label": `Sound of ${name}` });
}

function waves() {
  const heights = [3, 8, 5, 12, 18, 9, 14, 22, 12, 6, 16, 10, 4, 9, 5, 2];
  const bars = heights.map((h, i) =>
    svg("rect", { x: i * 4, y: 12 - h / 2, width: 1.5, height: h, rx: 0.75 }),
  );
  return svg("svg", { viewBox: "0 0 62 24", "aria-hidden": "true" }, bars);
}

function actions(app, found, state, name) {
  const button = (words, label, onclick) =>
    el("button", { type: "button", tabindex: -1, "aria-label": label, onclick }, words);
  return el(
    "div",
    { class: "acts" },
    button("More like this", `More like this ${name}`, () => app.moreLike(found.id)),
    asks(state) && button("Not like this", `Not like this ${name}`, () => app.notLike(found.id)),
  );
}

/** Only the current card's controls are in the order of the Tab key. */
function current(card) {
  if (!card) return;
  for (const node of by("grid").querySelectorAll(".card [tabindex='0']")) node.tabIndex = -1;
  for (const node of card.querySelectorAll(".open, button, .rights a, audio")) node.tabIndex = 0;
}

/** Arrow keys, Home and End from card to card, by where they stand. */
function move(event) {
  const from = event.target.closest(".open");
  if (!from) return;
  const links = [...by("grid").querySelectorAll(".open")];
  const at = links.indexOf(from);
  const to = {
    ArrowRight: () => links[at + 1],
    ArrowLeft: () => links[at - 1],
    ArrowDown: () => beside(links, at, 1),
    ArrowUp: () => beside(links, at, -1),
    Home: () => links[0],
    End: () => links.at(-1),
  }[event.key]?.();
  if (!to) return;
  event.preventDefault();
  to.focus();
}

/** The link in the row above or below that stands nearest. */
function beside(links, at, step) {
  const box = links[at].getBoundingClientRect();
  let best;
  for (let i = at + step; i >= 0 && i < links.length; i += step) {
    const other = links[i].getBoundingClientRect();
    if (Math.abs(other.top - box.top) < 2) continue;
    if (best && Math.abs(other.top - best.top) > 2) break;
    const far = Math.abs(other.left - box.left);
    if (!best || far < best.far) best = { link: links[i], top: other.top, far };
  }
  return best?.link;
}

const PLURALS = { species: "species", genus: "genera", family: "families" };

/** How many fit and how many are shown, in words. */
export function countWords(shown, total, state) {
  if (!total) return "No record fits";
  const all = counted(total, "record");
  const groups = state.group && by("grid").children.length;
  const some = groups ? `${number(groups)} ${PLURALS[state.group]}` : number(shown);
  if (!groups && shown >= total) return asks(state) ? `${all}, the most similar first` : all;
  if (!asks(state)) return `${some} of ${all}`;
  return groups ? `${some}, the most similar of ${all}` : `The ${some} most similar of ${all}`;
}
