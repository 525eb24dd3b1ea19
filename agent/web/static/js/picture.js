// The picture: points of the open dataset, what colours them, and the legend that filters.

import { bytes, decode, follow, get, send } from "./api.js";
import { $, make, number, progress, put, say } from "./dom.js";
import { gestures } from "./gestures.js";
import { groupColours, ramp, rgb } from "./palette.js";
import { Plot } from "./plot.js";
import { page, on, selected, tell } from "./state.js";

const plot = new Plot($("plot"));
let shown = null; // the colouring: {kind, names, total, values, colours, hidden}
let asked = 0; // the latest colour that was asked for

export const colours = () => shown;

export function startPicture() {
  plot.ondrawn = () => {
    labels();
    if (!plot.count || "painted" in $("stage").dataset) return;
    $("stage").dataset.painted = "";
    performance.mark("painted"); // what the benchmark measures
  };
  gestures(plot, {
    drawn: (polygon, tool) => tell("select", { polygon, name: tool === "box" ? "box" : "lasso" }),
    picked: pick,
  });
  new ResizeObserver(() => plot.count && plot.resized()).observe($("stage"));
  $("colour").addEventListener("change", () => colour($("colour").value));
  $("gene").addEventListener("input", suggest);
  $("gene").addEventListener("change", () => $("gene").value.trim() && colour(`gene:${$("gene").value.trim()}`));
  $("get-picture").addEventListener("click", save);
  on("selections", light);
  on("theme", retheme);
  on("annotated", () => {
    choices();
    colour("answer");
  });
  on("gene", (symbol) => page.dataset && colour(`gene:${symbol}`));
}

// --- the dataset -----------------------------------------------------------------------------------

export async function show(dataset) {
  shown = null;
  $("dataset-name").textContent = dataset.name;
  $("dataset-size").textContent = `${number(dataset.n_cells)} cells, ${number(dataset.n_genes)} genes`;
  $("plot").setAttribute("aria-label", `Picture of ${number(dataset.n_cells)} cells of ${dataset.name}. Arrow keys move it, plus and minus zoom, 0 shows all. Groups can be selected in the legend.`);
  put($("legend"));
  choices();
  if (dataset.placed) await points();
  else offerLayout();
}

async function points() {
  const { dataset } = page;
  $("layout-job").hidden = true;
  const xy = new Float32Array(await bytes(`datasets/${dataset.id}/points`));
  if (page.dataset !== dataset) return;
  theme();
  plot.load(xy);
  $("get-picture").disabled = false;
  const sampled = dataset.drawn < dataset.n_cells;
  $("sampled").hidden = !sampled;
  $("sampled").textContent = `${number(dataset.drawn)} of ${number(dataset.n_cells)} cells drawn; selections count all`;
  await colour($("colour").value);
}

function offerLayout() {
  const box = $("layout-job");
  box.hidden = false;
  const start = make("button", { type: "button", class: "button", onclick: run }, "Compute the picture");
  put(box, make("div", {}, make("p", {}, `${page.dataset.name} has no UMAP.`), start));

  async function run() {
    const { dataset } = page;
    try {
      const job = await send("POST", "layout", { dataset: dataset.id });
      const stop = make("button", { type: "button", class: "link", onclick: () => send("DELETE", `jobs/${job.id}`) }, "Stop");
      const ended = await follow(job, (now) => put(box, make("div", {}, make("p", {}, "Computing a UMAP of these cells"), progress(now), stop)));
      if (page.dataset !== dataset) return;
      if (ended.state !== "done") throw new Error(ended.error || "The picture was stopped.");
      page.dataset = Object.assign(dataset, await get(`datasets/${dataset.id}`));
      await points();
    } catch (error) {
      put(box, make("div", {}, make("p", { class: "problem", role: "alert" }, error.message), start));
    }
  }
}

// --- colours ---------------------------------------------------------------------------------------

