// The server's answers, and what went wrong in words.

import { queryOf } from "./state.js";

const BASE = new URL("api/v1/", document.baseURI);

/** Something that did not work: what the server said of it, or that it cannot be reached. */
export class Problem extends Error {
  constructor(status, title, detail = "", wait = 0) {
    super(detail ? `${title}. ${detail}` : title);
    Object.assign(this, { status, title, detail, wait });
  }
}

async function answer(path, options) {
  let response;
  try {
    response = await fetch(new URL(path, BASE), options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw navigator.onLine
      ? new Problem(0, "The server cannot be reached", "Try again in a moment.")
      : new Problem(0, "You are offline", "Search works again when the connection is back.");
  }
  if (response.ok) return response.json();
  const told = await response.json().catch(() => ({}));
  const wait = Number(response.headers.get("Retry-After")) || 0;
  const title = String(told.title ?? `The server answered ${response.status}`).replace(/\.$/, "");
  const detail = typeof told.detail === "string" ? told.detail : "";
  throw new Problem(response.status, title, detail, wait);
}

/** An answer to a GET; `params` as URLSearchParams or pairs. */
export function get(path, params = [], signal = undefined) {
  const query = new URLSearchParams(params).toString();
  return answer(query ? `${path}?${query}` : path, { signal });
}

/** A page of what a search finds; a question with files is posted, any other is a link. */
export function search(state, after, n, signal) {
  const fields = queryOf(state);
  fields.delete("record");
  fields.append("n", n);
  if (after) fields.append("after", after);
  const files = state.examples.filter((one) => one.file);
  if (!files.length) return get("search", fields, signal);
  const body = new FormData();
  for (const one of files) body.append(one.kind, one.file, one.file.name || one.kind);
  for (const [name, value] of fields) if (name !== "weight") body.append(name, value);
  for (const one of state.examples) body.append("weight", one.weight);
  return answer("search", { method: "POST", body, signal });
}

/** Whether media may be shown that lie elsewhere: the server says, and its policy agrees. */
export const elsewhere = { shown: false };

/** What the server named by a path from its root, wherever the page lies; nothing stays nothing. */
const address = (path) => (path.startsWith("/") ? new URL(path.slice(1), document.baseURI).href : path);

/** The address of a record's medium; "" where it may not be shown here. */
export function whole({ media }) {
  return media.local || elsewhere.shown ? address(media.full) : "";
}

/** The address of its picture at a size; "" likewise. */
export function thumbnail(record, size) {
  const { thumbnail: small } = record.media;
  return small ? `${address(small)}&size=${size}` : whole(record);
}
