// A walk through the ontology as a layered graph: general terms above, the hops lit one after another.

import { cut, make } from "./dom.js";
import { relation } from "./words.js";

const LAYER = 74, BOX = { width: 224, height: 42 }, LETTERS = 34;

export function tree({ nodes, edges }) {
  const { places, width, height } = layered(nodes, edges);
  const label = edges.map((edge, i) => `${nodes[i].label} ${edge.subject === nodes[i].id ? relation(edge.predicate) : `includes by ${relation(edge.predicate)}`} ${nodes[i + 1].label}`).join("; ");
  const svg = make("svg", { class: "tree", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `Path: ${label}` });
  svg.style.maxWidth = `${width}px`;
  edges.forEach((edge, i) => {
    const [a, b] = [places[i], places[i + 1]];
    const [low, high] = a.y > b.y ? [a, b] : [b, a];
    const [y0, y1] = [low.y - BOX.height / 2, high.y + BOX.height / 2];
    const line = make("path", { class: "link-line lit", d: `M${low.x},${y0}C${low.x},${(y0 + y1) / 2} ${high.x},${(y0 + y1) / 2} ${high.x},${y1}` });
    line.style.animationDelay = `${0.12 + 0.16 * i}s`;
    svg.append(line, make("text", { class: "hop", x: (low.x + high.x) / 2 + 8, y: (y0 + y1) / 2 + 4 }, relation(edge.predicate)));
  });
  nodes.forEach((node, i) => {
    const { x, y } = places[i];
    svg.append(make("g", { class: "on" },
      make("title", {}, `${node.label} (${node.id})`),
      make("rect", { x: x - BOX.width / 2, y: y - BOX.height / 2, width: BOX.width, height: BOX.height, rx: 10 }),
      make("text", { x, y: y - 2 }, cut(node.label || node.id, LETTERS)),
      make("text", { class: "id", x, y: y + 13 }, node.id)));
  });
  return svg;
}

// One column for a walk in one direction; two, joined at the top, for a walk up and down again.
function layered(nodes, edges) {
  const level = [0];
  edges.forEach((edge, i) => level.push(level[i] + (edge.subject === nodes[i].id ? 1 : -1)));
  const top = Math.max(...level), bottom = Math.min(...level), peak = level.indexOf(top);
  const turns = peak > 0 && peak < nodes.length - 1;
  const width = turns ? 2 * BOX.width + 60 : BOX.width + 80;
  const side = [BOX.width / 2 + 10, width - BOX.width / 2 - 10];
  const places = nodes.map((_, i) => ({
    x: !turns || i === peak ? width / 2 : side[i < peak ? 0 : 1],
    y: (top - level[i]) * LAYER + BOX.height / 2 + 6,
  }));
  return { places, width, height: (top - bottom) * LAYER + BOX.height + 12 };
}
