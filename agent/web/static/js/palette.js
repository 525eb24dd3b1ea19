// Colours that people with a colour vision deficiency can tell apart: Okabe and Ito (2008) for the
// largest groups, Tableau's twenty for the others, cividis (Nuñez et al. 2018) for numbers.

const GROUPS = [
  "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#c7b52a", "#8c564b", "#9467bd",
  "#7fa3d1", "#e8a25a", "#6fbf6a", "#e07f79", "#a58fc0", "#a9857a", "#d98cb3", "#9a9b1f", "#17a2b0",
  "#b5b36b", "#79c3cf",
];
const REST = "#a9aeb0";
const CIVIDIS = ["#00224e", "#123570", "#3b496c", "#575d6d", "#707173", "#8a8678", "#a59c74", "#c3b369", "#e1cc55", "#fee838"];

const rgb = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));

export const dark = () => document.documentElement.dataset.theme === "dark";

// A colour for each group, the largest first; "unknown" and what is beyond the palette are grey.
export function groupColours(names, totals) {
  const order = names.map((_, i) => i).sort((a, b) => totals[b] - totals[a] || a - b);
  const colours = Array(names.length).fill(REST);
  let next = 0;
  for (const i of order) {
    if (["unknown", "(no value)"].includes(names[i])) continue;
    if (next < GROUPS.length) colours[i] = GROUPS[next++];
  }
  return colours;
}

// 256 colours from the least to the most; genes fade into the background where they are absent.
export function ramp(kind) {
  const gene = dark() ? ["#2d3a40", "#1f6f78", "#3fb3a5", "#c9e265"] : ["#e3e6e4", "#9cc9c0", "#2b8a85", "#0b3f57"];
  const stops = kind === "gene" ? gene : dark() ? CIVIDIS.slice(2) : CIVIDIS;
  const given = stops.map(rgb);
  return Array.from({ length: 256 }, (_, i) => {
    const at = (i / 255) * (given.length - 1);
    const low = Math.min(given.length - 2, Math.floor(at));
    return given[low].map((c, k) => Math.round(c + (given[low + 1][k] - c) * (at - low)));
  });
}

export { rgb };
