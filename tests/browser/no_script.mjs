// Without JavaScript every page can be read, and every form works.
import assert from 'node:assert/strict';
import { Visitor, finish, picture, service } from './bench.mjs';

const visitor = await Visitor.signedIn({ javaScriptEnabled: false });
const { page } = visitor;
const button = (name) => page.getByRole('button', { name, exact: true });
const link = (name) => page.getByRole('link', { name, exact: true });

await page.waitForURL('**/licences?vendor=Example');
await page.getByRole('heading', { name: 'Example GmbH' }).waitFor();
await link('crm').click();
await page.locator('#details').getByText('Who holds the seats').waitFor();
await page.locator('#details').getByText('anna').waitFor();
await picture(page, 'no-script-licence');
await link('Partner').click();
await page.locator('#licences').getByText('Search').first().waitFor();
await link('Status').click();
await link('Twelve months and statements').click();
await page.getByRole('heading', { name: 'Metered services' }).waitFor();
await page.locator('table a').first().click();
await page.getByRole('heading', { name: /^Statement of/ }).waitFor();
await link('Back to the metered services').click();
await link('Back to the status').click();

// Events: described, filtered, added, ended.
await link('NodeEnrolledEvent').click();
await page.locator('#event').getByText('berlin-1 was enrolled').waitFor();
await page.locator('summary', { hasText: 'Add an event' }).click();
await page.getByLabel('Description').last().fill('Closed.');
await page.locator('form[action="/events/add"] [name=kind]').selectOption('no-login');
await button('Add an event').click();
await page.locator('#event').getByText('Closed.').waitFor();
await link('Status').click();
await page.locator('select[name=show]').selectOption('active');
await button('Show').click();
assert.equal(await page.locator('#events tbody tr').count(), 1);
await page.locator('#events tbody a').click();
await button('End this event').click();
await page.locator('#event').getByText('Ended by').waitFor();

// Renewal, updates, language, the end.
const { serial } = (await service('status')).certificate;
await button('Renew now').click();
assert.equal(await page.getByText(serial).count(), 0);
await link('Update').click();
await button('Check now').click();
await page.getByText('There is nothing newer.').waitFor();
await page.getByLabel('File with an entitlement').setInputFiles({
  name: 'nothing.jwt', mimeType: 'text/plain', buffer: Buffer.from('nothing'),
});
await button('Load').click();
await page.getByText('This is no entitlement, or it is not whole.').waitFor();
await page.locator('summary', { hasText: 'English' }).click();
await button('Svenska').click();
await page.locator('html[lang=sv]').waitFor();
await button('Logga ut').click();
await page.waitForURL('**/sign-in');

visitor.expected.push(/status of 4\d\d/);
await visitor.leave();
await finish();
