// Two conveniences; every page works without them: copy buttons, and a status page that renews itself.
"use strict";

for (const block of document.querySelectorAll("pre")) {
  if (!navigator.clipboard) break;
  const frame = document.createElement("div");
  frame.className = "copyable";
  block.replaceWith(frame);
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Copy";
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(block.textContent + "\n");
      button.textContent = "Copied";
    } catch {
      button.textContent = "Not allowed";
    }
    setTimeout(() => { button.textContent = "Copy"; }, 1600);
  });
  frame.append(block, button);
}

const live = document.getElementById("live");
if (live) {
  const renewEveryMs = 5000;
  const message = document.getElementById("message");
  let failed = false;

  const renew = async () => {
    // Whoever is reading or selecting something is not disturbed.
    if (document.hidden || String(document.getSelection()) !== "") return;
    try {
      const reply = await fetch("/status", { headers: { Accept: "text/html" } });
      if (!reply.ok) throw new Error(String(reply.status));
      const fresh = new DOMParser().parseFromString(await reply.text(), "text/html").getElementById("live");
      if (!fresh) throw new Error("unexpected page");
      for (const open of live.querySelectorAll("details[open][id]")) {
        const same = fresh.querySelector("#" + CSS.escape(open.id));
        if (same) same.open = true;
      }
      const focused = document.activeElement && document.activeElement.closest("details[id]");
      live.replaceChildren(...fresh.childNodes);
      if (focused) document.getElementById(focused.id)?.querySelector("summary")?.focus();
      if (failed) message.textContent = "";
      failed = false;
    } catch {
      failed = true;
      message.textContent = "The pool does not answer; what you see may be old.";
    }
  };
  setInterval(renew, renewEveryMs);

  // The actions of accounts are plain forms; here they answer without leaving the page.
  document.addEventListener("submit", async (event) => {
    const button = event.submitter;
    if (!button || !event.target.matches("form.account-actions")) return;
    event.preventDefault();
    button.disabled = true;
    message.textContent = button.textContent + "…";
    try {
      const reply = await fetch(button.formAction, { method: "POST", headers: { Accept: "application/json" } });
      const told = await reply.json();
      message.textContent = (told.account ? told.account + ": " : "") + (told.sentence || told.error);
    } catch {
      message.textContent = "The pool did not answer.";
    }
    button.disabled = false;
    renew();
  });

  const button = document.getElementById("reload");
  button.hidden = false;
  button.addEventListener("click", async () => {
    button.disabled = true;
    message.textContent = "Reading…";
    try {
      const reply = await fetch("/admin/reload", { method: "POST" });
      const text = (await reply.text()).trim();
      message.textContent = text === "ok" ? "Done: every file is good." : text;
    } catch {
      message.textContent = "The pool did not answer.";
    }
    button.disabled = false;
    renew();
  });
}
