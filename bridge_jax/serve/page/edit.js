// Edit a picture by words; before and after side by side.

import { Refused, blob, stream } from "./api.js";
import { $, busy, canvas, image, make, number, takes } from "./parts.js";

const PREVIEWS = 8;
let source = null;

export function start(about, to) {
  $("edit-n").max = about.limits.n;
  $("edit-steps").max = about.limits.steps;
  $("edit-steps").value = Math.min(25, about.limits.steps);
  $("edit-strength").addEventListener("input", () => {
    $("edit-strength-told").textContent = $("edit-strength").value;
  });
  takes($("edit-file"), [$("edit-drop")], ([url]) => take(url));
  $("edit-form").addEventListener("submit", (event) => {
    event.preventDefault();
    busy($("edit-go"), $("edit-stop"), (signal) => edit(signal, to));
  });
}

// Also from the other tabs.
export function take(url) {
  source = url;
  const drop = $("edit-drop");
  drop.classList.add("full");
  drop.replaceChildren(image(url, "the picture to edit; choose another"));
}

async function edit(signal, to) {
  if (!source) throw new Refused("choose a picture to edit first");
  const steps = number("edit-steps");
  const form = new FormData();
  const fields = {
    prompt: $("edit-text").value,
    n: number("edit-n"),
    steps,
    guidance: number("edit-guidance"),
    seed: number("edit-seed"),
    stream: true,
    partial_images: Math.min(PREVIEWS, steps - 1),
  };
  if (number("edit-strength") < 1) fields.strength = number("edit-strength");
  for (const [name, value] of Object.entries(fields)) form.append(name, String(value));
  form.append("image", blob(source), "picture");
  const place = $("edited");
  place.replaceChildren();
  const shown = canvas(place, fields.n, "", to);
  try {
    for await (const event of stream("/v1/images/edits", form, signal)) shown.show(event);
  } catch (error) {
    place.replaceChildren(make("div", { className: "blank", textContent: "The edited picture appears here" }));
    throw error;
  }
}
