// The look-up box: a gene or a term, its definition, and what the graph says around it.

import { get } from "./api.js";
import { $, make, put } from "./dom.js";
import { page, on, tell } from "./state.js";
import { relation } from "./words.js";

export function startLookup() {
  $("lookup").addEventListener("submit", (event) => {
    event.preventDefault();
    const words = $("lookup-words").value.trim();
    if (words) look(words);
  });
  on("look", look);
  $("card").addEventListener("click", (event) => event.target === $("card") && $("card").close());
}

const head = (title, id) => make("header", {},
  make("div", {}, make("h2", { id: "card-title" }, title), id && make("span", { class: "id soft" }, id)),
  make("button", { type: "button", class: "icon", "aria-label": "Close", onclick: () => $("card").close() }, "×"));

function open(...children) {
  put($("card").querySelector(".card"), children);
  if (!$("card").open) $("card").showModal();
}

async function look(words) {
  open(head("Looking it up …"));
  try {
    const { candidates } = await get("term", { q: words });
    if (!candidates.length) return open(head("Nothing is called that"), make("p", {}, `No term or gene of the loaded releases is called “${words}”. Try a synonym, a symbol or an id such as CL:0000084.`));
    const [first, ...others] = candidates;
    open(head(first.label, `${first.id} · ${kind(first)} · ${first.source} ${first.release}`), about(first), more(others), make("section", { id: "around" }, make("p", { class: "soft" }, "Reading what the graph says …")));
    await around(first);
  } catch (error) {
    open(head("Not found"), make("p", { class: "problem", role: "alert" }, error.message));
  }
}

// "biolink:BiologicalProcess" in words.
const kind = (term) => term.category.replace(/^\w+:/, "").replace(/(?<=[a-z])(?=[A-Z])/g, " ").toLowerCase();

function about(term) {
  const gene = term.category === "biolink:Gene";
  return make("div", {},
    term.definition && make("p", {}, term.definition),
    term.notice && make("p", { class: "warning" }, term.notice),
    term.synonyms.length > 0 && make("p", { class: "soft" }, `also: ${term.synonyms.slice(0, 8).join(", ")}`),
    make("p", { class: "row actions-row" },
      gene && page.dataset && make("button", { type: "button", class: "button small", onclick: () => act("gene", term.label) }, "Colour the cells by it"),
      make("button", { type: "button", class: "button plain small", onclick: () => act("ask", gene ? `What does ${term.label} do?` : `What is a ${term.label}?`) }, "Ask about it")));
}

function act(event, value) {
  $("card").close();
  tell(event, value);
}

const more = (others) => others.length > 0 && make("section", {}, make("h3", {}, "It could also mean"),
  make("p", { class: "others" }, others.slice(0, 7).map((one) => make("button", { type: "button", onclick: () => look(one.id) }, one.label))));

async function around(term) {
  const found = await get("neighbours", { gene: term.id, limit: 25 });
  const box = $("around");
  if (!box) return;
  if (!found.neighbours.length) return put(box, make("p", { class: "soft" }, "The graph has nothing around it."));
  const rows = found.neighbours.map((one) => make("tr", {},
    make("td", {}, (one.direction === "in" ? "← " : "") + (one.relation || relation(one.predicate))),
    make("td", {}, make("button", { type: "button", class: "link", onclick: () => look(one.id) }, one.label)),
    make("td", {}, one.evidence_code ?? ""),
    make("td", {}, one.publications.slice(0, 2).join(", ")),
    make("td", { class: "soft" }, one.source)));
  const columns = ["relation", "neighbour", "evidence", "publications", "source"].map((text) => make("th", { scope: "col" }, text));
  put(box, make("h3", {}, `In the graph: ${found.neighbours.length} of ${found.total} neighbours, best supported first`),
    make("table", { class: "rows" }, make("thead", {}, make("tr", {}, columns)), make("tbody", {}, rows)));
}
