// Keeps relative times true while a page stands open.
const coarse = (seconds) => {
  if (seconds < 2) return "now";
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86400)} d`;
};

export const ago = (time, now) => {
  const distance = (now - Date.parse(time)) / 1000;
  const text = coarse(Math.abs(distance));
  if (text === "now") return text;
  return distance > 0 ? `${text} ago` : `in ${text}`;
};

export const duration = (seconds) => {
  if (seconds < 1) return `${Math.round(Math.max(seconds, 0) * 1000)} ms`;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.floor(seconds % 60)} s`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
  return `${Math.floor(seconds / 86400)} d ${Math.floor((seconds % 86400) / 3600)} h`;
};

const put = (element, text) => {
  if (element.textContent !== text) element.textContent = text;
};

export const refreshTimes = () => {
  const now = Date.now();
  for (const each of document.querySelectorAll("time[data-ago]")) {
    put(each, ago(each.dateTime, now));
    each.title = `${each.dateTime.replace("T", " ").replace("Z", " UTC")}\n${new Date(each.dateTime).toLocaleString()} here`;
  }
  for (const each of document.querySelectorAll("[data-since]")) {
    put(each, duration((now - Date.parse(each.dataset.since)) / 1000));
  }
};

export const beginTimes = () => {
  refreshTimes();
  setInterval(refreshTimes, 1000);
};
