// The years: a histogram of when the records that fit were found, and a range to search in.

import { get } from "./api.js";
import { by, svg } from "./elements.js";
import { filtersOf } from "./state.js";
import { counted } from "./words.js";

const BINS = 60; // columns at most
const SIZES = [1, 2, 5, 10, 20, 25, 50, 100, 200, 500, 1000];
const HEIGHT = 40;

/** Years gathered in columns of equal length: [{from, until, n}]. */
export function binned(years) {
  if (!years.length) return [];
  const [first, last] = [years[0].year, years.at(-1).year];
  const size = SIZES.find((one) => (last - first + 1) / one <= BINS) ?? SIZES.at(-1);
  const start = Math.floor(first / size) * size;
  const bins = Array.from({ length: Math.floor((last - start) / size) + 1 }, (_, i) => ({
    from: start + i * size,
    until: start + (i + 1) * size - 1,
    n: 0,
  }));
  for (const { year, n } of years) bins[Math.floor((year - start) / size)].n += n;
  return bins;
}

const written = (year) => String(Math.max(year, 1)).padStart(4, "0");

/** The timeline of the filters; returns how to show a state. */
export function makeTimeline(app) {
  const chart = svg("svg", { class: "years", role: "img", preserveAspectRatio: "none" });
  by("timeline").prepend(chart);
  const [since, until] = [by("since"), by("until")];
  const wrong = by("years-wrong");
  let [bins, asked, shown] = [[], null, null];

  const choose = (from, to) => {
    wrong.textContent = "";
    app.change({ since: from ? written(from) : "", until: to ? written(to) : "", record: "" });
  };
  const read = () => {
    const [from, to] = [since.valueAsNumber || 0, until.valueAsNumber || 0];
    if (from && to && from > to) wrong.textContent = "The first year lies behind the last.";
    else choose(from, to);
  };
  since.addEventListener("change", read);
  until.addEventListener("change", read);
  by("years-clear").addEventListener("click", () => choose(0, 0));

  function draw(state, dragged = null) {
    const [from, to] = dragged ?? [Number(state.since.slice(0, 4)) || -Infinity, Number(state.until.slice(0, 4)) || Infinity];
    const most = Math.max(...bins.map((bin) => bin.n), 1);
    chart.setAttribute("viewBox", `0 0 ${Math.max(bins.length, 1)} ${HEIGHT}`);
    chart.replaceChildren(
      ...bins.map((bin, i) => {
        const height = bin.n ? Math.max((bin.n / most) * HEIGHT, 1) : 0;
        const inside = bin.until >= from && bin.from <= to;
        const bar = svg("rect", { x: i + 0.1, width: 0.8, y: HEIGHT - height, height, class: inside ? "in" : "out" });
        const words = bin.from === bin.until ? `${bin.from}` : `${bin.from} to ${bin.until}`;
        bar.append(svg("title", {}, `${words}: ${counted(bin.n, "record")}`));
        return bar;
      }),
    );
  }
  function describe() {
    chart.toggleAttribute("hidden", !bins.length);
    const total = bins.reduce((sum, bin) => sum + bin.n, 0);
    by("years-words").textContent = `${counted(total, "record")} with a date`;
    const most = bins.reduce((best, bin) => (bin.n > best.n ? bin : best), { n: 0 });
    const peak = most.n ? `, most of them from ${most.from} to ${most.until}` : "";
    chart.setAttribute("aria-label", `Records by year: ${counted(total, "record")}${peak}`);
  }

  dragOver(chart, () => bins, {
    drawn: (range) => draw(app.state, range),
    chosen: ([from, to]) => choose(from, to),
  });
  return async (state, fresh) => {
    since.value = state.since.slice(0, 4);
    until.value = state.until.slice(0, 4);
    by("years-clear").hidden = !state.since && !state.until;
    const filters = filtersOf(state, ["since", "until"]);
    if (String(filters) === shown && !fresh) return draw(state);
    asked?.abort();
    asked = new AbortController();
    const key = String(filters);
    const told = await get("timeline", filters, asked.signal);
    shown = key;
    bins = binned(told.years);
    by("year-first").textContent = told.years[0]?.year ?? "";
    by("year-last").textContent = told.years.at(-1)?.year ?? "";
    describe();
    draw(state);
  };
}

/** Dragging over the columns chooses from the first to the last; a click one. */
function dragOver(chart, bins, on) {
  let from = -1;
  const index = (event) => {
    const box = chart.getBoundingClientRect();
    const at = Math.floor(((event.clientX - box.left) / box.width) * bins().length);
    return Math.min(Math.max(at, 0), bins().length - 1);
  };
  const range = (event) => {
    const to = index(event);
    return [bins()[Math.min(from, to)].from, bins()[Math.max(from, to)].until];
  };
  chart.addEventListener("pointerdown", (event) => {
    if (event.button || !bins().length) return;
    from = index(event);
    chart.setPointerCapture(event.pointerId);
    on.drawn(range(event));
  });
  chart.addEventListener("pointermove", (event) => from >= 0 && on.drawn(range(event)));
  chart.addEventListener("pointerup", (event) => {
    if (from < 0) return;
    const chosen = range(event);
    from = -1;
    on.chosen(chosen);
  });
  chart.addEventListener("pointercancel", () => (from = -1));
}
