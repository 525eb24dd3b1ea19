// The conversation: a question, its stages as they run, the answer with chips, or why there is none.

import { stream } from "./api.js";
import { $, make, number, put, say } from "./dom.js";
import { evidence } from "./evidence.js";
import { page, on, selected } from "./state.js";

const STAGES = [["routing", "understanding"], ["evidence", "gathering evidence"], ["writing", "writing"], ["verifying", "checking each claim"], ["answer", "answer"]];
const PLAIN = ["What is a plasmacytoid dendritic cell?", "Is a CD8-positive, alpha-beta T cell a lymphocyte?", "What are the markers of B cells?", "How are NK cells and T cells related?"];
const OF_CELLS = ["What are these cells, and why?", "What speaks against that?", "How sure is that?", "Which genes set these cells apart?"];
const OF_IMAGES = "Which gene is knocked out here?";
let busy = false;

export function startConversation() {
  $("ask").addEventListener("submit", (event) => {
    event.preventDefault();
    ask($("question").value);
  });
  $("question").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      ask($("question").value);
    }
  });
  $("question").addEventListener("input", grow);
  on("ask", ask);
  on("selections", context);
  on("dataset", context);
  on("image", context);
  put($("turns"), make("div", { class: "hello" },
    make("h2", {}, "Ask about cells. See what carries the answer."),
    make("p", {}, "Every sentence rests on an ontology path, an edge of the knowledge graph, a passage of the literature or a figure of your cells, and was checked against it. What a model predicts is marked as predicted. What cannot be supported is not said.")));
  context();
}

function grow() {
  $("question").style.height = "auto";
  $("question").style.height = `${$("question").scrollHeight}px`;
}

const nameOf = (id) => page.selections.find((one) => one.id === id)?.name;

function context() {
  const one = selected();
  const about = $("about");
  about.hidden = !page.dataset;
  if (page.dataset) {
    put(about, "About ", make("b", {}, one ? one.name : `all of ${page.dataset.name}`), one ? `(${number(one.n_cells)} cells)` : "",
      page.other && [" against ", make("b", {}, nameOf(page.other))]);
  }
  put($("suggestions"), offers().map((text) => make("button", { type: "button", onclick: () => ask(text) }, text)));
}

const offers = () => [...(page.image ? [OF_IMAGES] : []), ...(page.dataset ? OF_CELLS : PLAIN)].slice(0, 4);

async function ask(question) {
  question = question.trim();
  if (!question || busy) return;
  busy = true;
  $("send").disabled = true;
  $("question").value = "";
  grow();
  document.querySelector(".panes").dataset.tab === "cells" && $("tab-talk").click();
  $("turns").querySelector(".hello")?.remove();
  const one = selected();
  const cells = page.dataset ? (one ? `${one.name}, ${number(one.n_cells)} cells` : page.dataset.name) : "";
  const about = [cells, page.image?.name].filter(Boolean).join(" · ");
  const stages = make("ol", { class: "stages" }, STAGES.map(([key, text]) => make("li", { "data-stage": key }, text)));
  stages.style.listStyle = "none";
  const detail = make("p", { class: "detail" });
  const box = make("div", { class: "answer" }, stages, detail);
  $("turns").append(make("article", { class: "turn" }, make("p", { class: "asked" }, question, about && make("small", {}, about)), box));
  box.scrollIntoView({ block: "end" });
  let ended = false;
  try {
    const body = { question, dataset: page.dataset?.id, selection: one?.id, other: page.other ?? undefined, image: page.image?.id };
    await stream("ask", body, (event, data) => {
      if (event === "stage") mark(stages, detail, data);
      else {
        ended = true;
        finish(box, data, event);
      }
    });
    if (!ended) throw new Error("the answer broke off; ask again");
  } catch (error) {
    finish(box, { error: error.message }, "error");
  } finally {
    busy = false;
    $("send").disabled = false;
    box.parentElement.scrollIntoView({ block: "nearest" });
  }
}

function mark(stages, detail, { stage, detail: text }) {
  let before = true;
  for (const item of stages.children) {
    if (item.dataset.stage === stage) {
      item.className = "now";
      before = false;
    } else if (before) item.className = "past";
  }
  if (text) detail.textContent = text;
}

