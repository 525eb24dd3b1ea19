// What the page is about at the moment, and who wants to know when it changes.

export const page = { dataset: null, selections: [], active: null, other: null, image: null };

const listeners = new Map();

export function on(event, call) {
  listeners.set(event, [...(listeners.get(event) ?? []), call]);
}

export function tell(event, value) {
  for (const call of listeners.get(event) ?? []) call(value);
}

export const selected = () => page.selections.find((one) => one.id === page.active) ?? null;
