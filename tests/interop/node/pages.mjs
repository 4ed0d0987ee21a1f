// Opens pages in headless Chromium and holds them to what docs/REPORTS.md says of them.
//
//   node pages.mjs CHROMIUM FOLDER     every NAME.html there; NAME.json, if it is there, is the same report

import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import puppeteer from "puppeteer-core";
import { check } from "./common.mjs";

const [executablePath, folder] = process.argv.slice(2);
const SCREEN = { width: 1280, height: 900 };
const TELEPHONE = { width: 390, height: 844 };
// Reports whose first table has a row for each of theirs.
const ROW_BY_ROW = ["inventory", "least-privilege", "month-inventory", "month-least-privilege"];
// A4 on its long side without its margins, in pixels; and the whole of it in points.
const PAPER = { width: 1047, height: 680 };
const A4 = [841, 843];

const args = ["--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage"];
// Chromium refuses its sandbox to root, which the gate is in a container.
if (process.getuid() === 0) args.push("--no-sandbox");
const browser = await puppeteer.launch({ executablePath, args });

// Opens a page and gathers whatever it should not do.
async function open(path) {
  const page = await browser.newPage();
  const complaints = [];
  const url = pathToFileURL(path).href;
  page.on("console", (message) => complaints.push(`console: ${message.text()}`));
  page.on("pageerror", (error) => complaints.push(`error: ${error.message}`));
  page.on("dialog", (dialog) => complaints.push(`dialog: ${dialog.message()}`) && dialog.dismiss());
  page.on("request", (request) => request.url() !== url && complaints.push(`request: ${request.url()}`));
  await page.setViewport(SCREEN);
  await page.goto(url, { waitUntil: "networkidle0" });
  return { page, complaints };
}

// What there is to see, on whatever it is shown.
const look = () => {
  const shade = (colour) => colour.match(/\d+/g).slice(0, 3).reduce((sum, part) => sum + Number(part), 0);
  const text = [...document.querySelectorAll("body, h1, h2, dt, dd, td, th, .note, figcaption")];
  return {
    heading: document.querySelector("h1")?.getBoundingClientRect().height ?? 0,
    rows: document.querySelector("table")?.tBodies[0].rows.length ?? 0,
    charts: [...document.querySelectorAll("svg")].every((svg) => svg.getBoundingClientRect().width > 200),
    letters: Math.max(0, ...[...document.querySelectorAll("svg text")].map((t) => t.getBoundingClientRect().height)),
    over: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    // The narrowest cell that has more than a word in it: one that breaks at each letter cannot be read.
    narrow: Math.min(
      999,
      ...[...document.querySelectorAll("td")].filter((td) => td.innerText.length > 20).map((td) => td.clientWidth),
    ),
    pale: text.filter((element) => shade(getComputedStyle(element).color) > 330).map((element) => element.tagName),
    background: shade(getComputedStyle(document.documentElement).backgroundColor),
    active: document.querySelectorAll("script, img, link, iframe, object, embed, form, a").length,
  };
};

async function holds(name) {
  const { page, complaints } = await open(join(folder, `${name}.html`));
  const seen = await page.evaluate(look);
  const said = [`${seen.rows} rows`];
  const wrong = (holds, what) => holds || check(false, `${name}: ${what}`);
  wrong(seen.heading > 0 && seen.active === 0, `its heading is seen and nothing in it acts: ${JSON.stringify(seen)}`);
  wrong(seen.background > 740 && seen.pale.length === 0, `dark text on white: ${seen.pale}`);
  wrong(seen.charts && seen.letters < 24, `charts can be read: letters of ${seen.letters}`);
  wrong(seen.over <= 0, `it fits a screen: ${seen.over} pixels too wide`);
  wrong(seen.narrow >= 60, `columns can be read: one has ${seen.narrow} pixels`);
  const report = join(folder, `${name}.json`);
  if (ROW_BY_ROW.includes(name) && existsSync(report)) {
    const rows = JSON.parse(readFileSync(report, "utf8")).rows.length;
    wrong(rows === seen.rows, `${rows} rows in the report, ${seen.rows} in the page`);
  }
  const picture = Buffer.from(await page.screenshot({ path: join(folder, `${name}.png`), fullPage: true }));
  const [width, height] = [picture.readUInt32BE(16), picture.readUInt32BE(20)];
  wrong(width >= SCREEN.width && height > 300 && picture.length > 5000, `the picture is ${width}x${height}`);
  said.push(`picture ${width}x${height}`);
  await page.setViewport(TELEPHONE);
  const over = (await page.evaluate(look)).over;
  wrong(over <= 0, `it fits a telephone: ${over} pixels too wide`);
  // What is too wide for paper is cut off there, and nobody is told.
  await page.setViewport(PAPER);
  await page.emulateMediaType("print");
  const cut = (await page.evaluate(look)).over;
  wrong(cut <= 0, `it fits A4: ${cut} pixels too wide`);
  await page.emulateMediaType(null);
  await page.setViewport(SCREEN);
  const paper = Buffer.from(await page.pdf({ path: join(folder, `${name}.pdf`), preferCSSPageSize: true }));
  const sheets = paper.toString("latin1").match(/\/Type\s*\/Page\b(?!s)/g)?.length ?? 0;
  const long = Number(paper.toString("latin1").match(/\/MediaBox\s*\[\s*0 0 ([\d.]+)/)?.[1]);
  wrong(sheets >= 1 && long >= A4[0] && long <= A4[1], `prints on A4: ${sheets} sheets, ${long} points wide`);
  said.push(`${sheets} sheets of A4`);
  wrong(complaints.length === 0, complaints.join("; "));
  await page.close();
  check(true, `the page of ${name}: ${said.join(", ")}`);
}

// Puts something into a page that does not belong there; the same checks must see it.
async function notices(what, spoil) {
  const path = join(folder, "spoilt.htm");
  const good = readFileSync(join(folder, "inventory.html"), "utf8");
  const bad = spoil(good);
  if (bad === good) check(false, `the page could not be spoilt: ${what}`);
  writeFileSync(path, bad);
  const { page, complaints } = await open(path);
  await page.close();
  check(complaints.length > 0, `${what} is noticed: ${complaints[0]}`);
}

try {
  const names = readdirSync(folder).filter((file) => file.endsWith(".html"));
  for (const file of names.sort()) await holds(file.replace(/\.html$/, ""));
  const image = '<img src="http://127.0.0.1:9/x.png"></body>';
  const free = (page) => page.replace(/<meta http-equiv[^>]*>/, "");
  await notices("a script in a page", (page) => page.replace("</body>", "<script>1</script></body>"));
  await notices("a picture that is loaded", (page) => page.replace("</body>", image));
  await notices("the same without the page's own policy", (page) => free(page).replace("</body>", image));
} finally {
  await browser.close();
}
