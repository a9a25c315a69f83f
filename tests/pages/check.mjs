// Drives the browser over every view: axe, the content security policy, layout, size, live updates. See run.sh.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import puppeteer from "puppeteer-core";

const [pool, shared, browserPath, option, shotsFolder] = process.argv.slice(2);
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
  ["setup-local", "/status/setup"],
  ["missing", "/status/nothing"],
];
// Of the pool that is shared: who looks, and what is done before.
const sharedViews = [
  ["landing", "/", "nobody"],
  ["people", "/status/people", "owner"],
  ["people-links", "/status/people", "owner", async (page) => {
    await leave(page, "button[formaction$='/ada/invite']");
    await page.click("#links details summary");
  }],
  ["people-limits", "/status/people", "owner", (page) => page.click("tbody details summary")],
  ["add-account", "/status", "owner", (page) => page.click("#add-account summary")],
  ["setup", "/status/setup", "owner"],
  ["friend-pool", "/status", "friend"],
  ["friend-usage", "/status/usage", "friend"],
  ["me", "/me", "friend", (page) => page.click("#add-account summary")],
  ["me-setup", "/me", "friend", (page) => leave(page, "form[action='/me/setup'] button")],
];
const widths = [["wide", 1440, 900], ["phone", 390, 844]];
const schemes = ["light", "dark"];
const kBytesMax = 100_000;
const kShiftMax = 0.02;

const browser = await puppeteer.launch({
  executablePath: browserPath,
  args: ["--no-sandbox", "--no-proxy-server", "--disable-dev-shm-usage", "--force-color-profile=srgb"],
});

const leave = (page, button) => Promise.all([page.waitForNavigation({ waitUntil: "load" }), page.click(button)]);

// A browser in which somebody is signed in to the shared pool.
const signedIn = async (field, value) => {
  const context = await browser.createBrowserContext();
  const page = await context.newPage();
  await page.goto(shared + "/", { waitUntil: "load" });
  await page.click(`details:has(#${field}) summary`);
  await page.type("#" + field, value);
  await leave(page, `form:has(#${field}) button`);
  await page.close();
  return context;
};
const keyOf = async (user) => {
  const headers = { Authorization: "Basic " + btoa("admin:the password") };
  const invited = await fetch(`${shared}/admin/pool-users/${user}/invite`, { method: "POST", headers });
  const token = (await invited.json()).setup.codex.token;
  const config = await (await fetch(`${shared}/config/codex/${token}`)).json();
  return config.tokens.access_token;
};
const browsers = {
  local: browser.defaultBrowserContext(),
  nobody: await browser.createBrowserContext(),
  owner: await signedIn("password", "the password"),
  friend: await signedIn("key", await keyOf("ada")),
};

// What the page did wrong by itself, as the browser tells it.
const watch = async (page) => {
  const wrong = [];
  page.on("console", (message) => {
    const expected = message.text().includes("404") && page.url().endsWith("/status/nothing");
    if (message.type() === "error" && !expected) wrong.push("console: " + message.text());
  });
  page.on("pageerror", (error) => wrong.push("script: " + error.message));
  page.on("request", (request) => {
    if (!request.url().startsWith(pool) && !request.url().startsWith(shared) && !request.url().startsWith("data:")) // the browser's own icons
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

const look = async ([name, path, who = "local", before = () => {}], [size, width, height], scheme) => {
  const what = `${name} ${size} ${scheme}`;
  const page = await browsers[who].newPage();
  await page.setViewport({ width, height, deviceScaleFactor: 1 });
  await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
  const wrong = await watch(page);
  const bytes = await sizeOf(page);
  await page.goto((who === "local" ? pool : shared) + path, { waitUntil: "load" });
  await before(page);
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

// An account comes by the form, and from a friend; buttons of a browser that is signed in show their token.
{
  const page = await browsers.owner.newPage();
  const add = async (place, text, provider) => {
    await page.goto(shared + place, { waitUntil: "load" });
    await page.click("#add-account summary");
    await page.type("#upload-text", text);
    await page.select("select[name=provider]", provider);
    await leave(page, "form.upload button");
    return page.$eval("main", (main) => main.textContent);
  };
  expect(/is a web page|this is a web page/.test(await add("/status", "<html></html>", "")), "a web page is refused");
  expect(/gemini:key was added/.test(await add("/status", '{"api_key": "AIzaSyFake-of-the-page"}', "gemini")), "a pasted key is an account");
  await page.goto(shared + "/status", { waitUntil: "load" });
  const card = (await page.$$("article.account")).length;
  expect(card >= 6, "the new account has a card");
  const first = await page.$("article.account .account-actions button");
  await first.click();
  await page.waitForFunction(() => document.querySelector("article.account").classList.contains("is-disabled"), { timeout: 30_000 });
  await (await page.$("article.account .account-actions button")).click();
  await page.waitForFunction(() => !document.querySelector("article.account").classList.contains("is-disabled"), { timeout: 30_000 });
  passed += 1;
  const mine = await browsers.friend.newPage();
  await mine.goto(shared + "/me", { waitUntil: "load" });
  for (const [action, state] of [["pause", "disabled"], ["resume", "ready"]]) {
    await leave(mine, `form[action$='/${action}'] button`);
    expect((await mine.$$(".own-accounts .is-" + state)).length === 1, `an own account after ${action} is ${state}`);
  }
  await page.close();
  await mine.close();
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
for (const view of [...views, ...sharedViews]) {
  for (const width of widths) for (const scheme of schemes) await look(view, width, scheme);
}

await browser.close();
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
