// What happens while a page is open appears on it, without anybody loading it anew.
import assert from 'node:assert/strict';
import { Visitor, ask, finish, service } from './bench.mjs';

const open = async (path) => {
  const visitor = await Visitor.signedIn();
  await visitor.open(path);
  await visitor.page.evaluate(() => { globalThis.loadedOnce = true; });
  return visitor;
};
const still = (visitor) => visitor.page.evaluate(() => globalThis.loadedOnce === true);
const add = (...more) => service('events', 'add', '--kind', ...more);

const status = await open('/status');
const licences = await open('/licences?vendor=Example&module=crm');
const row = (text) => status.page.locator('#events tr', { hasText: text });
const banner = (text) => status.page.locator('#banners .banner', { hasText: text });
const cells = () => licences.page.locator('#licences tbody tr').first().locator('td.number').allInnerTexts();

// An event, and its end.
const { sequence } = await add('maintenance', '--description', 'The disks are exchanged.');
await banner('The disks are exchanged.').waitFor();
await row('The disks are exchanged.').getByText('active').waitFor();
await service('events', 'end', String(sequence));
await banner('The disks are exchanged.').waitFor({ state: 'detached' });
await row('The disks are exchanged.').getByText('ended').waitFor();

// A seat.
assert.deepEqual(await cells(), ['0', '1,000', '1,000']);
await ask('acquire', 'dora');
await licences.page.locator('#details').getByText('dora').waitFor();
assert.deepEqual(await cells(), ['1', '999', '1,000']);

// Nothing is missing that happened before the page was told of changes.
const late = await Visitor.signedIn();
let tell;
const told = new Promise((resolve) => { tell = resolve; });
await late.context.route('**/live', async (route) => {
  await told;
  await route.continue();
});
await late.open('/status');
await add('message-of-the-day', '--description', 'In between.');
assert.equal(await late.page.getByText('In between.').count(), 0);
tell();
await late.page.locator('#banners').getByText('In between.').waitFor();
await late.leave();

// What somebody is typing stays.
const description = status.page.getByLabel('Description');
await status.page.locator('summary', { hasText: 'Add an event' }).click();
await description.fill('Half a sentence');
await add('no-login', '--description', 'Closed.');
await banner('Closed.').waitFor();
assert.equal(await description.inputValue(), 'Half a sentence');

// A restart: the page says that it has lost the service, and then shows what it has missed.
for (const visitor of [status, licences]) visitor.expected.push(/ERR_|status of 503/);
const lost = status.page.getByText('The connection to the service is lost.');
assert.equal(await lost.isVisible(), false);
await ask('stop');
await lost.waitFor();
await ask('start');
await add('maintenance', '--description', 'Here again.');
await banner('Here again.').waitFor();
await lost.waitFor({ state: 'hidden' });
await ask('acquire', 'emil');
await licences.page.locator('#details').getByText('emil').waitFor();

for (const visitor of [status, licences]) {
  assert(await still(visitor), 'nobody has loaded the page anew');
  await visitor.leave();
}
await finish();
