// Bringing cells in: a dropped or chosen file, or the demonstration.

import { get, send, upload } from "./api.js";
import { $, make, put, say } from "./dom.js";
import { show } from "./picture.js";
import { page, tell } from "./state.js";

export async function startDatasets() {
  $("demo").addEventListener("click", () => load(() => send("POST", "datasets/demo"), "opening the demo"));
  $("file").addEventListener("change", () => $("file").files.length && take($("file").files[0]));
  $("close-dataset").addEventListener("click", close);
  const drop = $("cells");
  drop.addEventListener("dragover", (event) => {
    event.preventDefault();
    $("drop").classList.add("over");
  });
  drop.addEventListener("dragleave", () => $("drop").classList.remove("over"));
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    $("drop").classList.remove("over");
    if (event.dataTransfer.files.length && !page.dataset) take(event.dataTransfer.files[0]);
  });
  cloud();
  const there = await get("datasets");
  if (there.length) await open(there[there.length - 1]);
}

function take(file) {
  const megabytes = (n) => (n / 1e6).toFixed(n < 1e7 ? 1 : 0);
  load(() => upload(file, (done, total) => meter(done / total, done < total ? `${megabytes(done)} of ${megabytes(total)} MB` : "looking at the file")), "uploading");
}

function meter(share, text) {
  const bar = $("upload").querySelector(".bar");
  bar.classList.toggle("unknown", share >= 1 || share === 0);
  bar.firstChild.style.transform = share > 0 && share < 1 ? `scaleX(${share})` : "";
  $("upload").querySelector("span").textContent = text;
}

async function load(call, text) {
  $("upload-problem").hidden = true;
  $("upload").hidden = false;
  meter(0, text);
  for (const id of ["demo", "file"]) $(id).disabled = true;
  try {
    await open(await call());
  } catch (error) {
    $("upload-problem").textContent = error.message;
    $("upload-problem").hidden = false;
  } finally {
    $("upload").hidden = true;
    $("file").value = "";
    for (const id of ["demo", "file"]) $(id).disabled = false;
  }
}

async function open(dataset) {
  page.dataset = dataset;
  $("welcome").hidden = true;
  $("work").hidden = false;
  $("notices").hidden = false;
  put($("notices").querySelector("ul"), [dataset.matrix, ...dataset.notices].map((text) => make("li", {}, text)));
  say(`${dataset.name} is open`);
  const picture = show(dataset);
  tell("dataset", dataset);
  await picture;
}

async function close() {
  const { dataset } = page;
  page.dataset = null;
  $("welcome").hidden = false;
  $("work").hidden = true;
  $("get-picture").disabled = true;
  $("get-annotated").removeAttribute("href");
  $("get-annotated").setAttribute("aria-disabled", "true");
  tell("dataset", null);
  await send("DELETE", `datasets/${dataset.id}`);
}

// A small cloud of points, the same each time, for the first look.
function cloud() {
  let seed = 7;
  const random = () => (seed = (seed * 16807) % 2147483647) / 2147483647;
  const groups = [[30, 40, "#0072b2"], [62, 26, "#d55e00"], [90, 46, "#009e73"], [66, 58, "#e69f00"]];
  for (let i = 0; i < 130; i++) {
    const [x, y, fill] = groups[i % 4];
    const r = 15 * Math.sqrt(random()), a = 6.283 * random();
    $("cloud").append(make("circle", { cx: (x + r * Math.cos(a)).toFixed(1), cy: (y + 0.8 * r * Math.sin(a)).toFixed(1), r: 1.7, fill, opacity: 0.85 }));
  }
}
