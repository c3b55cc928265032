// What scenarios have in common: a browser, the test behind it, and what must hold on every page.
import assert from 'node:assert/strict';
import { mkdir, readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { chromium } from 'playwright-core';

export const origin = process.env.ORIGIN;

const axe = await readFile(new URL('node_modules/axe-core/axe.min.js', import.meta.url), 'utf8');
const answers = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ['--no-sandbox'] });

/** Asks the test for what happens outside the browser; its answer. */
export async function ask(what, details = null) {
  process.stdout.write(`${JSON.stringify({ what, details })}\n`);
  const { value, done } = await answers.next();
  assert(!done, `nobody answers: ${what}`);
  return JSON.parse(value);
}

/** Runs a command of the service; what it prints as JSON. */
export const service = (...command) => ask('service', command);

/** A link that signs the local administrator in. */
export const link = async () => (await service('web', 'login')).url;

/** Somebody who looks at the screen with a browser of their own. */
export class Visitor {
  /** What the browser complains of; `expected` are the complaints that belong to the scenario. */
  complaints = [];
  expected = [];

  static async arrive(options = {}) {
    const visitor = new Visitor();
    visitor.context = await browser.newContext({ locale: 'en', viewport: { width: 1280, height: 900 }, ...options });
    visitor.context.on('console', (message) => {
      if (message.type() === 'error') visitor.complaints.push(`${message.text()} (${message.location().url})`);
    });
    visitor.context.on('weberror', (error) => visitor.complaints.push(String(error.error())));
    visitor.context.on('dialog', (dialog) => {
      visitor.complaints.push(`a script of a stranger says ${dialog.message()}`);
      return dialog.dismiss();
    });
    visitor.page = await visitor.context.newPage();
    return visitor;
  }

  /** One who is signed in. */
  static async signedIn(options = {}) {
    const visitor = await Visitor.arrive(options);
    await visitor.page.goto(await link());
    return visitor;
  }

  open(path) {
    return this.page.goto(origin + path);
  }

  async leave() {
    const unexpected = this.complaints.filter((text) => !this.expected.some((expected) => expected.test(text)));
    await this.context.close();
    assert.deepEqual(unexpected, []);
  }
}

/** Checks what must hold on every page. */
export async function check(page, language = 'en') {
  const found = await page.evaluate(() => {
    const texts = [];
    const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walk.nextNode()) texts.push(walk.currentNode.data.trim());
    for (const element of document.querySelectorAll('[aria-label], [title], [placeholder]')) {
      texts.push(...['aria-label', 'title', 'placeholder'].map((name) => element.getAttribute(name) ?? ''));
    }
    const root = document.documentElement;
    return { texts, title: document.title, language: root.lang, overflow: root.scrollWidth - root.clientWidth };
  });
  assert.equal(found.language, language);
  // Keys of texts that nobody has translated, and places in texts that nobody has filled.
  const raw = [...found.texts, found.title].filter((text) => /^[a-z]+(-[A-Za-z_]+)+$|\{ ?\$/.test(text));
  assert.deepEqual(raw, [], page.url());
  assert(found.overflow <= 0, `${page.url()} is ${found.overflow} pixels too wide`);
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => globalThis.axe.run());
  const told = violations.map(({ id, impact, nodes }) => ({ id, impact, nodes: nodes.map((node) => node.html) }));
  assert.deepEqual(told, [], page.url());
}

/** Keeps a picture of a page. */
export async function picture(page, name) {
  await mkdir(process.env.OUT, { recursive: true });
  await page.screenshot({ path: `${process.env.OUT}/${name}.png`, fullPage: true, animations: 'disabled' });
}

/** Ends the scenario. */
export async function finish() {
  await browser.close();
  process.exit();
}
