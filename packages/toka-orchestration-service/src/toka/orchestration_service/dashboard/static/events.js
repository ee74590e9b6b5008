// The newest page of events, live: what comes is put above, each event once and none left out.
import { say } from "./live.js";
import { follow } from "./stream.js";
import { refreshTimes } from "./times.js";

const MOST = 200;
const GIST = 240;

// As the server does it: characters that deceive the eye are written as their code points.
const HIDDEN = /[\0-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}]/gu;
const visible = (text) => text.replace(
  HIDDEN, (found) => `⟨U+${found.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}⟩`,
);
const short = (text) => (text.length > GIST ? `${text.slice(0, GIST)}…` : text);
const owner = (stream) => (stream.includes("/") ? stream.slice(stream.indexOf("/") + 1) : stream.slice(-8));

const put = (element, text) => {
  element.textContent = visible(text);
};

const rowOf = (template, event) => {
  const row = template.content.firstElementChild.cloneNode(true);
  row.dataset.position = event.position;
  row.classList.add("fresh");
  const [position, when, kind, stream, gist] = row.children;
  put(position, event.position.toLocaleString("en-US"));
  when.firstElementChild.dateTime = event.time;
  kind.firstElementChild.href = `/ui/explain/${encodeURIComponent(event.id)}`;
  put(kind.querySelector("code"), event.kind);
  put(stream.firstElementChild, owner(event.stream));
  put(gist.firstElementChild, short(JSON.stringify(event.body)));
  return row;
};

export const beginEvents = () => {
  const main = document.getElementById("main");
  const [rows, template] = [document.getElementById("rows"), document.getElementById("row")];
  const { stream: query, without } = main.dataset;
  if (query === undefined || !rows) return;
  let waiting = [];
  const show = () => {
    const fresh = document.createDocumentFragment();
    for (const event of waiting.slice(-MOST).reverse()) fresh.append(rowOf(template, event));
    waiting = [];
    rows.prepend(fresh);
    while (rows.children.length > MOST) rows.lastElementChild.remove();
    refreshTimes();
  };
  const pause = document.querySelector("[data-pause]");
  pause?.addEventListener("click", () => {
    const paused = pause.getAttribute("aria-pressed") !== "true";
    pause.setAttribute("aria-pressed", String(paused));
    if (!paused) show();
  });
  follow(`/v1/events?${query}`, Number(main.dataset.position), {
    onEvent: (_, data) => {
      const event = JSON.parse(data);
      if (without && event.kind.startsWith(`${without}.`)) return;
      // All that comes within a frame is drawn at once.
      if (waiting.push(event) === 1 && pause?.getAttribute("aria-pressed") !== "true") {
        setTimeout(show, 100);
      }
      if (waiting.length > 2 * MOST) waiting = waiting.slice(-MOST);
    },
    onState: (state) => {
      say(state);
      if (state === "replaced") location.reload();
    },
  });
};