function finish(box, answer, event) {
  if (event === "error") {
    box.classList.add("failed");
    put(box, make("h3", {}, "No answer"), make("p", {}, answer.error));
    return;
  }
  if (answer.status === "abstained" || answer.status === "failed") abstained(box, answer);
  else put(box, prose(answer, box), answer.status === "truncated" && make("p", { class: "warning" }, "A limit was met: what is shown is checked, and not all of it."));
  for (const warning of answer.warnings) box.append(make("p", { class: "warning" }, warning));
  box.append(foot(answer));
  say(answer.answer);
}

// The answer's text, with a button for each evidence key; the text itself is never markup.
function prose(answer, box) {
  const known = new Map(answer.citations.map((one) => [one.key, one]));
  const apart = answer.answer.length > 320 || answer.citations.some((one) => one.kind === "prediction");
  const sentences = (apart ? answer.answer.split(/(?<=\]\.) (?=\S)/) : [answer.answer]).flatMap((text) => text.split(/ (?=Sources?: [^.]*\.?$)/));
  return make("div", { class: "prose" }, sentences.map((sentence) => {
    const paragraph = make("p", { class: /^Sources?: /.test(sentence) ? "soft sources" : null });
    const keys = [...sentence.matchAll(/\[(E\d+(?:, ?E\d+)*)\]/g)].flatMap(([, some]) => some.split(/, ?/));
    const rests = keys.map((key) => known.get(key)).find((one) => one?.kind === "prediction");
    if (rests) {
      paragraph.className = "predicted";
      paragraph.append(worth(rests));
    }
    for (const part of sentence.split(/(\[E\d+(?:, ?E\d+)*\])/)) {
      const keys = /^\[E\d/.test(part) ? part.slice(1, -1).split(/, ?/) : [];
      if (!keys.length) paragraph.append(part);
      else for (const key of keys) paragraph.append(known.has(key) ? chip(known.get(key), box) : `[${key}]`);
    }
    return paragraph;
  }));
}

// What stands over a sentence that a model says: that it is predicted, its figure and the baseline's.
function worth({ measured_value: own, baseline_value: other, baseline }) {
  const told = make("span", { class: "worth" }, make("b", {}, "Predicted"));
  if (typeof own === "number" && typeof other === "number") {
    told.append(` measured ${own.toFixed(3)}, beside ${baseline}${own <= other ? ": no better than that" : ""}`);
  }
  return told;
}

function chip(citation, box) {
  const button = make("button", { type: "button", class: "chip", "aria-expanded": "false", "data-key": citation.key, title: KINDS[citation.kind] }, citation.key);
  button.addEventListener("click", () => {
    const open = box.querySelector(`.evidence[data-key="${citation.key}"]`);
    const same = box.querySelectorAll(`.chip[data-key="${citation.key}"]`);
    for (const one of same) one.setAttribute("aria-expanded", String(!open));
    if (open) return open.remove();
    const panel = evidence(citation, () => button.click());
    button.closest("p").after(panel);
    panel.scrollIntoView({ block: "nearest", behavior: "smooth" });
  });
  return button;
}

export const KINDS = { ontology_path: "ontology", kg_edge: "edge of the graph", passage: "literature", cells: "figure of the cells", prediction: "prediction" };

function abstained(box, answer) {
  box.classList.add(answer.status);
  const [reason, ...help] = answer.answer.split("; ");
  put(box,
    make("h3", {}, answer.status === "failed" ? "The question could not be answered" : "Not in the loaded sources"),
    make("p", {}, reason),
    make("div", { class: "help" }, make("strong", {}, "What would help"),
      help.length ? make("p", {}, help.join("; ")) : make("p", {}, "Name a cell type, gene, process or disease, and what you want to know of it."),
      make("p", { class: "others" }, offers().slice(0, 3).map((text) => make("button", { type: "button", onclick: () => ask(text) }, text)))));
}

function foot(answer) {
  const releases = Object.entries(answer.releases).map(([name, version]) => `${name} ${version}`);
  const steps = answer.route.map((step) => make("li", {}, `${step.tool}: ${step.why} (${step.ms.toFixed(0)} ms)`));
  const checked = answer.claims.filter((claim) => claim.verdict === "supported").length;
  return make("div", { class: "foot" },
    checked > 0 && make("span", {}, `${checked} ${checked === 1 ? "claim" : "claims"} checked`),
    releases.length > 0 && make("span", {}, releases.join(" · ")),
    steps.length > 0 && make("details", {}, make("summary", {}, "How it was found"), make("ol", {}, steps)));
}
