// Every action in one language, at three widths, light and dark: known by where its form leads, not by what is said.
import assert from 'node:assert/strict';
import { Visitor, ask, check, finish, picture, service } from './bench.mjs';

const language = process.env.LANGUAGE_TAG;
// Versions of the entitlement differ in this; two seats are never enough for what is assigned.
let quantity = 2000;

for (const width of [360, 1280, 2560]) {
  for (const colorScheme of ['light', 'dark']) {
    const visitor = await Visitor.signedIn({ locale: language, colorScheme, viewport: { width, height: 900 } });
    const { page } = visitor;
    const send = async (form, wanted) => {
      await page.locator(`form[action="${form}"] button`).first().click();
      await page.locator(wanted).first().waitFor();
    };
    const look = async (name) => {
      await check(page, language);
      await picture(page, `after-${name}-${language}-${width}-${colorScheme}`);
    };

    await visitor.open('/status');
    const serial = page.locator('#certificate .facts dd.mono').first();
    const former = await serial.innerText();
    await page.locator('form[action="/status/renew"] button').click();
    await page.waitForFunction((former) => document.querySelector('#certificate .facts dd.mono')?.innerText !== former, former);
    await look('renewal');

    await page.locator('summary', { has: page.locator('xpath=following-sibling::form[@action="/events/add"]') }).click();
    await page.locator('form[action="/events/add"] textarea').fill('<b>Hello</b>');
    await page.locator('form[action="/events/add"] button').click();
    await page.locator('#event form[action="/events/end"]').waitFor();
    await look('event-added');
    await page.locator('form[action="/events/end"] button').click();
    await page.locator('#event form').waitFor({ state: 'detached' });
    await look('event-ended');

    await ask('entitle', quantity += 1);
    await visitor.open('/update');
    await send('/update/check', '#previews form[action="/update/activate"]');
    await look('check');
    await send('/update/activate', '#licences');
    await look('activation');

    for (const user of ['anna', 'ben', 'carl']) {
      await service('assignments', 'add', '--module', 'crm', '--user', user);
    }
    const file = await ask('entitlement', 1);
    await visitor.open('/update');
    await page.locator('input[type=file]').setInputFiles({ name: 'e.jwt', mimeType: 'text/plain', buffer: Buffer.from(file) });
    await send('/update/import', 'tr.too-many');
    await look('blocked');
    const taken = page.locator('form[action="/update/unassign"]');
    assert.equal(await taken.count(), 2);
    await taken.first().locator('button').click();
    await page.waitForFunction(() => document.querySelectorAll('form[action="/update/unassign"]').length === 1);
    await look('unassigned');
    await page.locator('input[name=remove]').check();
    await send('/update/activate', '#licences');
    await look('removal');

    await send('/sign-out', 'pre code');
    assert.equal(new URL(page.url()).pathname, '/sign-in');
    await look('sign-out');
    await visitor.leave();
  }
}
await finish();
