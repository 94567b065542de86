// The page: one state, which is the address; every part shows it and asks for changes of it.

import { Problem, elsewhere, get, search } from "./api.js";
import { by, el, outward, say } from "./elements.js";
import { makeFacets, showChips } from "./facets.js";
import { makeMap } from "./map.js";
import { makeQuery } from "./query.js";
import { copier, makeRecord } from "./record.js";
import { countWords, makeResults } from "./results.js";
import { asks, empty, linkOf, ordered, queryOf, sound, stateOf } from "./state.js";
import { makeTree } from "./taxa.js";
import { makeTimeline } from "./timeline.js";
import { counted, licenceWords, number } from "./words.js";

const PAGE = 40; // results at a time

const app = { about: null, state: empty(), found: [] };
const files = new Map(); // address of an uploaded file to its example, as long as the page lives
const records = new Map(); // id to what the server said of it
const parts = {};
let [next, asked, retry] = ["", null, null];

/** Change the state, and with it the address; `replace` makes no step to go back to. */
app.change = (changes, { replace = false } = {}) => {
  const state = sound({ ...app.state, ...changes });
  if (keyOf(state) === keyOf(app.state) && state.record === app.state.record) return;
  for (const one of state.examples) if (one.file) files.set(one.value, one);
  const held = state.examples.filter((one) => one.file).map(({ value, weight }) => ({ value, weight }));
  history[replace ? "replaceState" : "pushState"]({ held }, "", linkOf(state));
  apply(state);
};
app.restart = () => app.change({ ...empty(), record: "" });
app.open = (id) => app.change({ record: id });
app.moreLike = (id) =>
  anew({ examples: [{ kind: "like", value: id, weight: 1 }], unlikes: [], place: "", climate: "" });
app.alsoLike = (id) => {
  const others = app.state.examples.filter((one) => one.value !== id);
  anew({ examples: ordered([...others, { kind: "like", value: id, weight: 1 }]) });
};
app.notLike = (id) => {
  const examples = app.state.examples.filter((one) => one.value !== id);
  anew({ examples, unlikes: [...new Set([...app.state.unlikes, id])] });
};
app.livesAt = (place) => anew({ examples: [], unlikes: [], place, climate: "" });
/** A record by its id, asked for once. */
app.record = async (id) => {
  if (!records.has(id)) records.set(id, await get("records", { id }));
  return records.get(id);
};
/** Say in words what did not work; `again` is what a button tries again. */
app.tell = (problem, again = null) => {
  if (problem.name === "AbortError") return;
  if (!(problem instanceof Problem)) console.error(problem);
  const known = problem instanceof Problem;
  by("trouble-title").textContent = known ? problem.title : "Something went wrong on this page";
  by("trouble-detail").textContent = known ? problem.detail : String(problem.message ?? problem);
  by("trouble").hidden = false;
  by("trouble-again").hidden = !again;
  retry = again;
};
/** Let the parts beside the results show the state; `fresh` asks the server even if nothing changed. */
app.refresh = (fresh = false) => {
  if (!by("panel").checkVisibility()) return;
  const { state } = app;
  const again = () => app.refresh(true);
  const show = (part, section) =>
    (!section || by(section).open) && part(state, fresh).catch((problem) => app.tell(problem, again));
  show(parts.tree, "what");
  show(parts.map.show, "where");
  show(parts.timeline, "when");
  show(parts.facets);
};

function anew(changes) {
  app.change({ ...changes, record: "" });
  scrollTo({ top: 0 });
  by("results").focus({ preventScroll: true });
}

/** Equal for states that find the same. */
function keyOf(state) {
  const query = queryOf(state);
  query.delete("record");
  const held = state.examples.filter((one) => one.file).map((one) => [one.value, one.weight]);
  return `${query}|${JSON.stringify(held)}`;
}

function apply(state, first = false) {
  const again = first || keyOf(state) !== keyOf(app.state);
  app.state = state;
  parts.query(state);
  showChips(app, state);
  by("group").value = state.group;
  by("diversity").value = state.diversity;
  by("variety").hidden = !asks(state);
  if (again) {
    run();
    app.refresh();
  }
  parts.record(state).catch((problem) => app.tell(problem));
}

/** Ask the question of the state and show the first page of what is found. */
async function run() {
  asked?.abort();
  asked = new AbortController();
  const { signal } = asked;
  for (const id of ["trouble", "empty", "distant", "more"]) by(id).hidden = true;
  parts.results.wait();
  by("count").textContent = "Searching …";
  app.found = [];
  await turn("", signal, run);
}

/** One page of results. */
async function turn(after, signal, again) {
  const { state } = app;
  by("more").disabled = true;
  try {
    const page = await search(state, after, PAGE, signal);
    if (signal.aborted) return;
    for (const found of page.records) records.set(found.id, found.record);
    app.found.push(...page.records);
    next = page.next;
    show(page, state, Boolean(after));
  } catch (problem) {
    if (problem.name === "AbortError") return;
    if (!after) parts.results.clear();
    if (!after) by("count").textContent = "Nothing was found out";
    app.tell(problem, again);
  } finally {
    by("more").disabled = false;
  }
}

