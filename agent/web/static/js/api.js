// The server's JSON API. An error is its one line of text.

async function answered(response) {
  if (response.ok) return response;
  let text = `the server answered ${response.status}`;
  try {
    text = (await response.json()).error ?? text;
  } catch {
    // not JSON: the status has to do
  }
  throw new Error(text);
}

async function reached(call) {
  try {
    return await call();
  } catch (error) {
    throw error instanceof TypeError ? new Error("the server does not answer; is it still running?") : error;
  }
}

const query = (values) => {
  const given = Object.entries(values).filter(([, value]) => value !== undefined && value !== "");
  return given.length ? `?${new URLSearchParams(given)}` : "";
};

export const get = (path, values = {}) =>
  reached(async () => (await answered(await fetch(`api/${path}${query(values)}`))).json());

export const bytes = (path) => reached(async () => (await answered(await fetch(`api/${path}`))).arrayBuffer());

export const send = (method, path, body) =>
  reached(async () => {
    const given = body === undefined ? {} : { headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
    const response = await answered(await fetch(`api/${path}`, { method, ...given }));
    return response.status === 204 ? null : response.json();
  });

// A file as the body of a request, with progress; fetch tells none.
export function upload(file, tell, to = "datasets") {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", `api/${to}${query({ name: file.name })}`);
    request.upload.onprogress = (event) => tell(event.loaded, event.total);
    request.onerror = () => reject(new Error("the upload broke off; the file may be too large for the server, or it has stopped"));
    request.onload = () => {
      let document = {};
      try {
        document = JSON.parse(request.responseText);
      } catch {
        // said below
      }
      if (request.status === 201) resolve(document);
      else reject(new Error(document.error ?? `the server answered ${request.status}`));
    };
    request.send(file);
  });
}

// Server-Sent Events of a POST: calls on(event, document) for each.
export const stream = (path, body, on) =>
  reached(async () => {
    const response = await answered(
      await fetch(`api/${path}`, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) }),
    );
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      text += value;
      const parts = text.split("\n\n");
      text = parts.pop();
      for (const part of parts) {
        const event = /^event: (.*)$/m.exec(part)?.[1];
        const data = /^data: (.*)$/m.exec(part)?.[1];
        if (event && data) on(event, JSON.parse(data));
      }
    }
  });

// Follow a job to its end.
export async function follow(job, tell) {
  let wait = 120;
  for (let now = job; ; now = await get(`jobs/${job.id}`)) {
    tell(now);
    if (!["waiting", "running"].includes(now.state)) return now;
    await new Promise((resolve) => setTimeout(resolve, wait));
    wait = Math.min(1000, wait * 1.4);
  }
}

export function decode(base64, Type) {
  const text = atob(base64);
  const raw = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) raw[i] = text.charCodeAt(i);
  return Type === Uint8Array ? raw : new Type(raw.buffer);
}
