// Pieces that several tabs are made of.

import { Refused, dataUrl } from "./api.js";

const SMALL = 160; // pixels below which a picture is shown in squares, not blurred

export const $ = (id) => document.getElementById(id);

export function make(tag, attributes = {}, ...children) {
  const one = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name in one) one[name] = value;
    else one.setAttribute(name, value);
  }
  one.append(...children);
  return one;
}

export function image(url, alt) {
  const one = make("img", { alt });
  one.addEventListener("load", () => {
    one.classList.toggle("small", Math.max(one.naturalWidth, one.naturalHeight) <= SMALL);
  });
  one.src = url;
  return one;
}

export const number = (id) => Number($(id).value);

let hiding;

export function trouble(error) {
  if (error?.name === "AbortError") return;
  if (!(error instanceof Refused)) console.error(error);
  const place = $("trouble");
  place.textContent = error.message ?? String(error);
  place.hidden = false;
  clearTimeout(hiding);
  hiding = setTimeout(() => { place.hidden = true; }, 9000);
}

export const calm = () => { $("trouble").hidden = true; };

// Runs `work(signal)` while a form's button is off and its stop button is there.
export function busy(go, stop, work) {
  const control = new AbortController();
  calm();
  go.disabled = true;
  stop.hidden = false;
  stop.onclick = () => control.abort();
  return work(control.signal).catch(trouble).finally(() => {
    go.disabled = false;
    stop.hidden = true;
  });
}

// Pictures chosen, dropped or pasted: `take(data URLs)`.
export function takes(input, areas, take) {
  const read = async (files) => {
    const pictures = [...files].filter((file) => file.type.startsWith("image/"));
    if (!pictures.length) return;
    try {
      take(await Promise.all(pictures.map(dataUrl)));
    } catch (error) {
      trouble(error);
    }
  };
  input.addEventListener("change", () => {
    read([...input.files]);
    input.value = "";
  });
  for (const area of areas) {
    area.addEventListener("dragover", (event) => {
      event.preventDefault();
      area.classList.add("over");
    });
    area.addEventListener("dragleave", () => area.classList.remove("over"));
    area.addEventListener("drop", (event) => {
      event.preventDefault();
      area.classList.remove("over");
      read(event.dataTransfer.files);
    });
    area.addEventListener("paste", (event) => read(event.clipboardData.files));
  }
}

// A row of small pictures that can be taken away again.
export function thumbs(place, urls, remove) {
  place.replaceChildren(...urls.map((url, index) => {
    const one = make("div", { className: "thumb" }, image(url, `picture ${index + 1}`));
    if (remove) {
      const away = make("button", { type: "button", textContent: "×" });
      away.setAttribute("aria-label", `take picture ${index + 1} away`);
      away.addEventListener("click", () => remove(index));
      one.append(away);
    }
    return one;
  }));
}

// A picture with what can be done with it, `to`: {Ask: (url) => ...}.
export function figure(url, alt, to, ...notes) {
  const actions = make("figcaption");
  for (const [name, act] of Object.entries(to)) {
    const button = make("button", { type: "button", textContent: name });
    button.addEventListener("click", () => act(url));
    actions.append(button);
  }
  const save = { href: url, download: "picture.png", className: "button", textContent: "Save" };
  actions.append(make("a", save));
  return make("figure", { className: "picture" }, image(url, alt), ...notes, actions);
}

// Shows a drawing's events: previews, then pictures and the caption.
export function canvas(place, count, title, to) {
  const bar = make("progress", { max: 1, value: 0 });
  bar.setAttribute("aria-label", "steps");
  const caption = make("p", { className: "caption quiet", textContent: "waits for its turn …" });
  const grid = make("div", { className: "pictures" });
  for (let i = 0; i < count; i += 1) grid.append(make("div", { className: "blank" }));
  const whole = make("div", { className: "result" }, grid, bar, caption);
  if (title) whole.prepend(make("h2", { textContent: title }));
  place.append(whole);
  const put = (index, one) => grid.children[index].replaceWith(one);
  return {
    show(event) {
      const url = `data:image/png;base64,${event.b64_json}`;
      if (event.type.endsWith(".partial_image")) {
        bar.value = event.step / event.steps;
        caption.textContent = `step ${event.step} of ${event.steps}`;
        const comes = make("figure", { className: "picture comes" }, image(url, "a preview"));
        put(event.image_index, comes);
        return;
      }
      bar.hidden = true;
      const told = event.note ? ` (${event.note})` : "";
      caption.replaceChildren(make("b", { textContent: "Drawn as: " }), event.revised_prompt + told);
      caption.classList.remove("quiet");
      put(event.image_index, figure(url, event.revised_prompt, to));
    },
    fail() {
      whole.remove();
    },
  };
}
