// An image of cells beside the question: chosen or dropped, shown small, removed.

import { get, send, upload } from "./api.js";
import { $, make, number, put, say } from "./dom.js";
import { page, tell } from "./state.js";

export async function startImages() {
  $("attach-image").addEventListener("click", () => $("image-file").click());
  $("image-file").addEventListener("change", () => $("image-file").files.length && take($("image-file").files[0]));
  const talk = $("talk");
  talk.addEventListener("dragover", (event) => event.preventDefault());
  talk.addEventListener("drop", (event) => {
    event.preventDefault();
    if (event.dataTransfer.files.length) take(event.dataTransfer.files[0]);
  });
  const there = await get("images");
  if (there.length) await show(there[there.length - 1]);
}

async function take(file) {
  $("image-problem").hidden = true;
  $("attach-image").disabled = true;
  waiting(`Sending ${file.name}`);
  try {
    const image = await upload(file, (done, total) => done >= total && waiting(`Looking at ${file.name}`), "images");
    if (page.image) await send("DELETE", `images/${page.image.id}`);
    await show(image);
  } catch (error) {
    $("image-problem").textContent = error.message;
    $("image-problem").hidden = false;
    if (page.image) await show(page.image);
    else $("attached").hidden = true;
  } finally {
    $("image-file").value = "";
    $("attach-image").disabled = false;
  }
}

function waiting(text) {
  $("attached").hidden = false;
  put($("attached"), make("span", { class: "soft" }, text));
}

async function show(image) {
  page.image = image;
  const many = image.pictures > 1 ? `${number(image.pictures)} pictures, ` : "";
  const size = `${many}${image.width} × ${image.height}, ${image.channels.slice(0, 6).join(", ")}${image.channels.length > 6 ? "…" : ""}`;
  $("attached").hidden = false;
  put($("attached"),
    make("img", { src: `api/images/${image.id}/preview`, alt: `The attached image ${image.name}`, height: 48 }),
    make("span", {}, make("b", {}, image.name), make("small", {}, size)),
    make("button", { type: "button", class: "link", "aria-label": `Remove the image ${image.name}`, onclick: remove }, "Remove"));
  say(`${image.name} is attached`);
  tell("image", image);
}

async function remove() {
  const { image } = page;
  page.image = null;
  $("attached").hidden = true;
  $("attach-image").focus();
  tell("image", null);
  await send("DELETE", `images/${image.id}`);
}
