// Whatever a text has in it, it is shown as a text.
import assert from 'node:assert/strict';
import { Visitor, ask, check, finish, picture, service } from './bench.mjs';

const { vendor, texts } = await ask('strange texts');
const visitor = await Visitor.signedIn();
const { page } = visitor;
const [{ sequence }] = await service('events', 'list', '--active');
const of = `vendor=${encodeURIComponent(vendor)}`;
const PAGES = {
  licences: [`/licences?${of}`, 'company', 'serial', 'title'],
  details: [`/licences?${of}&module=odd`, 'title', 'description', 'feature', 'user'],
  status: [`/status?event=${sequence}`, 'serial', 'event', 'target'],
  usage: ['/usage', 'service'],
  statement: [`/statements?${of}&month=${await ask('month')}`, 'serial', 'service'],
  update: ['/update', 'newer'],
  search: [`/licences?${of}&search=${encodeURIComponent(texts.title)}`, 'title'],
};
for (const [name, [path, ...shown]] of Object.entries(PAGES)) {
  const answer = await visitor.open(path);
  assert.equal(answer.status(), 200, path);
  const body = await page.locator('body').innerText();
  for (const text of [vendor, ...shown.map((key) => texts[key])]) {
    assert(body.includes(text), `${text} is not on ${path}: ${body}`);
  }
  // Nothing of it has become a part of the page.
  assert.equal(await page.locator('body script, body img, body b, body i, [onerror], [onload]').count(), 0);
  for (const width of [360, 1280]) {
    await page.setViewportSize({ width, height: 900 });
    await check(page);
    await picture(page, `strange-${name}-${width}`);
  }
}
// Nor in what comes while the page is open.
await visitor.open('/status');
await service('events', 'add', '--kind', 'message-of-the-day', '--description', `Live ${texts.event}`);
await page.locator('#banners').getByText(`Live ${texts.event}`).waitFor();
assert.equal(await page.locator('body script, body img').count(), 0);

// No script has run, and the policy has stopped nothing of ours.
await visitor.leave();
await finish();
