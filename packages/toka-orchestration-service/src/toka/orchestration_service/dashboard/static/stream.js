// Server-sent events by fetch: unlike EventSource it sees why a stream was refused, and lets go of
// the connection while nobody looks. A place in the log is all it needs to go on without a gap.
const LEAST = 500;
const MOST = 10000;
// The service shows every 15 s that it is there; without a sign for so long the line is dead.
const SILENCE = 45000;

const lookedAt = () => new Promise((resolve) => {
  if (!document.hidden) return resolve();
  document.addEventListener("visibilitychange", function seen() {
    if (document.hidden) return;
    document.removeEventListener("visibilitychange", seen);
    resolve();
  });
});

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

// Yields [position, data] of each message, and [0, ""] when the stream has begun.
async function* messages(url, after, signal) {
  const response = await fetch(url, {
    headers: { Accept: "text/event-stream", "Last-Event-ID": String(after) }, cache: "no-store", signal,
  });
  if (!response.ok) throw Object.assign(new Error(response.statusText), { status: response.status });
  yield [0, ""];
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const dead = setTimeout(() => reader.cancel(), SILENCE);
    // Also when it fails: what is broken already cannot be cancelled any more.
    const { done, value } = await reader.read().finally(() => clearTimeout(dead));
    if (done) return;
    const parts = (rest + value).split("\n\n");
    rest = parts.pop();
    for (const part of parts) {
      const found = /^id: (\d+)\ndata: (.*)$/s.exec(part);
      if (found) yield [Number(found[1]), found[2]];
    }
  }
}

// Follows the log until the token ends or the page goes. Calls `onEvent(position, data)` for each
// event once, in order, and `onState` with "live", "lost", "refused", "ended" or "replaced".
export async function follow(url, after, { onEvent, onState }) {
  let wait = LEAST;
  for (;;) {
    await lookedAt();
    const leaving = new AbortController();
    const hidden = () => document.hidden && leaving.abort();
    document.addEventListener("visibilitychange", hidden);
    try {
      for await (const [position, data] of messages(url, after, leaving.signal)) {
        if (position === 0) {
          onState("live");
          wait = LEAST;
        } else if (position > after) {
          after = position;
          onEvent(position, data);
        }
      }
    } catch (error) {
      if (error.status === 401) return onState("ended");
      if (error.status === 403) return onState("refused");
      if (error.status === 400) return onState("replaced");
    } finally {
      document.removeEventListener("visibilitychange", hidden);
    }
    if (leaving.signal.aborted) continue;
    onState("lost");
    await pause(wait * (0.75 + Math.random() / 2));
    wait = Math.min(wait * 2, MOST);
  }
}