function choices() {
  const { dataset } = page;
  const before = $("colour").value;
  const option = (value, text) => make("option", { value }, text);
  const groups = [];
  if (dataset.annotated) {
    groups.push(make("optgroup", { label: "Annotation" }, option("answer", "cell type"), option("depth", "depth in the Cell Ontology"), option("confidence", "confidence")));
  }
  const columns = [...dataset.columns].sort((a, b) => (a.kind > b.kind) - (a.kind < b.kind));
  if (columns.length) groups.push(make("optgroup", { label: "Columns of the file" }, columns.map((c) => option(`column:${c.name}`, c.name))));
  if (!groups.length) groups.push(option("", "nothing yet"));
  put($("colour"), groups);
  const values = [...$("colour").options].map((o) => o.value);
  const first = dataset.annotated ? "answer" : `column:${(columns.find((c) => c.groups > 1 && c.groups <= 60) ?? columns[0])?.name}`;
  $("colour").value = values.includes(before) ? before : values.includes(first) ? first : values[0];
}

export async function colour(what) {
  const { dataset } = page;
  if (!dataset?.placed || !what) return;
  const turn = ++asked;
  const [by, ...rest] = what.split(":");
  const name = rest.join(":");
  put($("legend"), make("p", { class: "soft" }, by === "gene" ? `Reading ${name} …` : "…"));
  try {
    const found = await get(`datasets/${dataset.id}/colour`, { by, name });
    if (turn !== asked || page.dataset !== dataset) return;
    const values = decode(found.data, found.kind === "groups" ? Uint16Array : Float32Array);
    shown = { ...found, by, values, hidden: new Set() };
    if (by === "gene") {
      $("gene").value = found.title;
      $("colour").selectedIndex = -1;
    } else {
      $("gene").value = "";
      $("colour").value = what;
    }
    paint();
    tell("coloured");
  } catch (error) {
    if (turn === asked) put($("legend"), make("p", { class: "problem", role: "alert" }, error.message));
  }
}

function paint() {
  if (!shown) return;
  const { values } = shown;
  if (shown.kind === "groups") {
    shown.colours = groupColours(shown.names, shown.total);
    const table = shown.colours.map(rgb);
    for (let i = 0; i < values.length; i++) {
      const c = table[values[i]];
      plot.colours.set(c, 3 * i);
      plot.show(i, !shown.hidden.has(values[i]));
    }
  } else {
    const table = ramp(shown.by === "gene" ? "gene" : "number");
    const least = shown.least ?? 0, wide = (shown.most ?? 1) - least || 1;
    for (let i = 0; i < values.length; i++) {
      const at = Number.isFinite(values[i]) ? Math.round((255 * (values[i] - least)) / wide) : 0;
      plot.colours.set(table[Math.max(0, Math.min(255, at))], 3 * i);
      plot.show(i, true);
    }
  }
  legend();
  plot.draw();
}

async function suggest() {
  const start = $("gene").value.trim();
  if (!start || !page.dataset) return;
  try {
    const found = await get(`datasets/${page.dataset.id}/genes`, { q: start });
    put($("genes"), found.map((symbol) => make("option", { value: symbol })));
  } catch {
    put($("genes")); // only a help for typing
  }
}

// --- the legend ------------------------------------------------------------------------------------

function legend() {
  if (shown.kind === "numbers") return put($("legend"), scale());
  const order = shown.names.map((_, i) => i).filter((i) => shown.total[i]).sort((a, b) => shown.total[b] - shown.total[a]);
  put($("legend"), make("ul", {}, order.map(row)));
}

function row(i) {
  const name = shown.names[i];
  const visible = !shown.hidden.has(i);
  const toggle = make("button", { type: "button", class: "toggle", "aria-pressed": String(visible), title: name, onclick: () => filter(i) },
    make("i", { colour: shown.colours[i] }), make("span", {}, name), make("small", {}, number(shown.total[i])));
  const select = make("button", { type: "button", class: "pick", "aria-label": `Select ${name}`, onclick: () => group(i) }, "select");
  return make("li", {}, toggle, select);
}

