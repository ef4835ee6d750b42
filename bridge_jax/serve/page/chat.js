// Chat with pictures, streamed word by word.

import { stream } from "./api.js";
import { $, busy, make, number, takes, thumbs } from "./parts.js";

let about;
let messages = [];
let pictures = [];
const empty = $("talk").firstElementChild;

export function start(what) {
  about = what;
  $("chat-tokens").max = about.limits.tokens;
  $("chat-tokens").value = Math.min(128, about.limits.tokens);
  takes($("chat-files"), [$("chat-form"), $("talk")], add);
  $("chat-new").addEventListener("click", renew);
  $("chat-form").addEventListener("submit", (event) => {
    event.preventDefault();
    send();
  });
  $("chat-text").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      send();
    }
  });
}

// From the other tabs: a picture to be asked about.
export function add(urls) {
  pictures = [...pictures, ...urls].slice(0, about.limits.pictures);
  redraw();
  $("chat-text").focus();
}

function redraw() {
  thumbs($("chat-thumbs"), pictures, (index) => {
    pictures.splice(index, 1);
    redraw();
  });
}

function renew() {
  $("chat-stop").click();
  messages = [];
  pictures = [];
  redraw();
  $("talk").replaceChildren(empty);
  $("chat-text").focus();
}

function say(who, text, urls = []) {
  empty.remove();
  const words = make("span", { textContent: text });
  const one = make("div", { className: `said ${who}` });
  if (urls.length) {
    const row = make("div", { className: "thumbs" });
    thumbs(row, urls);
    one.append(row);
  }
  one.append(words);
  $("talk").append(one);
  one.scrollIntoView({ block: "end" });
  return { one, words };
}

function send() {
  const text = $("chat-text").value.trim();
  if (!text || $("chat-send").disabled) return;
  const parts = pictures.map((url) => ({ type: "image_url", image_url: { url } }));
  say("mine", text, pictures);
  const question = { role: "user", content: [...parts, { type: "text", text }] };
  const { one, words } = say("theirs waits", "");
  const asked = [...messages, question];
  $("chat-text").value = "";
  pictures = [];
  redraw();
  busy($("chat-send"), $("chat-stop"), async (signal) => {
    const body = {
      messages: asked,
      stream: true,
      temperature: number("chat-temperature"),
      top_p: number("chat-top-p"),
      max_tokens: number("chat-tokens"),
      seed: number("chat-seed"),
    };
    try {
      for await (const chunk of stream("/v1/chat/completions", body, signal)) {
        words.textContent += chunk.choices[0]?.delta.content ?? "";
        $("talk").lastElementChild.scrollIntoView({ block: "end" });
      }
    } finally {
      one.classList.remove("waits");
      const said = words.textContent.trim();
      if (said) messages = [...asked, { role: "assistant", content: said }];
      else one.remove();
    }
  });
}
