// The question: words with suggestions of names, pictures, examples with weights.

import { Problem, get, thumbnail } from "./api.js";
import { makeCamera } from "./camera.js";
import { by, el, icon, say, taxon } from "./elements.js";
import { asks, ordered, toggled } from "./state.js";
import { columnWords, isLatin, nameOf, number, placeWords } from "./words.js";

const SIDE = 2048; // pixels that a picture larger than the server takes is scaled down to

/** Search box, pictures and the tray of examples; returns how to show a state. */
export function makeQuery(app) {
  const box = by("words");
  const { can } = app.about.encoder;
  makeCombobox(app, box, can.includes("text"));
  makeIntake(app, can);
  by("question").addEventListener("submit", (event) => {
    event.preventDefault();
    ask(app, box, true);
  });
  by("also").addEventListener("click", () => ask(app, box, false));
  by("clear").addEventListener("click", (event) => {
    event.preventDefault();
    app.restart();
    box.focus();
  });
  return (state) => {
    const texts = state.examples.filter((one) => one.kind === "text");
    if (document.activeElement !== box || texts.length) {
      box.value = texts.length === 1 ? texts[0].value : "";
    }
    by("also").hidden = !state.examples.length || !can.includes("text");
    by("clear").hidden = !asks(state);
    showTray(app, state);
  };
}

function ask(app, box, alone) {
  const words = box.value.trim();
  const { can } = app.about.encoder;
  const kept = app.state.examples.filter((one) => !alone || one.kind !== "text");
  if (words && !can.includes("text")) {
    by("hint").textContent = "This collection is searched by names and pictures: choose a name.";
    return;
  }
  const known = kept.some((one) => one.kind === "text" && one.value === words);
  const added = words && !known ? [{ kind: "text", value: words, weight: 1 }] : [];
  app.change({ examples: ordered([...kept, ...added]), record: "" });
}

/** The list of names below the search box: the ARIA pattern of a combobox with a list. */
function makeCombobox(app, box, reads) {
  const list = by("names");
  let [found, at, waits, asked] = [[], -1, 0, null];

  const close = () => {
    list.hidden = true;
    at = -1;
    box.setAttribute("aria-expanded", "false");
    box.removeAttribute("aria-activedescendant");
  };
  const choose = (one) => {
    close();
    box.value = "";
    if (app.about.facets.includes(one.rank)) {
      const has = (app.state.filters[one.rank] ?? []).includes(one.name);
      const filters = has ? app.state.filters : toggled(app.state.filters, one.rank, one.name);
      const examples = app.state.examples.filter((e) => e.kind !== "text");
      app.change({ filters, examples, record: "" });
    } else {
      box.value = one.name;
      ask(app, box, true);
    }
  };
  const mark = (to) => {
    at = (to + found.length + 1) % (found.length + 1);
    if (at === found.length) at = -1;
    [...list.children].forEach((item, i) => item.setAttribute("aria-selected", String(i === at)));
    if (at < 0) box.removeAttribute("aria-activedescendant");
    else box.setAttribute("aria-activedescendant", list.children[at].id);
    list.children[at]?.scrollIntoView({ block: "nearest" });
  };
  const show = (suggestions) => {
    found = suggestions.filter((one) => reads || app.about.facets.includes(one.rank));
    list.replaceChildren(...found.map((one, i) => option(one, i, () => choose(one))));
    if (!found.length) return close();
    at = -1;
    list.hidden = false;
    box.setAttribute("aria-expanded", "true");
    say(`${found.length} names`);
  };
  const suggest = async () => {
    asked?.abort();
    const text = box.value.trim();
    if (!text) return close();
    asked = new AbortController();
    try {
      const told = await get("suggest", { q: text, n: 8 }, asked.signal);
      if (document.activeElement === box) show(told.suggestions);
    } catch {
      close(); // without suggestions the box still searches
    }
  };

  box.addEventListener("input", () => {
    clearTimeout(waits);
    waits = setTimeout(suggest, 120);
  });
  box.addEventListener("blur", close);
  box.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" && list.hidden) suggest();
    else if (list.hidden) return;
    else if (event.key === "ArrowDown") mark(at + 1);
    else if (event.key === "ArrowUp") mark(at < 0 ? found.length - 1 : at - 1);
    else if (event.key === "Enter" && (at >= 0 || !reads)) choose(found[Math.max(at, 0)]);
    else if (event.key === "Escape") close();
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  by("question").addEventListener("submit", () => {
    clearTimeout(waits);
    asked?.abort();
    close();
  });
}

