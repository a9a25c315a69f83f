// The Pool page as it is this second: the server sends the parts that changed. While nobody looks nothing is sent.
import { morph, morphList } from "./morph.js";

const message = document.getElementById("message");
const parser = new DOMParser();
let source = null;
let lost = false;

const show = ({ id, html }) => {
  const fresh = parser.parseFromString(html, "text/html").body.firstElementChild;
  const old = document.getElementById(id);
  if (!fresh || !old) return;
  // Whoever is selecting something is not disturbed.
  const selection = document.getSelection();
  if (selection && !selection.isCollapsed && old.contains(selection.anchorNode)) return;
  if ("list" in old.dataset) morphList(old, fresh);
  else morph(old, fresh);
};

const listen = () => {
  if (source) return;
  source = new EventSource("/admin/live?format=html");
  source.addEventListener("part", (event) => {
    show(JSON.parse(event.data));
    if (lost) message.textContent = "";
    lost = false;
  });
  source.addEventListener("error", () => {
    lost = true;
    message.textContent = "The pool does not answer; what you see may be old.";
    if (source.readyState === EventSource.CLOSED) stop(), setTimeout(look, 5000);
  });
};

const stop = () => {
  source?.close();
  source = null;
};

const look = () => (document.hidden ? stop() : listen());
document.addEventListener("visibilitychange", look);
addEventListener("pagehide", stop);
look();

// Actions are plain forms; here they answer without leaving the page.
document.addEventListener("submit", async (event) => {
  const button = event.submitter;
  if (!button || !event.target.matches("form.account-actions, form.page-actions")) return;
  event.preventDefault();
  const action = button.getAttribute("formaction") ?? event.target.getAttribute("action");
  button.disabled = true;
  message.textContent = button.textContent + "…";
  try {
    const token = event.target.elements.csrf?.value ?? "";
    const headers = { Accept: "application/json", "X-CSRF-Token": token };
    const reply = await fetch(action, { method: "POST", headers });
    const told = await reply.json();
    const broken = told.problems?.length ? " " + told.problems.join("\n") : "";
    const sentence = told.sentence ?? told.error ?? "Read." + broken;
    message.textContent = (told.account ? told.account + ": " : "") + sentence;
  } catch {
    message.textContent = "The pool did not answer.";
  }
  button.disabled = false;
});
