// Keeps a page true: the stream says that something happened, the server draws the page again, and
// what is different is put in. One program draws, and it escapes.
import { morph } from "./morph.js";
import { follow } from "./stream.js";
import { refreshTimes } from "./times.js";

const PAUSE = 400;
const POLL = 5000;
const words = {
  live: "", lost: "Connection lost. Trying again…", refused: "", replaced: "",
  ended: "Your session has ended.",
};

// Pages of our own server, parsed and never executed: the one place where text becomes elements.
const trusted = globalThis.trustedTypes?.createPolicy("toka-page", { createHTML: (text) => text });
const parsed = (text) =>
  new DOMParser().parseFromString(trusted ? trusted.createHTML(text) : text, "text/html");

export const say = (state) => {
  const place = document.getElementById("connection");
  document.documentElement.dataset.connection = state;
  if (place.textContent === words[state]) return;
  place.textContent = words[state];
  if (state === "ended") {
    const link = document.createElement("a");
    link.href = `/ui/login?next=${encodeURIComponent(location.pathname + location.search)}`;
    link.textContent = "Sign in";
    place.append(" ", link);
  }
};

export async function refresh() {
  const response = await fetch(location.href, { headers: { "X-Toka-Live": "1" }, cache: "no-store" });
  if (response.status === 401) return say("ended");
  if (!response.headers.get("Content-Type")?.startsWith("text/html")) return;
  const next = parsed(await response.text());
  for (const id of ["main", "nav"]) {
    const [now, wanted] = [document.getElementById(id), next.getElementById(id)];
    if (now && wanted) morph(now, wanted);
  }
  document.title = next.title;
  refreshTimes();
  document.dispatchEvent(new Event("toka:refreshed"));
}

// At most one request at a time, and never for more than a third of the time; what happens meanwhile asks for one more.
export const refresher = () => {
  let state = "idle";
  const run = async () => {
    state = "running";
    const began = performance.now();
    try {
      await refresh();
    } catch {
      // The connection is gone: the stream says so, and asks again when it is back.
    }
    await new Promise((resolve) => setTimeout(resolve, Math.max(PAUSE, 2 * (performance.now() - began))));
    const again = state === "again";
    state = "idle";
    if (again) run();
  };
  return () => {
    if (state === "idle") run();
    else state = "again";
  };
};

export const beginLive = () => {
  const main = document.getElementById("main");
  const query = main.dataset.live;
  if (query === undefined) return;
  const soon = refresher();
  let lost = false;
  follow(`/v1/events?${query}`, Number(main.dataset.position), {
    onEvent: soon,
    onState: (state) => {
      say(state);
      if (state === "live" && lost) soon();
      lost = state === "lost";
      if (state === "replaced") location.reload();
      if (state === "refused") setInterval(() => document.hidden || soon(), POLL);
    },
  });
};