function option(one, i, onchoose) {
  const name = taxon(one.name, isLatin(one.rank), { class: "name" });
  const kind = el("span", { class: "quiet" }, columnWords(one.rank).toLowerCase());
  const count = el("span", { class: "count" }, number(one.count));
  const given = { role: "option", id: `name-${i}`, "aria-selected": "false" };
  const item = el("li", given, name, " ", kind, " ", count);
  item.addEventListener("pointerdown", (event) => event.preventDefault()); // the box keeps the focus
  item.addEventListener("click", onchoose);
  return item;
}

/** Files that are chosen, photographed, dropped anywhere or pasted. */
function makeIntake(app, can) {
  const take = (files) => takeFiles(app, can, [...files]);
  for (const name of ["file", "camera"]) {
    const input = by(name);
    input.addEventListener("change", () => {
      take(input.files);
      input.value = "";
    });
  }
  by("file-button").addEventListener("click", () => by("file").click());
  const blind = () => app.tell(new Problem(0, "The camera cannot be used", "Choose a file."));
  makeCamera(by("camera-button"), by("camera"), take, blind);
  if (!can.includes("image")) by("file-button").hidden = by("camera-button").hidden = true;
  if (can.includes("sound")) by("file").accept = "image/*,audio/*";
  const holds = (event) => event.dataTransfer?.types.includes("Files");
  let depth = 0;
  const over = (change) => {
    depth = change === 0 ? 0 : Math.max(depth + change, 0);
    by("drop").hidden = depth === 0;
  };
  addEventListener("dragenter", (event) => holds(event) && over(1));
  addEventListener("dragleave", (event) => holds(event) && over(-1));
  addEventListener("dragover", (event) => holds(event) && event.preventDefault());
  addEventListener("drop", (event) => {
    over(0);
    if (!holds(event)) return;
    event.preventDefault();
    take(event.dataTransfer.files);
  });
  addEventListener("paste", (event) => {
    if (!event.clipboardData?.files.length) return;
    event.preventDefault();
    take(event.clipboardData.files);
  });
}

async function takeFiles(app, can, files) {
  const added = [];
  for (const file of files) {
    const kind = file.type.startsWith("audio/") ? "sound" : "image";
    if (!can.includes(kind) || !/^(image|audio)\//.test(file.type)) {
      app.tell(new Problem(415, `${file.name || "This"} is no picture`, "Choose a JPEG or PNG."));
      continue;
    }
    const sized = kind === "image" ? await withinLimit(file, app.about.limits?.uploadBytes) : file;
    added.push({ kind, value: URL.createObjectURL(sized), weight: 1, file: sized });
  }
  if (!added.length) return;
  by("record").close();
  app.change({ examples: ordered([...app.state.examples, ...added]), record: "" });
}

/** The picture itself, or a smaller one where the server would not take it. */
async function withinLimit(file, limit) {
  if (!limit || file.size <= limit) return file;
  try {
    const whole = await createImageBitmap(file);
    const scale = Math.min(1, SIDE / Math.max(whole.width, whole.height));
    const canvas = el("canvas", { width: whole.width * scale, height: whole.height * scale });
    canvas.getContext("2d").drawImage(whole, 0, 0, canvas.width, canvas.height);
    const blob = await new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.92));
    return new File([blob], "picture.jpg", { type: "image/jpeg" });
  } catch {
    return file; // the server says what is wrong with it
  }
}

