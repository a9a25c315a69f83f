// Drives the browser over every view: axe, the content security policy, layout, size, live updates. See run.sh.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import puppeteer from "puppeteer-core";

const [pool, browserPath, option, shotsFolder] = process.argv.slice(2);
const shots = option === "--shots" ? shotsFolder : null;
if (shots) mkdirSync(shots, { recursive: true });
const axe = readFileSync("node_modules/axe-core/axe.min.js", "utf8");

let passed = 0;
let failed = 0;
const expect = (good, what) => {
  if (good) passed += 1;
  else {
    failed += 1;
    console.log("  FAILED: " + what);
  }
};

// An account whose sign-in is over: its access token has expired, and nobody knows its refresh token.
const addDeadAccount = async (name) => {
  const file = JSON.parse(readFileSync("pool/codex_1.json", "utf8"));
  const [head, claims] = file.tokens.access_token.split(".");
  const told = JSON.parse(Buffer.from(claims, "base64url").toString());
  told.exp = Math.floor(Date.now() / 1000) - 3600;
  file.tokens.access_token = head + "." + Buffer.from(JSON.stringify(told)).toString("base64url") + ".x";
  file.tokens.refresh_token = "rt-of-nobody-" + name;
  file.tokens.account_id = "account-of-" + name;
  writeFileSync(`pool/${name}.json`, JSON.stringify(file), { mode: 0o600 });
  await fetch(pool + "/admin/reload", { method: "POST" });
};
const stateOf = async (id) => (await (await fetch(pool + "/admin/accounts")).json()).find((a) => a.id === id)?.state;

await addDeadAccount("codex_gone");
for (let i = 0; i < 100 && (await stateOf("codex:codex_gone")) !== "needs_login"; i += 1)
  await new Promise((done) => { setTimeout(done, 100); });
expect((await stateOf("codex:codex_gone")) === "needs_login", "an account needs a new sign-in");

const requests = await (await fetch(pool + "/admin/requests?limit=1")).json();
const views = [
  ["pool", "/status"],
  ["usage", "/status/usage?last=30d&group=model&cost=list"],
  ["usage-kinds", "/status/usage"],
  ["requests", "/status/requests"],
  ["request", `/status/why?id=${requests[0].request_id}&row=${requests[0].row}`],
  ["events", "/status/events"],
  ["home", "/"],
  ["missing", "/status/nothing"],
];
const widths = [["wide", 1440, 900], ["phone", 390, 844]];
const schemes = ["light", "dark"];
const kBytesMax = 100_000;
const kShiftMax = 0.02;

const browser = await puppeteer.launch({
  executablePath: browserPath,
  args: ["--no-sandbox", "--no-proxy-server", "--disable-dev-shm-usage", "--force-color-profile=srgb"],
});

// What the page did wrong by itself, as the browser tells it.
const watch = async (page) => {
  const wrong = [];
  page.on("console", (message) => {
    const expected = message.text().includes("404") && page.url().endsWith("/status/nothing");
    if (message.type() === "error" && !expected) wrong.push("console: " + message.text());
  });
  page.on("pageerror", (error) => wrong.push("script: " + error.message));
  page.on("request", (request) => {
    if (!request.url().startsWith(pool) && !request.url().startsWith("data:")) // the browser's own icons
      wrong.push("elsewhere: " + request.url());
  });
  await page.evaluateOnNewDocument(() => {
    window.shifts = 0;
    window.refused = [];
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifts += entry.value;
    }).observe({ type: "layout-shift", buffered: true });
    document.addEventListener("securitypolicyviolation", (event) => window.refused.push(event.violatedDirective));
  });
  return wrong;
};

const sizeOf = async (page) => {
  const session = await page.createCDPSession();
  let bytes = 0;
  await session.send("Network.enable");
  await session.send("Network.setCacheDisabled", { cacheDisabled: true });
  session.on("Network.loadingFinished", (event) => { bytes += event.encodedDataLength; });
  return () => bytes;
};

