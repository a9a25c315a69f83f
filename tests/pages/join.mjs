// A friend's way over the pages, by click: joins with the friend code, opens the tab of each CLI, copies its lines, and asks
// for new ones. What was copied goes to FOLDER/first/<cli>.line, .undo and FOLDER/second/… for a shell to run.
//   join.mjs POOL BROWSER FOLDER CODE
import { mkdirSync, writeFileSync } from "node:fs";
import puppeteer from "puppeteer-core";

const [pool, browserPath, folder, code] = process.argv.slice(2);
const need = (good, what) => {
  if (good) return;
  console.log("  FAILED: " + what);
  process.exit(1);
};

const browser = await puppeteer.launch({
  executablePath: browserPath,
  args: ["--no-sandbox", "--no-proxy-server", "--disable-dev-shm-usage"],
});
const context = browser.defaultBrowserContext();
await context.overridePermissions(pool, ["clipboard-read", "clipboard-sanitized-write"]);
const page = await context.newPage();
await page.setViewport({ width: 1200, height: 900 });
await page.emulateMediaFeatures([{ name: "prefers-reduced-motion", value: "reduce" }]); // a button that moves is missed

const leave = async (button) => {
  await Promise.all([page.waitForNavigation({ waitUntil: "load" }), button.click()]);
};

// The line in a section that begins with `beginning`, by its copy button and the clipboard.
const copied = async (section, beginning) => {
  for (const block of await section.$$(".copyable")) {
    const text = await block.$eval("pre", (pre) => pre.textContent);
    if (!text.startsWith(beginning)) continue;
    const button = await block.$("button");
    const said = button.evaluate((b) => new Promise((done) => {
      new MutationObserver(() => b.textContent === "Copied" && done()).observe(b, { childList: true });
    }));
    await button.click();
    await said;
    const line = await page.evaluate(() => navigator.clipboard.readText());
    need(line === text + "\n", "the clipboard holds what the page shows: " + line);
    return line;
  }
  return need(false, `there is no line "${beginning}…" to copy`);
};

const copyAll = async (round) => {
  mkdirSync(`${folder}/${round}`, { recursive: true });
  const tabs = await page.$$eval("nav.jump a", (links) => links.map((a) => a.getAttribute("href").slice(1)));
  need(tabs.length === 3, "there is a tab for each CLI: " + tabs);
  for (const cli of tabs) {
    await page.click(`nav.jump a[href="#${cli}"]`);
    need((await page.evaluate(() => location.hash)) === "#" + cli, `the tab of ${cli} is chosen`);
    const section = await page.$("section#" + cli);
    need(await section.isIntersectingViewport(), `the part about ${cli} is seen`);
    writeFileSync(`${folder}/${round}/${cli}.line`, await copied(section, "curl -fsSL "));
    writeFileSync(`${folder}/${round}/${cli}.undo`, await copied(section, "bash ~/.codex-pool-setup/undo.sh "));
  }
};

await page.goto(pool + "/", { waitUntil: "load" });
await page.type("#code", "not " + code);
await leave(await page.$('form:has(#code) button'));
need(/Invalid Friend Code/.test(await page.$eval("main", (main) => main.textContent)), "a wrong code is refused");
await page.goto(pool + "/", { waitUntil: "load" });
await page.type("#code", code);
await page.type("#email", "friend@example.com");
await leave(await page.$('form:has(#code) button'));
await copyAll("first");
await page.goto(pool + "/me", { waitUntil: "load" });
await leave(await page.$('form[action="/me/setup"] button'));
await copyAll("second");

// On another browser the same friend signs in with a key that the page has shown.
const key = await page.$$eval("pre", (all) => all.map((pre) => /sk-pool-[\w.-]+/.exec(pre.textContent)?.[0]).find(Boolean));
const other = await (await browser.createBrowserContext()).newPage();
await other.goto(pool + "/", { waitUntil: "load" });
await other.click("details:has(#key) summary");
await other.type("#key", key);
await Promise.all([other.waitForNavigation({ waitUntil: "load" }), other.click("form:has(#key) button")]);
need(other.url() === pool + "/me", "a key signs in: " + other.url());
need((await other.$eval("h1", (h) => h.textContent)) === "friend@example.com", "as the same friend");
await browser.close();
