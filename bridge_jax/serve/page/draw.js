// Draw, from learned queries or from text, with previews and the rewritten caption.

import { stream } from "./api.js";
import { $, busy, canvas, number } from "./parts.js";

const PREVIEWS = 8; // of each picture
const NAMES = { queries: "From learned queries", text: "From text" };

export function start(about, to) {
  $("draw-n").max = about.limits.n;
  $("draw-n").value = Math.min(2, about.limits.n);
  $("draw-steps").max = about.limits.steps;
  $("draw-steps").value = Math.min(25, about.limits.steps);
  $("draw-size").placeholder = about.size;
  $("draw-form").addEventListener("submit", (event) => {
    event.preventDefault();
    busy($("draw-go"), $("draw-stop"), (signal) => draw(signal, to));
  });
}

async function draw(signal, to) {
  const chosen = new FormData($("draw-form")).get("condition");
  const conditions = chosen === "both" ? ["queries", "text"] : [chosen];
  const place = $("drawn");
  place.replaceChildren();
  place.className = conditions.length > 1 ? "columns" : "";
  const canvases = conditions.map((name) =>
    canvas(place, number("draw-n"), NAMES[name], to));
  await Promise.all(conditions.map(async (condition, index) => {
    const steps = number("draw-steps");
    const body = {
      prompt: $("draw-prompt").value,
      n: number("draw-n"),
      steps,
      guidance: number("draw-guidance"),
      seed: number("draw-seed"),
      size: $("draw-size").value || "auto",
      rewrite: $("draw-rewrite").checked,
      condition,
      stream: true,
      partial_images: Math.min(PREVIEWS, steps - 1),
    };
    if ($("draw-negative").value.trim()) body.negative_prompt = $("draw-negative").value;
    try {
      for await (const event of stream("/v1/images/generations", body, signal)) {
        canvases[index].show(event);
      }
    } catch (error) {
      canvases[index].fail();
      throw error;
    }
  }));
}
