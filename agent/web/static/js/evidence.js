// What a chip opens: the evidence itself, by its kind.

import { get } from "./api.js";
import { make, number, percent } from "./dom.js";
import { tell } from "./state.js";
import { tree } from "./tree.js";
import { CODES, relation } from "./words.js";

const TITLES = { ontology_path: "Ontology", kg_edge: "Knowledge graph", passage: "Literature", cells: "Your cells", prediction: "Prediction" };

export function evidence(citation, close) {
  const body = { ontology_path: ontology, kg_edge: edge, passage, cells, prediction }[citation.kind] ?? plain;
  return make("section", { class: "evidence", "data-key": citation.key, "aria-label": `Evidence ${citation.key}` },
    make("div", { class: "kind" }, make("b", {}, `${citation.key} ${TITLES[citation.kind] ?? citation.kind}`),
      make("span", {}, [citation.source, citation.release].filter(Boolean).join(" ")),
      make("button", { type: "button", class: "link", onclick: close }, "Close")),
    body(citation));
}

const plain = (citation) => [make("p", {}, citation.text)];

const term = (id, label) => make("button", { type: "button", class: "link", onclick: () => tell("look", id) }, label || id);

function ontology(citation) {
  const { nodes, edges } = citation.path;
  if (edges.length) return [tree(citation.path)];
  return [make("p", {}, term(nodes[0].id, nodes[0].label), " ", make("span", { class: "id soft" }, nodes[0].id)), make("blockquote", {}, make("mark", {}, citation.quote ?? citation.text))];
}

const pubmed = (pmid) => {
  const digits = pmid.replace("PMID:", "");
  return /^\d+$/.test(digits) ? make("a", { href: `https://pubmed.ncbi.nlm.nih.gov/${digits}/`, target: "_blank", rel: "noreferrer noopener" }, `PMID:${digits}`) : pmid;
};

function edge(citation) {
  const one = citation.edge;
  const label = (id) => citation.labels?.[id] || id;
  const rows = [
    ["source", [citation.source, citation.release].filter(Boolean).join(" ")],
    one.evidence_code && ["evidence", `${one.evidence_code}${CODES[one.evidence_code] ? `: ${CODES[one.evidence_code]}` : ""}`],
    one.publications.length && ["publications", one.publications.slice(0, 12).flatMap((p, i) => [i ? ", " : "", pubmed(p)])],
    one.qualifiers.length && ["qualifiers", one.qualifiers.join(", ")],
    one.taxon && ["organism", { "NCBITaxon:9606": "human", "NCBITaxon:10090": "mouse" }[one.taxon] ?? one.taxon],
    ["ids", make("span", { class: "id" }, `${one.subject} ${one.predicate} ${one.object}`)],
  ].filter(Boolean);
  return [
    make("div", { class: "triple" }, term(one.subject, label(one.subject)), one.negated && make("span", { class: "not" }, "NOT"), make("span", { class: "predicate" }, relation(one.predicate)), term(one.object, label(one.object))),
    make("dl", { class: "facts" }, rows.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)])),
  ];
}

function passage(citation) {
  const text = make("div", { class: "abstract", tabindex: "0" }, make("mark", {}, citation.quote));
  get("passage", { pmid: citation.pmid.replace("PMID:", "") }).then((found) => {
    // Offsets count characters, as Python does; JavaScript would count halves of some.
    const characters = [...found.text];
    const part = (from, to) => characters.slice(from, to).join("");
    const lit = make("mark", {}, part(citation.start, citation.end));
    text.replaceChildren(part(0, citation.start), lit, part(citation.end));
    text.scrollTop = Math.max(0, lit.offsetTop - text.offsetTop - 60);
  }).catch((error) => text.append(make("p", { class: "soft" }, error.message)));
  return [
    citation.retracted && make("p", { class: "not" }, "This article was retracted."),
    make("p", {}, make("strong", {}, citation.title), " ", pubmed(citation.pmid)),
    text,
  ];
}

function bar(name, share, kind = "") {
  const fill = make("i", { class: kind, "width%": Math.min(100, 100 * share).toFixed(1) });
  return make("div", { class: "measure" }, make("span", {}, name), make("div", { class: "track" }, fill), make("span", {}, percent(share)));
}

// A figure computed from the attached cells; shares are drawn, and a gene can be shown on the picture.
function cells(citation) {
  const { gene, figures = {} } = citation;
  const drawn = "share" in figures ? [bar("these cells", figures.share), "share_outside" in figures && bar("the others", figures.share_outside, "other")] : [];
  return [
    make("p", {}, citation.text),
    ...drawn,
    numbers(citation, ["share", "share_outside"]),
    gene && make("p", {}, make("button", { type: "button", class: "link", onclick: () => tell("gene", gene) }, `Colour the picture by ${gene}`)),
  ];
}

// The other figures of a statistic, by name, and what they were computed over.
function numbers(citation, drawn) {
  const rows = Object.entries(citation.figures ?? {}).filter(([name]) => !drawn.includes(name)).map(([name, value]) => [name.replaceAll("_", " "), Number.isInteger(value) ? number(value) : value.toPrecision(3)]);
  if (citation.n_cells) rows.push(["computed over", `${number(citation.n_cells)} cells, from the file`]);
  return make("dl", { class: "facts" }, rows.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]));
}

// A term that was an answer, and where it lies in the ontology: its path up to "cell".
function prediction(citation) {
  const where = make("div");
  if (citation.id) {
    get("path", { a: citation.id, b: "CL:0000000" })
      .then((found) => found.path.edges.length && where.replaceChildren(make("p", { class: "soft" }, "Where it lies in the Cell Ontology"), tree(found.path)))
      .catch((error) => where.replaceChildren(make("p", { class: "soft" }, error.message)));
  }
  return [
    make("p", {}, citation.text),
    "share" in (citation.figures ?? {}) && bar("of the cells", citation.figures.share),
    candidates(citation),
    where,
    make("dl", { class: "facts" }, make("dt", {}, "how good"), make("dd", {}, citation.measured), make("dt", {}, "beside"), make("dd", {}, citation.baseline)),
  ];
}

// What a model ranks, best first; those with an id can be looked up. Names stand in the text alone.
function candidates({ text, scores = {} }) {
  const all = Object.entries(scores);
  const most = Math.max(...all.map(([, score]) => Math.abs(score)));
  let rest = text.slice(text.indexOf(": ") + 2);
  const rows = all.map(([id, score]) => {
    const end = rest.indexOf(id.includes(":") ? ` (${id}) ` : ` ${score}`);
    const label = end > 0 ? rest.slice(0, end) : id;
    rest = rest.slice(Math.max(0, end)).replace(/^.*?\d(?: \(expected error [^)]*\))?, /, "");
    const name = id.includes(":") ? term(id, label) : label;
    const fill = make("i", { "width%": (100 * Math.abs(score) / most).toFixed(1) });
    return make("div", { class: "measure ranked" }, make("span", {}, name), make("div", { class: "track" }, fill), make("span", {}, String(score)));
  });
  return rows.length > 0 && make("div", {}, rows);
}
