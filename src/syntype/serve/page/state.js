// What is asked for: all of it but uploaded files stands in the address, under the API's own names.
//
// examples: [{kind: "image"|"sound"|"text"|"like", value, weight, file}] in the order of KINDS;
// unlikes: [record id or "text:words"]; filters: {column: [values]}; the rest are single values.

export const KINDS = ["image", "sound", "text", "like"];
const SINGLE = ["box", "near", "since", "until", "place", "climate", "group", "record"];
const FILTERS = ["box", "near", "since", "until"];

/** Nothing asked for. */
export function empty() {
  const state = { examples: [], unlikes: [], filters: {}, diversity: 0 };
  for (const name of SINGLE) state[name] = "";
  return state;
}

/** What an address asks for; `columns` are the facets that there are. */
export function stateOf(search, columns) {
  const params = new URLSearchParams(search);
  const state = empty();
  for (const name of SINGLE) state[name] = params.get(name) ?? "";
  state.diversity = Math.min(Math.max(Number(params.get("diversity")) || 0, 0), 1);
  state.unlikes = params.getAll("unlike");
  const weights = params.getAll("weight").map(Number);
  for (const kind of ["text", "like"]) {
    for (const value of params.getAll(kind)) {
      const weight = weights[state.examples.length];
      state.examples.push({ kind, value, weight: weight > 0 ? weight : 1 });
    }
  }
  for (const column of [...columns, "has"]) {
    const values = [...new Set(params.getAll(column))];
    if (values.length) state.filters[column] = values;
  }
  return state;
}

/** The conditions on records, as the API takes them, but those named in `without`. */
export function filtersOf(state, without = []) {
  const params = new URLSearchParams();
  for (const [column, values] of Object.entries(state.filters)) {
    if (!without.includes(column)) for (const value of values) params.append(column, value);
  }
  for (const name of FILTERS) {
    if (state[name] && !without.includes(name)) params.append(name, state[name]);
  }
  return params;
}

/** All of it as a query string, which is the page's address and the API's question. */
export function queryOf(state) {
  const params = new URLSearchParams();
  const linked = state.examples.filter((one) => !one.file);
  for (const one of linked) params.append(one.kind, one.value);
  if (linked.some((one) => one.weight !== 1)) {
    for (const one of linked) params.append("weight", one.weight);
  }
  for (const value of state.unlikes) params.append("unlike", value);
  for (const [name, value] of filtersOf(state)) params.append(name, value);
  for (const name of ["place", "climate", "group"]) if (state[name]) params.append(name, state[name]);
  if (state.diversity) params.append("diversity", state.diversity);
  if (state.record) params.append("record", state.record);
  return params;
}

/** The page's address for a state. */
export function linkOf(state) {
  const query = queryOf(state).toString();
  return query ? `./?${query}` : "./";
}

/** Examples in the order in which the API counts weights. */
export function ordered(examples) {
  return KINDS.flatMap((kind) => examples.filter((one) => one.kind === kind));
}

/** Whether there is anything to be like. */
export function asks(state) {
  return Boolean(state.examples.length || state.place || state.climate);
}

/** A state without what means nothing: unlikes, where there is nothing to be like. */
export function sound(state) {
  return asks(state) ? state : { ...state, unlikes: [] };
}

/** The filters with a value of a column put in or taken out. */
export function toggled(filters, column, value) {
  const before = filters[column] ?? [];
  const values = before.includes(value) ? before.filter((v) => v !== value) : [...before, value];
  const { [column]: _, ...others } = filters;
  return values.length ? { ...others, [column]: values } : others;
}

/** Changes that lift every filter. */
export function unfiltered() {
  return { filters: {}, ...Object.fromEntries(FILTERS.map((name) => [name, ""])) };
}

/** The active filters, one by one: column, value, and the changes that lift it. */
export function activeOf(state) {
  const active = Object.entries(state.filters).flatMap(([column, values]) =>
    values.map((value) => ({
      column,
      value,
      changes: { filters: toggled(state.filters, column, value) },
    })),
  );
  for (const column of FILTERS) {
    if (state[column]) active.push({ column, value: state[column], changes: { [column]: "" } });
  }
  return active;
}
