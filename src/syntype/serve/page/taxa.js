// The tree of taxa: the ARIA pattern of a tree, filled as it is opened; a taxon chosen is a filter.

import { get } from "./api.js";
import { by, el, taxon as named } from "./elements.js";
import { filtersOf, toggled } from "./state.js";
import { RANKS, columnWords, isLatin, number } from "./words.js";

const SHOWN = 200; // children of a taxon that are drawn

/** The tree; returns how to show a state. */
export function makeTree(app) {
  const ranks = RANKS.filter((rank) => app.about.facets.includes(rank));
  const tree = by("tree");
  const opened = new Set();
  let [shown, asked] = [null, null];

  const below = (rank) => ranks[ranks.indexOf(rank) + 1];
  const chosen = (rank, name) => (app.state.filters[rank] ?? []).includes(name);

  /** Children of a path [[rank, name]...], as items; those that were open are filled too. */
  async function children(path, rank, signal) {
    const params = filtersOf(app.state, RANKS);
    params.append("rank", rank);
    params.append("most", SHOWN);
    for (const [above, name] of path) params.append(above, name);
    const { taxa } = await get("taxa", params, signal);
    const items = taxa.map((taxon) => item(path, rank, taxon, taxa.length));
    await Promise.all(items.filter(([, open]) => open).map(([li]) => expand(li, signal)));
    const all = items.map(([li]) => li);
    return taxa.length < SHOWN ? all : [...all, rest(path.length + 1)];
  }

  /** Says that there are more than are drawn. */
  function rest(level) {
    const words = `The ${SHOWN} largest; search for others by name`;
    const given = { role: "treeitem", tabindex: -1, "aria-level": level, "aria-disabled": "true" };
    const li = el("li", given, el("span", { class: "row quiet" }, words));
    return Object.assign(li, { path: [], rank: "", name: "", leaf: true });
  }

  function item(path, rank, { name, count, next }, siblings) {
    const own = [...path, [rank, name]];
    const key = JSON.stringify(own);
    const leaf = !name || !next || !below(rank);
    const words = named(name || `${rank} not said`, isLatin(rank) && name);
    const twist = el("span", { class: "twist", "aria-hidden": "true" });
    const n = el("span", { class: "count" }, number(count));
    const given = {
      role: "treeitem",
      tabindex: -1,
      "aria-level": own.length,
      "aria-selected": String(chosen(rank, name)),
      "aria-label": `${name || "not said"}, ${columnWords(rank).toLowerCase()}, ${number(count)}`,
      "aria-expanded": leaf ? null : "false",
    };
    const li = el("li", given, el("span", { class: "row" }, leaf ? el("span", { class: "twist" }) : twist, words, n));
    Object.assign(li, { path: own, rank, name, leaf });
    return [li, !leaf && (opened.has(key) || (siblings === 1 && path.length < 5 && !opened.has(`-${key}`)))];
  }

  async function expand(li, signal) {
    const group = el("ul", { role: "group" });
    group.append(...(await children(li.path, below(li.rank), signal)));
    li.setAttribute("aria-expanded", "true");
    li.querySelector(":scope > ul")?.remove();
    li.append(group);
  }
  async function open(li) {
    if (li.leaf || li.getAttribute("aria-expanded") === "true") return;
    const key = JSON.stringify(li.path);
    opened.add(key);
    opened.delete(`-${key}`);
    await expand(li).catch(app.tell);
  }
  function shut(li) {
    const key = JSON.stringify(li.path);
    opened.delete(key);
    opened.add(`-${key}`);
    li.setAttribute("aria-expanded", "false");
    li.querySelector(":scope > ul")?.remove();
  }
  const isOpen = (li) => li.getAttribute("aria-expanded") === "true";
  function choose({ rank, name }) {
    if (!rank) return;
    // Taxa of one rank may stand side by side; one of another rank takes their place.
    const others = Object.fromEntries(
      Object.entries(app.state.filters).filter(([column]) => column === rank || !ranks.includes(column)),
    );
    app.change({ filters: toggled(others, rank, name), record: "" });
  }
  function focus(li) {
    if (!li) return;
    for (const other of tree.querySelectorAll("[tabindex='0']")) other.tabIndex = -1;
    li.tabIndex = 0;
    li.focus();
  }

  tree.addEventListener("click", (event) => {
    const li = event.target.closest("[role=treeitem]");
    if (!li) return;
    focus(li);
    if (!event.target.closest(".twist") || li.leaf) choose(li);
    else if (isOpen(li)) shut(li);
    else open(li);
  });
  tree.addEventListener("keydown", async (event) => {
    const li = event.target.closest("[role=treeitem]");
    if (!li || event.ctrlKey || event.metaKey || event.altKey) return;
    const all = [...tree.querySelectorAll("[role=treeitem]")];
    const at = all.indexOf(li);
    const keys = {
      ArrowDown: () => focus(all[at + 1]),
      ArrowUp: () => focus(all[at - 1]),
      Home: () => focus(all[0]),
      End: () => focus(all.at(-1)),
      ArrowRight: () => (isOpen(li) ? focus(li.querySelector("[role=treeitem]")) : open(li)),
      ArrowLeft: () => (isOpen(li) ? shut(li) : focus(li.parentElement.closest("[role=treeitem]"))),
      Enter: () => choose(li),
      " ": () => choose(li),
    };
    if (event.key in keys) {
      event.preventDefault();
      await keys[event.key]();
    } else if (event.key.length === 1 && event.key !== "/") {
      const begins = (one) => one.name.toLowerCase().startsWith(event.key.toLowerCase());
      focus([...all.slice(at + 1), ...all.slice(0, at)].find(begins));
    }
  });

  return async (state, fresh) => {
    const key = String(filtersOf(state, RANKS));
    if (key === shown && !fresh) {
      for (const li of tree.querySelectorAll("[role=treeitem]")) {
        li.setAttribute("aria-selected", String(chosen(li.rank, li.name)));
      }
      return;
    }
    if (!ranks.length) return;
    asked?.abort();
    asked = new AbortController();
    const focused = tree.contains(document.activeElement)
      ? JSON.stringify(document.activeElement.path)
      : "";
    const items = await children([], ranks[0], asked.signal);
    shown = key;
    tree.replaceChildren(...items);
    const all = [...tree.querySelectorAll("[role=treeitem]")];
    if (all.length) all[0].tabIndex = 0;
    if (focused) focus(all.find((li) => JSON.stringify(li.path) === focused) ?? all[0]);
  };
}
