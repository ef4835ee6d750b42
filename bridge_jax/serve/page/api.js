// The server's endpoints, as any client uses them; mistakes become one sentence.

const KEY = "bridge_jax token";

export class Refused extends Error {}

export async function get(path) {
  return (await send(path, {})).json();
}

export async function post(path, body, signal) {
  return (await send(path, said(body, signal))).json();
}

// The JSON data of each server-sent event, as they come.
export async function* stream(path, body, signal) {
  const answer = await send(path, said(body, signal));
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let left = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const events = (left + value).split("\n\n");
    left = events.pop();
    for (const event of events) {
      const line = event.split("\n").find((one) => one.startsWith("data: "));
      if (!line || line === "data: [DONE]") continue;
      const data = JSON.parse(line.slice(6));
      if (data.error) throw new Refused(data.error.message);
      yield data;
    }
  }
}

// A picture's file as a data URL.
export function dataUrl(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(new Refused(`${file.name} cannot be read`));
    reader.readAsDataURL(file);
  });
}

export function blob(url) {
  const [head, data] = url.split(",");
  const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  return new Blob([bytes], { type: head.slice(5).split(";")[0] });
}

function said(body, signal) {
  if (body instanceof FormData) return { method: "POST", body, signal };
  const headers = { "content-type": "application/json" };
  return { method: "POST", headers, body: JSON.stringify(body), signal };
}

async function send(path, options) {
  for (;;) {
    const token = sessionStorage.getItem(KEY);
    const headers = { ...options.headers };
    if (token) headers.authorization = `Bearer ${token}`;
    let answer;
    try {
      answer = await fetch(path, { ...options, headers });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Refused("the server does not answer: is it still running?");
    }
    if (answer.ok) return answer;
    if (answer.status !== 401) {
      const told = await answer.json().catch(() => ({}));
      throw new Refused(told.error?.message ?? `the server said ${answer.status}`);
    }
    await ask();
  }
}

let asking = null;

// One dialog, however many requests need the token.
function ask() {
  asking ??= new Promise((resolve) => {
    const door = document.getElementById("door");
    const token = document.getElementById("door-token");
    token.value = "";
    door.addEventListener("cancel", (event) => event.preventDefault());
    door.addEventListener("close", () => {
      sessionStorage.setItem(KEY, token.value);
      asking = null;
      resolve();
    }, { once: true });
    door.showModal();
  });
  return asking;
}