function show(page, state, more) {
  parts.results.show(page, state, more);
  const words = countWords(app.found.length, page.total, state);
  by("count").textContent = words;
  by("distant").hidden = !page.nothingClose;
  by("empty").hidden = app.found.length > 0;
  by("more").hidden = !next;
  by("calibrated").hidden = !page.records.some((one) => one.closeness !== null);
  parts.map.places(app.found);
  say(page.nothingClose ? `${words}. Nothing here is close to the question.` : words);
  parts.record(app.state).catch((problem) => app.tell(problem));
}

/** Name, size and sources of the collection. */
function showAbout(about) {
  elsewhere.shown = about.remoteMedia;
  document.title = about.name;
  by("title").textContent = about.name;
  const { since, until } = about.columns ?? {};
  const years = since && until && since !== until ? `, ${since} to ${until}` : "";
  by("size").textContent = `${counted(about.records, "record")}${years}`;
  const { can } = about.encoder;
  by("words").placeholder = can.includes("text") ? "A name or words" : "A name";
  const seen = can.includes("image");
  by("how").textContent = seen ? "Or search by a picture: drop or paste it anywhere." : "";
  by("sets").replaceChildren(
    ...about.sets.map((set) =>
      el(
        "li",
        {},
        el("b", {}, set.name),
        ` ${counted(set.records, "record")}. `,
        set.citation && `${set.citation.replace(/\.$/, "")}. `,
        set.license && ["Licence: ", outward(set.license, licenceWords(set.license)), ". "],
        set.source && ["Source: ", outward(set.source, set.source), "."],
      ),
    ),
  );
  by("made").textContent =
    `Searched with syntype ${about.version}: ${about.engine}, ${number(about.dim)} dimensions` +
    (about.encoder.spec ? `, ${about.encoder.spec}.` : ".");
}

function listen() {
  by("group").addEventListener("change", () => app.change({ group: by("group").value, record: "" }));
  by("diversity").addEventListener("change", () =>
    app.change({ diversity: by("diversity").valueAsNumber, record: "" }, { replace: true }),
  );
  by("more").addEventListener("click", () => more());
  by("trouble-again").addEventListener("click", () => {
    by("trouble").hidden = true;
    retry?.();
  });
  by("trouble-close").addEventListener("click", () => (by("trouble").hidden = true));
  const unfold = (shown) => {
    by("panel").classList.toggle("shown", shown);
    by("filters").setAttribute("aria-expanded", String(shown));
    app.refresh();
  };
  by("filters").addEventListener("click", () => unfold(!by("panel").classList.contains("shown")));
  by("done").addEventListener("click", () => {
    unfold(false);
    by("results").focus();
  });
  for (const id of ["what", "where", "when"]) by(id).addEventListener("toggle", () => app.refresh());
  addEventListener("popstate", (event) => {
    // A link within the page has no state of ours and leaves the search as it is.
    if (event.state || location.search !== linkOf(app.state).slice(2)) restore(event.state);
  });
  addEventListener("keydown", (event) => {
    const typing = event.target.closest?.("input, select, textarea");
    if (event.key !== "/" || typing || event.ctrlKey || event.metaKey) return;
    if (document.querySelector("dialog[open]")) return;
    event.preventDefault();
    by("words").focus();
    by("words").select();
  });
  const online = () => (by("offline").hidden = navigator.onLine);
  addEventListener("online", online);
  addEventListener("offline", online);
  online();
  const wide = matchMedia("(min-width: 62rem)");
  wide.addEventListener("change", () => app.refresh());
  by("share").append(copier(() => location.href, "Copy link"));
}

function more() {
  return turn(next, asked.signal, more);
}

/** Take the state from the address, with the files that it was asked with as long as they are here. */
function restore(kept, first = false) {
  const state = stateOf(location.search, app.about.facets);
  const held = (kept?.held ?? []).filter(({ value }) => files.has(value));
  const examples = held.map(({ value, weight }) => ({ ...files.get(value), weight }));
  state.examples = ordered([...examples, ...state.examples]);
  apply(sound(state), first);
}

async function start() {
  by("trouble").hidden = true;
  try {
    app.about = await get("about");
  } catch (problem) {
    app.tell(problem, start);
    return;
  }
  showAbout(app.about);
  parts.query = makeQuery(app);
  parts.results = makeResults(app);
  parts.facets = makeFacets(app);
  parts.map = makeMap(app);
  parts.timeline = makeTimeline(app);
  parts.tree = makeTree(app);
  parts.record = makeRecord(app);
  listen();
  history.replaceState({ held: history.state?.held ?? [] }, "");
  restore(history.state, true);
}

start();