const look = async ([name, path], [size, width, height], scheme) => {
  const what = `${name} ${size} ${scheme}`;
  const page = await browser.newPage();
  await page.setViewport({ width, height, deviceScaleFactor: 1 });
  await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
  const wrong = await watch(page);
  const bytes = await sizeOf(page);
  await page.goto(pool + path, { waitUntil: "load" });
  await page.waitForNetworkIdle({ idleTime: 50, concurrency: 1 }); // the live stream stays open
  const state = await page.evaluate(() => ({
    shifts: window.shifts,
    refused: window.refused,
    overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
  }));
  expect(wrong.length === 0, `${what}: ${wrong.join("; ")}`);
  expect(state.refused.length === 0, `${what}: the policy refused ${state.refused}`);
  expect(state.shifts <= kShiftMax, `${what}: the layout shifted by ${state.shifts}`);
  expect(state.overflow <= 0, `${what}: wider than the window by ${state.overflow} px`);
  expect(bytes() < kBytesMax, `${what}: ${bytes()} bytes`);
  await page.evaluate(axe); // by the debugger's way, beside the policy that the page itself must obey
  const { serious, text } = await page.evaluate(async () => {
    const result = await window.axe.run(document, { resultTypes: ["violations"] });
    const bad = result.violations.filter((v) => v.impact === "serious" || v.impact === "critical");
    const lines = bad.map((v) => `${v.id}: ${v.nodes.slice(0, 3).map((n) => n.html + " " + n.any.map((c) => c.message)).join(" | ")}`);
    return { serious: bad.length, text: lines.join("\n    ") };
  });
  expect(serious === 0, `${what}: axe finds\n    ${text}`);
  if (shots) await page.screenshot({ path: `${shots}/${name}-${size}-${scheme}.png`, fullPage: name !== "requests" });
  await page.close();
};

// The Pool page renews itself, keeps what is open and focused, and its forms answer without leaving it.
{
  const page = await browser.newPage();
  await watch(page);
  await page.goto(pool + "/status", { waitUntil: "load" });
  await page.click("article.account summary");
  await page.focus("article.account summary");
  const lanes = await page.$$eval("#running .lane", (list) => list.length);
  expect(lanes > 0, "running requests are shown as lanes");
  const before = await page.$eval("#running", (part) => part.textContent);
  await page.waitForFunction((old) => document.getElementById("running").textContent !== old, { timeout: 30_000 }, before);
  passed += 1;
  expect(await page.$eval("article.account details", (d) => d.open), "an open detail stays open");
  expect(await page.evaluate(() => document.activeElement.localName === "summary"), "the focus stays");
  await page.click("article.account .account-actions button");
  await page.waitForFunction(() => /disabled|\./.test(document.getElementById("message").textContent), { timeout: 30_000 });
  await page.waitForFunction(() => document.querySelector("article.account").classList.contains("is-disabled"), { timeout: 30_000 });
  expect(page.url() === pool + "/status", "an action does not leave the page");
  const again = await page.$$("article.account .account-actions button");
  await again[0].click();
  await page.waitForFunction(() => !document.querySelector("article.account").classList.contains("is-disabled"), { timeout: 30_000 });
  passed += 1;
  await page.close();
}

// Names are whatever clients send: they are text, also in what comes live.
{
  const page = await browser.newPage();
  const wrong = await watch(page);
  await page.goto(pool + "/status", { waitUntil: "load" });
  const hostile = "<img src=x onerror=alert(1)>";
  await page.waitForFunction((text) => document.getElementById("running").textContent.includes(text), { timeout: 30_000 }, hostile);
  await page.waitForFunction(() => performance.now() > 2500); // twice renewed by the stream
  expect((await page.$$("main img")).length === 0, "a model's name is no markup");
  expect(wrong.length === 0, "a hostile name: " + wrong.join("; "));
  await page.close();
}

// An event that happens now appears on the page that is open.
{
  const page = await browser.newPage();
  await page.goto(pool + "/status/events", { waitUntil: "load" });
  const before = await page.$$eval("#events li", (list) => list.length);
  await addDeadAccount("codex_late");
  await page.waitForFunction(() => document.querySelector("#events li")?.textContent.includes("codex_late"), { timeout: 30_000 });
  expect((await page.$$eval("#events li", (list) => list.length)) === before + 1, "a new event is one line");
  await page.close();
}

// Without scripts the pages show the same.
{
  const page = await browser.newPage();
  await page.setJavaScriptEnabled(false);
  await page.goto(pool + "/status/usage?group=user", { waitUntil: "load" });
  expect((await page.$$("figure svg rect")).length > 10, "the chart is there without scripts");
  await page.goto(pool + "/status", { waitUntil: "load" });
  expect((await page.$$("article.account")).length >= 8, "the accounts are there without scripts");
  await page.close();
}

// A chart can be read with the keyboard.
{
  const page = await browser.newPage();
  await page.goto(pool + "/status/usage", { waitUntil: "load" });
  await page.evaluate(() => document.querySelector("figure svg").focus());
  await page.keyboard.press("ArrowLeft");
  expect(/:/.test(await page.$eval(".readout", (p) => p.textContent)), "an arrow key reads the last column");
  await page.close();
}

// Last: what runs and is looked at above goes on for three minutes only.
for (const view of views) {
  for (const width of widths) for (const scheme of schemes) await look(view, width, scheme);
}

await browser.close();
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
