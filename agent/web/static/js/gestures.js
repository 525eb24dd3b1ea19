// What the pointer and the keys do on the picture: draw a lasso or a box, move, zoom, pick a group.

import { $, make, put } from "./dom.js";

const FEW = 4; // pixels: less is a click, not a drawing
const MOST = 400; // corners of a lasso that are sent

export function gestures(plot, { drawn, picked }) {
  const { canvas } = plot;
  const overlay = $("overlay");
  let tool = "lasso", path = null, start = null, pointers = new Map(), spread = 0;

  for (const button of document.querySelectorAll("[data-tool]")) {
    if (button.tagName !== "BUTTON") continue;
    button.addEventListener("click", () => {
      tool = button.dataset.tool;
      $("stage").dataset.tool = tool;
      for (const other of document.querySelectorAll("button[data-tool]")) other.setAttribute("aria-pressed", String(other === button));
    });
  }
  $("stage").dataset.tool = tool;
  $("fit").addEventListener("click", () => plot.fit());

  const at = (event) => {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };

  canvas.addEventListener("pointerdown", (event) => {
    if (!plot.count || event.button > 0) return;
    canvas.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, at(event));
    start = at(event);
    path = pointers.size === 1 && tool !== "move" ? [start] : null;
    if (pointers.size === 2) spread = distance();
  });

  canvas.addEventListener("pointermove", (event) => {
    const before = pointers.get(event.pointerId);
    if (!before) return;
    const now = at(event);
    pointers.set(event.pointerId, now);
    if (pointers.size === 2) {
      const wide = distance();
      const [a, b] = [...pointers.values()];
      plot.zoom(wide / Math.max(1, spread), (a[0] + b[0]) / 2, (a[1] + b[1]) / 2);
      spread = wide;
      put(overlay);
    } else if (path) {
      const last = path[path.length - 1];
      if (tool === "box") path = [start, [now[0], start[1]], now, [start[0], now[1]]];
      else if (Math.hypot(now[0] - last[0], now[1] - last[1]) > 2) path.push(now);
      put(overlay, make("path", { d: `M${path.map((p) => p.map((c) => c.toFixed(1)).join(",")).join("L")}Z` }));
    } else if (tool === "move") {
      plot.move(now[0] - before[0], now[1] - before[1]);
    }
  });

  const end = (event) => {
    if (!pointers.delete(event.pointerId)) return;
    put(overlay);
    const now = at(event);
    const moved = start && Math.hypot(now[0] - start[0], now[1] - start[1]) > FEW;
    const done = path;
    path = null;
    if (event.type === "pointercancel") return;
    if (done && done.length > 2 && (moved || done.length > 6)) drawn(thinned(done).map(([x, y]) => plot.toData(x, y)), tool);
    else if (!moved) picked(plot.nearest(...now));
  };
  canvas.addEventListener("pointerup", end);
  canvas.addEventListener("pointercancel", end);

  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    plot.zoom(Math.exp(-event.deltaY * 0.0016), ...at(event));
  }, { passive: false });

  const KEYS = {
    ArrowLeft: () => plot.move(40, 0), ArrowRight: () => plot.move(-40, 0), ArrowUp: () => plot.move(0, 40),
    ArrowDown: () => plot.move(0, -40), "+": () => plot.zoom(1.25), "=": () => plot.zoom(1.25), "-": () => plot.zoom(0.8), 0: () => plot.fit(),
  };
  canvas.addEventListener("keydown", (event) => {
    const act = KEYS[event.key];
    if (!act || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    act();
  });

  const distance = () => {
    const [a, b] = [...pointers.values()];
    return Math.hypot(a[0] - b[0], a[1] - b[1]);
  };
}

function thinned(path) {
  const step = Math.ceil(path.length / MOST);
  return step > 1 ? path.filter((_, i) => i % step === 0) : path;
}
