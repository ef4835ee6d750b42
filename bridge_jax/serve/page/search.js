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
    const text = $("search-text").value.trim();
    thumbs($("search-thumbs"), []);
    if (text) look({ text }, to);
  });
  takes($("search-file"), [$("search-form")], ([url]) => {
    $("search-text").value = "";
    thumbs($("search-thumbs"), [url]);
    look({ picture: url }, to);
  });
}

async function look(query, to) {
  calm();
  try {
    const { results } = await post("/page/search", query);
    const grid = make("div", { className: "found" });
    for (const one of results) {
      const shown = one.picture
        ? figure(one.picture, one.name, to)
        : make("div", { className: "blank", textContent: "no longer there" });
      const score = make("p", { className: "score" },
        make("span", { textContent: one.name, title: one.name }),
        make("span", { textContent: one.score.toFixed(3) }));
      grid.append(make("div", {}, shown, score));
    }
    $("found").replaceChildren(results.length ? grid : make("p", { textContent: "Nothing was found." }));
  } catch (error) {
    trouble(error);
  }
}
