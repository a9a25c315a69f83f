// New events appear at the top of the list as they come.
const list = document.getElementById("events");
const severities = ["info", "warn", "error"];

const item = (event) => {
  const li = document.createElement("li");
  li.className = "event " + (severities.includes(event.severity) ? event.severity : "info");
  const about = document.createElement("p");
  about.className = "sub";
  const time = document.createElement("time");
  time.dateTime = event.at;
  time.textContent = event.at.replace("T", " ").replace("Z", " UTC");
  const name = document.createElement("b");
  name.textContent = event.event;
  about.append(time, " · ", name);
  const subject = event.account ?? event.provider;
  if (subject) about.append(" · " + subject);
  const text = document.createElement("p");
  text.textContent = event.text;
  li.append(about, text);
  return li;
};

let last = Number(list.dataset.last);
let source = null;

const add = (message) => {
  const event = JSON.parse(message.data);
  if (event.sequence <= last) return;
  last = event.sequence;
  document.getElementById("no-events").hidden = true;
  list.prepend(item(event));
};

const look = () => {
  source?.close();
  source = null;
  if (document.hidden) return;
  source = new EventSource("/admin/events?since=" + last);
  for (const type of list.dataset.types.split(" ")) source.addEventListener(type, add);
};

document.addEventListener("visibilitychange", look);
addEventListener("pagehide", () => source?.close());
look();
