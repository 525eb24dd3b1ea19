// Selections: made from a drawing or a group, kept in a row, combined, and asked about.

import { send } from "./api.js";
import { $, make, number, percent, put, say } from "./dom.js";
import { groupColours } from "./palette.js";
import { colours } from "./picture.js";
import { page, on, tell } from "./state.js";

let count = 0;

export function startSelections() {
  on("select", create);
  on("activate", activate);
  on("coloured", draw);
  on("dataset", () => {
    page.selections = [];
    page.active = page.other = null;
    count = 0;
    changed();
  });
}

async function create(request) {
  const { dataset } = page;
  if (!dataset) return;
  try {
    const drawn = request.polygon !== undefined;
    const name = drawn ? `${request.name} ${++count}` : request.name;
    const known = page.selections.find((one) => !drawn && one.name === name);
    if (known) return activate(known.id);
    const made = await send("POST", "selections", { ...request, name: name.slice(0, 200), dataset: dataset.id });
    if (page.dataset !== dataset) return;
    page.selections.push(made);
    activate(made.id);
    const most = made.groups[0];
    say(`${number(made.n_cells)} cells selected${most ? `, most of them ${most.name}` : ""}`);
  } catch (error) {
    problem(error);
  }
}

function activate(id) {
  page.active = id;
  if (page.other === id) page.other = null;
  changed();
}

async function remove(id) {
  page.selections = page.selections.filter((one) => one.id !== id);
  if (page.active === id) page.active = null;
  if (page.other === id) page.other = null;
  changed();
  try {
    await send("DELETE", `selections/${id}`);
  } catch (error) {
    problem(error);
  }
}

function changed() {
  draw();
  tell("selections");
}

function problem(error) {
  put($("combine"), make("p", { class: "problem", role: "alert" }, error.message));
  $("combine").hidden = false;
}

function draw() {
  put($("selections"), page.selections.map(card));
  combine();
}

function card(one) {
  const active = page.active === one.id;
  const most = one.groups[0];
  return make("div", { class: active ? "selection active" : "selection" },
    make("div", { class: "head" },
      make("button", { type: "button", "aria-pressed": String(active), title: one.name, onclick: () => activate(active ? null : one.id) }, one.name),
      make("small", {}, `${number(one.n_cells)} cells`),
      make("button", { type: "button", class: "drop-it", "aria-label": `Forget ${one.name}`, onclick: () => remove(one.id) }, "×")),
    make("div", { class: "shares", "aria-hidden": "true" }, shares(one)),
    make("div", { class: "most" }, most ? `${percent(most.n_cells / one.n_cells)} ${most.name}` : percent(one.share)));
}

// The composition, in the colours of the picture where it shows the same groups.
function shares(one) {
  const now = colours();
  const names = one.groups.map((group) => group.name);
  const same = now?.kind === "groups" && now.title === one.groups_of;
  const own = groupColours(names, one.groups.map((group) => group.n_cells));
  return one.groups.map((group, i) => {
    const place = same ? now.names.indexOf(group.name) : -1;
    return make("i", { colour: place >= 0 ? now.colours[place] : own[i], "width%": ((100 * group.n_cells) / one.n_cells).toFixed(2) });
  });
}

function combine() {
  const box = $("combine");
  box.hidden = page.selections.length < 2;
  if (box.hidden) return put(box);
  const choice = (label, chosen) => make("select", { "aria-label": label }, page.selections.map((one) => make("option", { value: one.id, selected: one.id === chosen }, one.name)));
  const first = page.active ?? page.selections[0].id;
  const second = page.other ?? page.selections.findLast((one) => one.id !== first).id;
  const a = choice("First selection", first), b = choice("Second selection", second);
  const how = make("select", { "aria-label": "How to combine" }, [["both", "and"], ["either", "or"], ["without", "without"]].map(([value, text]) => make("option", { value }, text)));
  const name = (select) => select.selectedOptions[0].textContent;
  const go = () => tell("select", { combine: how.value, a: a.value, b: b.value, name: `${name(a)} ${how.selectedOptions[0].textContent} ${name(b)}` });
  const compare = () => {
    page.active = a.value;
    page.other = b.value === a.value ? null : b.value;
    changed();
    tell("ask", "What differs between these cells and the others?");
  };
  put(box, a, how, b, make("button", { type: "button", class: "button plain small", onclick: go }, "Combine"),
    make("button", { type: "button", class: "button plain small", onclick: compare }, "Compare them"));
}
