// The tabs, and what the model behind them can do.

import { get } from "./api.js";
import * as chat from "./chat.js";
import * as draw from "./draw.js";
import * as edit from "./edit.js";
import { $, trouble } from "./parts.js";
import * as search from "./search.js";

const tabs = [...document.querySelectorAll('[role="tab"]')];

function select(name) {
  for (const tab of tabs) {
    const chosen = tab.getAttribute("aria-controls") === name;
    tab.setAttribute("aria-selected", String(chosen));
    tab.tabIndex = chosen ? 0 : -1;
    $(tab.getAttribute("aria-controls")).hidden = !chosen;
  }
  history.replaceState(null, "", `#${name}`);
}

for (const tab of tabs) {
  tab.addEventListener("click", () => select(tab.getAttribute("aria-controls")));
  tab.addEventListener("keydown", (event) => {
    const move = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!move) return;
    const shown = tabs.filter((one) => !one.hidden);
    const next = shown[(shown.indexOf(tab) + move + shown.length) % shown.length];
    next.focus();
    next.click();
  });
}

const to = {
  Ask: (url) => { select("chat"); chat.add([url]); },
  Edit: (url) => { select("edit"); edit.take(url); },
};

async function begin() {
  const about = await get("/page/about");
  $("model").textContent = about.model;
  const needs = { chat: "chat", draw: "draw", edit: "edit", search: "embed" };
  const can = Object.keys(needs).filter((name) => about.tasks.includes(needs[name]));
  for (const tab of tabs) tab.hidden = !can.includes(tab.getAttribute("aria-controls"));
  chat.start(about);
  draw.start(about, to);
  edit.start(about, to);
  search.start(about, to);
  const wanted = location.hash.slice(1);
  select(can.includes(wanted) ? wanted : can[0] ?? "chat");
  document.body.dataset.ready = "yes";
}

begin().catch(trouble);
