// Elements made from values: text is always text, never markup.

export const $ = (id) => document.getElementById(id);

// make("button", {class: "link", onclick: f}, "Close", ...)
export function make(name, given = {}, ...children) {
  const svg = SVG.has(name);
  const element = svg ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
  for (const [key, value] of Object.entries(given)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key === "colour") element.style.backgroundColor = value;
    else if (key === "width%") element.style.width = `${value}%`;
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

const SVG = new Set(["svg", "path", "rect", "text", "g", "circle", "title"]);

export function put(parent, ...children) {
  parent.replaceChildren(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return parent;
}

export const number = (n) => n.toLocaleString("en");
export const percent = (share) => (share > 0 && share < 0.001 ? "< 0.1 %" : `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`);
export const cut = (text, most) => (text.length <= most ? text : `${text.slice(0, most - 1).trimEnd()}…`);

// Tell those who listen to the page instead of looking at it.
export function say(text) {
  $("said").textContent = text;
}

export function progress(job) {
  const bar = make("div", { class: job.total ? "bar" : "bar unknown" }, make("i"));
  if (job.total) bar.firstChild.style.transform = `scaleX(${Math.min(1, job.done / job.total)})`;
  const words = job.state === "waiting" ? "waiting" : job.stage || "starting";
  const share = job.total ? ` ${Math.round((100 * job.done) / job.total)} %` : "";
  return make("div", { class: "progress" }, bar, make("span", {}, words + share));
}
