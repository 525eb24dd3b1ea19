// The annotation run, its progress, and what it found.

import { follow, get, send } from "./api.js";
import { $, make, number, percent, progress, put, say } from "./dom.js";
import { page, on, tell } from "./state.js";

const AT_ONCE = 60000; // cells up to which the annotation starts by itself: it takes seconds

export function startAnnotation() {
  on("dataset", (dataset) => {
    $("summary").hidden = true;
    if (!dataset) return;
    if (dataset.annotated) finished(dataset);
    else if (dataset.unread) put($("annotate"), make("p", { class: "problem" }, `The cells cannot be named: ${dataset.unread}`));
    else if (dataset.n_cells <= AT_ONCE) run();
    else offer();
  });
}

function offer(error) {
  put($("annotate"),
    make("button", { type: "button", class: "button small", onclick: run }, "Name the cell types"),
    make("span", { class: "soft" }, "zero-shot, from markers; no label of the file is read"),
    error && make("p", { class: "problem", role: "alert" }, error));
}

async function run() {
  const { dataset } = page;
  try {
    const job = await send("POST", "annotate", { dataset: dataset.id });
    const stop = make("button", { type: "button", class: "link", onclick: () => send("DELETE", `jobs/${job.id}`) }, "Stop");
    const ended = await follow(job, (now) => page.dataset === dataset && put($("annotate"), progress(now), stop));
    if (page.dataset !== dataset) return;
    if (ended.state !== "done") return offer(ended.error || (ended.state === "cancelled" ? "Stopped." : ""));
    Object.assign(dataset, await get(`datasets/${dataset.id}`));
    await finished(dataset);
    tell("annotated");
  } catch (error) {
    if (page.dataset === dataset) offer(error.message);
  }
}

async function finished(dataset) {
  const found = await get(`datasets/${dataset.id}/summary`);
  if (page.dataset !== dataset) return;
  const types = found.terms.length;
  put($("annotate"), make("span", { class: "soft" }, `${number(types)} cell types found in ${number(found.n_cells - found.abstained)} cells${found.abstained ? `; ${number(found.abstained)} without an answer` : ""}`));
  $("summary").hidden = false;
  put($("summary").querySelector("div"), table(found));
  $("get-annotated").href = `api/datasets/${dataset.id}/annotated`;
  $("get-annotated").removeAttribute("aria-disabled");
  say(`The cells are annotated: ${number(types)} cell types`);
}

function table(found) {
  const genes = (rows, kind) => rows.slice(0, 5).flatMap((row, i) => [
    i ? ", " : "",
    make("button", { type: "button", class: `gene ${kind}`, title: `${row.role}: in ${percent(row.inside)} of these cells, ${percent(row.outside)} of the others`, onclick: () => tell("gene", row.gene) }, row.gene),
  ]);
  const rows = found.terms.map((term) => make("tr", {},
    make("td", {}, make("button", { type: "button", class: "link", onclick: () => tell("look", term.id) }, term.label)),
    make("td", { class: "number" }, number(term.n_cells)),
    make("td", { class: "number" }, term.confidence.toFixed(2)),
    make("td", {}, genes(term.supporting, "for")),
    make("td", {}, genes(term.against, "against"))));
  const head = ["cell type", "cells", "confidence", "markers for", "against"].map((text) => make("th", { scope: "col" }, text));
  return make("table", { class: "found" }, make("thead", {}, make("tr", {}, head)), make("tbody", {}, rows));
}