function filter(i) {
  if (!shown.hidden.delete(i)) shown.hidden.add(i);
  paint();
  say(`${shown.names[i]} is ${shown.hidden.has(i) ? "hidden" : "shown"}`);
}

function scale() {
  const canvas = make("canvas", { width: 256, height: 1, "aria-hidden": "true" });
  const context = canvas.getContext("2d");
  ramp(shown.by === "gene" ? "gene" : "number").forEach(([r, g, b], i) => {
    context.fillStyle = `rgb(${r} ${g} ${b})`;
    context.fillRect(i, 0, 1, 1);
  });
  const text = (value) => (value === null ? "" : Number.isInteger(value) ? String(value) : value.toPrecision(3));
  const unit = shown.by === "gene" ? " (log1p)" : "";
  return make("div", { class: "ramp" }, make("span", {}, shown.title + unit), make("span", {}, text(shown.least)), canvas, make("span", {}, text(shown.most)));
}

// --- selecting -------------------------------------------------------------------------------------

function pick(point) {
  if (point < 0) return tell("activate", null);
  if (shown?.kind === "groups") group(shown.values[point]);
}

function group(i) {
  const name = shown.names[i];
  if (shown.by === "answer") tell("select", { answer: name, name });
  else tell("select", { column: shown.title, value: name, name: `${shown.title} = ${name}` });
}

function light() {
  const one = selected();
  plot.lit = one ? unpacked(one.drawn, plot.count) : null;
  plot.draw();
}

function unpacked(base64, count) {
  const packed = decode(base64, Uint8Array);
  const found = new Uint8Array(count);
  for (let i = 0; i < count; i++) found[i] = (packed[i >> 3] >> (7 - (i & 7))) & 1;
  return found;
}

// Names of the groups where their cells are, when there are few enough to be read.
function labels() {
  if ($("overlay").querySelector("path")) return;
  if (plot.lit || shown?.kind !== "groups" || shown.names.length > 24) return put($("overlay"));
  shown.centres ??= centres();
  const width = $("plot").clientWidth;
  const taken = [];
  const texts = [];
  for (const { i, x, y } of shown.centres) {
    if (shown.hidden.has(i)) continue;
    const [place, py] = plot.toScreen(x, y);
    if (place < 0 || place > width) continue;
    const name = shown.names[i].length > 30 ? `${shown.names[i].slice(0, 29)}…` : shown.names[i];
    const half = name.length * 3.8;
    const px = Math.max(half + 4, Math.min(width - half - 4, place));
    if (taken.some((t) => Math.abs(t.py - py) < 17 && Math.abs(t.px - px) < t.half + half)) continue;
    taken.push({ px, py, half });
    texts.push(make("text", { x: px.toFixed(0), y: py.toFixed(0) }, name));
  }
  put($("overlay"), texts);
}

// The point of each group that lies in the middle of its coordinates: medians, so that far-off cells do not pull.
function centres() {
  const { xy } = plot;
  const step = Math.max(1, Math.floor(plot.count / 40000));
  const places = shown.names.map(() => [[], []]);
  for (let i = 0; i < plot.count; i += step) {
    places[shown.values[i]][0].push(xy[2 * i]);
    places[shown.values[i]][1].push(xy[2 * i + 1]);
  }
  const middle = (list) => Float32Array.from(list).sort()[list.length >> 1];
  return places
    .map(([x, y], i) => ({ i, n: x.length, x: middle(x), y: middle(y) }))
    .filter((one) => one.n > 2 && shown.total[one.i] / shown.values.length > 0.004)
    .sort((a, b) => b.n - a.n);
}

// --- themes, pictures ------------------------------------------------------------------------------

function theme() {
  const style = getComputedStyle(document.documentElement);
  plot.background = rgb(style.getPropertyValue("--plot").trim());
  plot.quiet = rgb(style.getPropertyValue("--quiet").trim());
}

function retheme() {
  theme();
  if (plot.count) paint();
}

function save() {
  $("plot").toBlob((blob) => {
    const link = make("a", { href: URL.createObjectURL(blob), download: "celloquy-cells.png" });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  });
}
