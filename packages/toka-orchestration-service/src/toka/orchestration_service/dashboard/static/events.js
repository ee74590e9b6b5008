// The newest page of events, live: what comes is put above, each event once and none left out.
import { say } from "./live.js";
import { follow } from "./stream.js";
import { refreshTimes } from "./times.js";

const MOST = 200;
// Of one agent, whose pages go by another count than positions.
const MOST_OF_AGENT = 2000;
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

// Whether an event is one that the filters of this page leave, as the server has it.
const wantedBy = (asked, without) => {
  const text = (asked.get("text") ?? "").toLowerCase();
  const agent = asked.get("agent");
  return (event, data) => {
    if (without && event.kind.startsWith(`${without}.`)) return false;
    if (agent && event.stream !== agent) return false;
    if (!text) return true;
    // What the body says as it stands in the log, where numbers are not yet JavaScript's.
    const body = data.slice(data.indexOf(',"body":') + ',"body":'.length, -1);
    const parts = [event.kind, event.stream, event.actor, event.id, event.token, body];
    return parts.join("\n").toLowerCase().includes(text);
  };
};

// Takes away the oldest rows, and lets the next page begin right below the last one that is left.
const trim = (rows, most, asked) => {
  if (rows.children.length <= most) return;
  if (asked.get("agent")) {
    location.reload();
    return;
  }
  while (rows.children.length > most) rows.lastElementChild.remove();
  const older = document.querySelector("[data-older]");
  const query = new URLSearchParams(asked);
  query.set("after", rows.lastElementChild.dataset.position);
  older.href = `?${query}`;
  older.hidden = false;
};

export const beginEvents = () => {
  const main = document.getElementById("main");
  const [rows, template] = [document.getElementById("rows"), document.getElementById("row")];
  const { stream: query, without } = main.dataset;
  if (query === undefined) return;
  const asked = new URLSearchParams(location.search);
  const isWanted = wantedBy(asked, without);
  const most = asked.get("agent") ? MOST_OF_AGENT : MOST;
  let waiting = [];
  const show = () => {
    if (!waiting.length) return;
    const fresh = document.createDocumentFragment();
    for (const event of waiting.slice(-most).reverse()) fresh.append(rowOf(template, event));
    waiting = [];
    rows.prepend(fresh);
    rows.closest("table").hidden = false;
    document.querySelector("[data-none]")?.remove();
    trim(rows, most, asked);
    refreshTimes();
  };
  const pause = document.querySelector("[data-pause]");
  const isHeld = () => pause.getAttribute("aria-pressed") === "true";
  pause.addEventListener("click", () => {
    pause.setAttribute("aria-pressed", String(!isHeld()));
    if (!isHeld()) show();
  });
  follow(`/v1/events?${query}`, Number(main.dataset.position), {
    onEvent: (_, data) => {
      const event = JSON.parse(data);
      if (!isWanted(event, data)) return;
      // All that comes within a frame is drawn at once.
      if (waiting.push(event) === 1) setTimeout(() => isHeld() || show(), 100);
      if (waiting.length > 2 * most) waiting = waiting.slice(-most);
    },
    onState: (state) => {
      say(state);
      if (state === "replaced") location.reload();
    },
  });
};
