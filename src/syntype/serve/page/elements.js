// Elements made of data: text is always text, never HTML.

const SVG = "http://www.w3.org/2000/svg";

function fill(node, given, children) {
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child || child === 0));
  return node;
}

/** An HTML element with attributes, listeners (onclick: ...) and children. */
export function el(tag, given = {}, ...children) {
  return fill(document.createElement(tag), given, children);
}

/** Likewise for SVG. */
export function svg(tag, given = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), given, children);
}

/** The element of an id. */
export const by = (id) => document.getElementById(id);

/** A link to elsewhere: only http and https become links, anything else stays text. */
export function outward(address, words, given = {}) {
  if (!/^https?:\/\//i.test(address ?? "")) return el("span", {}, words);
  return el("a", { href: address, target: "_blank", rel: "noopener noreferrer", ...given }, words);
}

/** An icon of index.html's sprite. */
export function icon(name) {
  return svg("svg", { class: "icon", "aria-hidden": "true" }, svg("use", { href: `#i-${name}` }));
}

/** A name; those of genera and species stand in italics, and are read as the Latin they are. */
export function taxon(name, latin, given = {}) {
  return latin ? el("i", { lang: "la", ...given }, name) : el("span", given, name);
}

/** Say something to a screen reader, politely. */
export function say(words) {
  by("said").textContent = words;
}
