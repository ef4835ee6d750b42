// Search the pictures of an index, by a text or by a picture.

import { post } from "./api.js";
import { $, calm, figure, make, takes, thumbs, trouble } from "./parts.js";

export function start(about, to) {
  if (!about.searches) {
    $("search-form").hidden = true;
    $("found").append(make("div", { className: "empty" },
      make("h2", { textContent: "There is nothing to search yet" }),
      make("p", { textContent: "Embed a folder of pictures, and start the server with it:" }),
      make("pre", { textContent: "bridge embed FOLDER -o index\nbridge serve --index index" })));
    return;
  }
  $("search-form").addEventListener("submit", (event) => {
    event.preventDefault();
    look(to);
  });
  takes($("search-file"), [$("search-form")], ([url]) => show([url], to));
}

let pictures = []; // at most one

function show(urls, to) {
  pictures = urls;
  thumbs($("search-thumbs"), pictures, () => show([], to));
  look(to);
}

async function look(to) {
  const text = $("search-text").value.trim();
  const query = {};
  if (text) query.text = text;
  if (pictures.length) [query.picture] = pictures;
  if (!text && !pictures.length) return;
  calm();
  try {
    const { results } = await post("/page/search", query);
    const grid = make("div", { className: "found" });
    for (const one of results) {
      const score = make("p", { className: "score" },
        make("span", { textContent: one.name, title: one.name }),
        make("span", { textContent: one.score.toFixed(3) }));
      if (one.picture) {
        grid.append(figure(one.picture, one.name, to, score));
        continue;
      }
      const none = make("div", { className: "blank", textContent: "no picture" });
      grid.append(make("div", { className: "picture" }, none, score));
    }
    $("found").replaceChildren(results.length ? grid : make("p", { textContent: "Nothing was found." }));
  } catch (error) {
    trouble(error);
  }
}