/** The examples, each with its weight, and what the results should not be like. */
function showTray(app, state) {
  const tray = by("tray");
  const several = state.examples.length > 1;
  const items = state.examples.map((one, i) => exampleItem(app, one, i, several));
  items.push(...state.unlikes.map((value, i) => unlikeItem(app, value, i)));
  for (const name of ["place", "climate"]) {
    if (state[name]) items.push(senseItem(app, name, state[name]));
  }
  tray.replaceChildren(...items);
  tray.hidden = !items.length;
  by("unshared").hidden = !state.examples.some((one) => one.file);
}

function exampleItem(app, one, i, several) {
  const words = { image: "Your picture", sound: "Your sound", text: one.value, like: "Record" };
  const others = () => app.state.examples.filter((_, k) => k !== i);
  const label = el("span", { class: "said" }, one.kind === "text" ? `“${one.value}”` : words[one.kind]);
  const item = el("li", {}, face(one), label);
  if (one.kind === "like") name(app, one.value, item, label);
  if (several) item.append(weightOf(app, one, i, words[one.kind]));
  if (several && !one.file) {
    const value = one.kind === "text" ? `text:${one.value}` : one.value;
    const turn = () =>
      app.change({ examples: others(), unlikes: [...app.state.unlikes, value], record: "" });
    item.append(el("button", { type: "button", class: "link", onclick: turn }, "Not this"));
  }
  const remove = () => app.change({ examples: others(), record: "" });
  item.append(remover(`Remove ${words[one.kind]} from the question`, remove));
  return item;
}

function face(one) {
  if (one.kind === "image") return el("img", { src: one.value, alt: "" });
  if (one.kind === "sound") return el("audio", { src: one.value, controls: true });
  return null;
}

function weightOf(app, one, i, words) {
  const given = { type: "range", min: 0.25, max: 3, step: 0.25, value: one.weight };
  const shown = el("span", { class: "count", "aria-hidden": "true" }, `×${one.weight}`);
  const slider = el("input", {
    ...given,
    "aria-label": `Weight of ${words}`,
    oninput: () => (shown.textContent = `×${Number(slider.value)}`),
    onchange: () => {
      const examples = app.state.examples.map((e, k) =>
        k === i ? { ...e, weight: Number(slider.value) } : e,
      );
      app.change({ examples }, { replace: true });
    },
  });
  return el("span", { class: "weight" }, slider, shown);
}

function unlikeItem(app, value, i) {
  const text = value.startsWith("text:") ? value.slice(5) : "";
  const label = el("span", { class: "said" }, text ? `“${text}”` : "Record");
  const item = el("li", { class: "not" }, el("b", {}, "not"), label);
  if (!text) name(app, value, item, label);
  const remove = () =>
    app.change({ unlikes: app.state.unlikes.filter((_, k) => k !== i), record: "" });
  item.append(remover("Remove this from what the results are not like", remove));
  return item;
}

function senseItem(app, column, value) {
  const [latitude, longitude, ...more] = value.split(",").map(Number);
  const where = more.length ? "twenty numbers" : placeWords(latitude, longitude);
  const remove = () => app.change({ [column]: "", record: "" });
  const label = el("span", { class: "said" }, `${column} of ${where}`);
  return el("li", {}, label, remover(`Remove the ${column}`, remove));
}

function remover(words, onclick) {
  return el("button", { type: "button", class: "icon-button", "aria-label": words, onclick }, icon("x"));
}

/** Put a record's picture and name where it is an example. */
async function name(app, id, item, label) {
  const record = await app.record(id).catch(() => null);
  if (!record) return (label.textContent = "A record that is gone");
  const { name: said, latin } = nameOf(record);
  label.replaceChildren(taxon(said, latin));
  const src = record.media.kind === "image" && thumbnail(record, 240);
  if (src) item.prepend(el("img", { src, alt: "" }));
}
