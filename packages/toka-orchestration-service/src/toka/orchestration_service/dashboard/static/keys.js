// Keys for those who like them: `g` and a letter goes somewhere, `/` searches, `?` tells.
const places = {
  r: "/ui/runs", a: "/ui/approvals", e: "/ui/events", t: "/ui/tools", k: "/ui/keys", h: "/ui/health", s: "/ui/start",
};
const writes = (element) => element.matches("input, textarea, select, [contenteditable]");

export const beginKeys = () => {
  let going = 0;
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || writes(event.target)) return;
    if (document.querySelector("dialog[open]")) return;
    const recently = event.timeStamp - going < 1500;
    going = 0;
    if (recently && places[event.key]) {
      location.href = places[event.key];
    } else if (event.key === "g") {
      going = event.timeStamp;
    } else if (event.key === "/") {
      const search = document.querySelector("[type=search]");
      if (!search) return;
      event.preventDefault();
      search.focus();
    } else if (event.key === "?") {
      document.getElementById("keys-dialog")?.showModal();
    }
  });
};
