// Actions are forms that speak to the REST API: <form data-api="/v1/..."> sends its fields as JSON.
// A button with data-dialog opens one in a dialog first.
import { refresh } from "./live.js";

const mark = () => document.querySelector("meta[name=toka-mark]").content;

const key = () => [...crypto.getRandomValues(new Uint8Array(16))]
  .map((each) => each.toString(16).padStart(2, "0")).join("");

// "name=value" lines, as on a command line.
const pairs = (text) => Object.fromEntries(
  text.split("\n").map((line) => line.trim()).filter(Boolean).map((line) => {
    const [name, ...value] = line.split("=");
    return [name.trim(), value.join("=").trim()];
  }),
);

const read = { json: (text) => JSON.parse(text), pairs, number: Number, text: (text) => text };

const bodyOf = (form, submitter) => {
  const body = {};
  for (const field of form.elements) {
    if (!field.name || field.disabled || field.closest("[hidden]")) continue;
    // An answer goes with a yes only.
    if (field.dataset.with && field.dataset.with !== submitter.value) continue;
    if (field.type === "submit") {
      if (field === submitter) body[field.name] = field.value;
    } else if (field.value || !field.hasAttribute("data-optional")) {
      const value = read[field.dataset.as ?? "text"](field.value);
      if (field.dataset.member) body[field.name][JSON.parse(field.dataset.member)] = value;
      else body[field.name] = value;
    }
  }
  return body;
};

async function send(form, body) {
  // Kept on the form: sending again after a lost answer is the same request, not a second one.
  form.dataset.key ||= key();
  const response = await fetch(form.dataset.api, {
    method: form.dataset.method ?? "POST",
    headers: {
      "Content-Type": "application/json", "X-Toka-Mark": mark(), "Idempotency-Key": form.dataset.key,
    },
    body: JSON.stringify(body),
  });
  if (response.status < 500) delete form.dataset.key;
  const text = await response.text();
  const answer = text ? JSON.parse(text) : {};
  if (!response.ok) throw new Error([answer.detail, answer.hint].filter(Boolean).join(" "));
  return answer;
}

async function submit(form, submitter) {
  const fault = form.querySelector("[data-fault]");
  fault.textContent = "";
  form.setAttribute("aria-busy", "true");
  try {
    const body = bodyOf(form, submitter);
    submitter.disabled = true;
    const answer = await send(form, body);
    form.closest("dialog")?.close();
    const then = form.dataset.then?.replace("{run}", answer.run?.run ?? "");
    if (then) location.href = then;
    else await refresh();
  } catch (error) {
    fault.textContent = error instanceof TypeError ? "The service cannot be reached. Try again." : error.message;
  } finally {
    form.removeAttribute("aria-busy");
    submitter.disabled = false;
  }
}

export const beginActions = () => {
  document.addEventListener("submit", (event) => {
    if (!event.target.dataset.api) return;
    event.preventDefault();
    submit(event.target, event.submitter ?? event.target.querySelector("button"));
  });
  document.addEventListener("click", (event) => {
    const opener = event.target.closest("[data-dialog]");
    if (opener) document.getElementById(opener.dataset.dialog)?.showModal();
    if (event.target.closest("[data-close]")) event.target.closest("dialog").close();
  });
};
