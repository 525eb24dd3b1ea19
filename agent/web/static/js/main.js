// The page put together.

import { startAnnotation } from "./annotation.js";
import { startConversation } from "./conversation.js";
import { startDatasets } from "./datasets.js";
import { $ } from "./dom.js";
import { startImages } from "./images.js";
import { startLookup } from "./lookup.js";
import { startPicture } from "./picture.js";
import { startSelections } from "./selections.js";
import { tell } from "./state.js";

const root = document.documentElement;
const system = matchMedia("(prefers-color-scheme: dark)");
const theme = () => localStorage.getItem("celloquy-theme") ?? (system.matches ? "dark" : "light");
root.dataset.theme = theme();
const retheme = () => {
  root.dataset.theme = theme();
  tell("theme");
};
system.addEventListener("change", retheme);
$("theme").addEventListener("click", () => {
  localStorage.setItem("celloquy-theme", root.dataset.theme === "dark" ? "light" : "dark");
  retheme();
});

const tabs = { "tab-cells": "cells", "tab-talk": "talk" };
for (const [id, name] of Object.entries(tabs)) {
  $(id).addEventListener("click", () => {
    document.querySelector(".panes").dataset.tab = name;
    for (const other of Object.keys(tabs)) $(other).setAttribute("aria-selected", String(other === id));
  });
}
document.addEventListener("click", (event) => {
  const menu = $("downloads");
  if (menu.open && !menu.contains(event.target)) menu.open = false;
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") $("downloads").open = false;
});

startPicture();
startSelections();
startAnnotation();
startConversation();
startLookup();
await Promise.all([startDatasets(), startImages()]);
