// Everything is reached and done with the keyboard, and the focus is always to be seen.
import assert from 'node:assert/strict';
import { Visitor, finish, service } from './bench.mjs';

const visitor = await Visitor.signedIn();
const { page } = visitor;
const press = (key) => page.keyboard.press(key);

/** What has the focus: its words, and whether one sees that it has. */
const focused = () => page.evaluate(() => {
  const element = document.activeElement;
  const { outlineStyle, outlineWidth } = getComputedStyle(element);
  const { width, height, right, bottom } = element.getBoundingClientRect();
  const [words] = (element.getAttribute('aria-label') ?? element.innerText ?? '').trim().split('\n');
  return {
    name: element.matches('select, input') ? element.name : words,
    end: element === document.body,
    seen: outlineStyle !== 'none' && outlineWidth !== '0px' && width > 0 && height > 0 && right > 0 && bottom > 0,
  };
});

/** What the focus comes to from the beginning of the page on. */
async function walk(path) {
  await visitor.open(path);
  const names = [];
  for (;;) {
    await press('Tab');
    const { name, end, seen } = await focused();
    if (end) return names;
    assert(seen, `the focus is not to be seen at ${name} of ${path}`);
    names.push(name);
    assert(names.length < 200, names.join());
  }
}
const inOrder = (names, expected) => {
  const places = expected.map((name) => names.indexOf(name));
  assert(places.every((place, index) => place > (places[index - 1] ?? -1)), `${expected} in ${names}`);
};

const frame = ['Skip to the content', 'English', 'Sign out', 'Example', 'Partner', 'Status', 'Update'];
inOrder(await walk('/licences?vendor=Example'), [...frame, 'crm']);
inOrder(await walk('/status'), [...frame, 'Renew now', 'Twelve months and statements', 'show', 'Show', 'ServiceEnabledEvent', 'Add an event']);
inOrder(await walk('/usage'), frame);
inOrder(await walk('/update'), [...frame, 'Check now', 'file', 'Load']);

// Past the frame in one step.
await visitor.open('/licences?vendor=Example');
await press('Tab');
await press('Enter');
assert.equal(await page.evaluate(() => document.activeElement.id), 'main');
await press('Tab');
await press('Tab');
assert.equal((await focused()).name, 'crm');
await press('Enter');
await page.locator('#details').waitFor();

// The menu.
await page.locator('.menu summary').focus();
const menu = () => page.locator('.menu').evaluate((menu) => menu.open);
await press('Enter');
assert.equal(await menu(), true);
await press('Tab');
assert.equal((await focused()).name, 'English');
await press('Escape');
assert.equal(await menu(), false);
assert.match(await page.evaluate(() => document.activeElement.tagName), /SUMMARY/);
await press('Enter');
await press('Tab');
await press('Tab');
await press('Enter');
await page.waitForSelector('html[lang=nl]');

// Where the focus is in a part that changes, it stays.
await visitor.open('/licences?vendor=Example');
await page.locator('#licence-crm').focus();
await service('assignments', 'add', '--module', 'crm', '--user', 'anna');
await page.locator('#licences').getByText('999').first().waitFor();
assert.equal(await page.evaluate(() => document.activeElement.id), 'licence-crm');

await visitor.leave();
await finish();
