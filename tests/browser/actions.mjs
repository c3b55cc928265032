// What an administrator does beside updates: language and colours, renewal, events.
import assert from 'node:assert/strict';
import { Visitor, finish, service } from './bench.mjs';

const visitor = await Visitor.signedIn();
const { page } = visitor;
const button = (name) => page.getByRole('button', { name, exact: true });

// Language and colours stay as they were chosen, also on other pages.
async function choose(menu, choice) {
  await page.locator('summary', { hasText: menu }).click();
  await button(choice).click();
}
const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
await visitor.open('/status?show=active');
const light = await ground();
await choose('English', 'Nederlands');
await page.waitForSelector('html[lang=nl]');
assert.equal(new URL(page.url()).search, '?show=active');
await choose('Nederlands', 'Svenska');
await page.waitForSelector('html[lang=sv]');
await choose('Svenska', 'Mörk');
await page.waitForSelector('html[data-theme=dark]');
await visitor.open('/update');
assert.equal(await page.getAttribute('html', 'lang'), 'sv');
assert.notEqual(await ground(), light);
await choose('Svenska', 'Ljus');
await page.waitForSelector('html[data-theme=light]');
assert.equal(await ground(), light);
await choose('Svenska', 'English');
await page.waitForSelector('html[lang=en]');

// Renewal.
const serial = async () => (await service('status')).certificate.serial;
const before = await serial();
await visitor.open('/status');
await page.locator('#certificate').getByText(before).waitFor();
await button('Renew now').click();
await page.locator('#certificate').getByText(before).waitFor({ state: 'detached' });
const after = await serial();
assert.notEqual(after, before);
await page.locator('#certificate').getByText(after).waitFor();
const [renewed] = await service('events', 'list', '--id', '101');
assert.equal(renewed.activated_by, 'uid:0');

// Events: each kind is added, shown to everyone as the text that it is, and ended.
const TEXT = 'Closed <b id="bold">until</b> "noon" & <script>alert(1)</script>';
const aside = page.getByRole('complementary', { name: 'Description' });
const active = () => service('events', 'list', '--active');
async function add(fields) {
  await visitor.open('/status');
  await page.locator('summary', { hasText: 'Add an event' }).click();
  for (const [name, value] of Object.entries(fields)) {
    const field = page.locator(`form[action="/events/add"] [name=${name}]`);
    await (['kind', 'scope'].includes(name) ? field.selectOption(value) : field.fill(value));
  }
  await button('Add an event').click();
}
const EVENTS = [
  { kind: 'message', id: 162 },
  { kind: 'maintenance', id: 161, scope: 'database', target: 'sales', expected_end: '2040-07-01T12:00' },
  { kind: 'no-login', id: 160, scope: 'group', target: '<i>guests</i>' },
];
for (const { id, ...fields } of EVENTS) {
  await add({ ...fields, description: TEXT });
  await aside.getByText(TEXT).waitFor();
  await page.locator('#banners').getByText(TEXT).waitFor();
  assert.equal(await page.locator('#bold, #events i, #event i, main script').count(), 0);
  const [added] = await active();
  assert.equal(added.id, id);
  assert.equal(added.activated_by, 'uid:0');
  assert.equal(added.arguments.description, TEXT);
  assert.equal(added.target, fields.target ?? null);
  // The owner's time zone is Berlin's.
  if (fields.expected_end) assert.equal(added.expected_end, '2040-07-01T10:00:00Z');

  // There is one of a kind.
  await add({ ...fields, description: 'Again.' });
  await page.getByText(`There is such an event already, with number ${added.sequence}.`).waitFor();

  await visitor.open(`/status?event=${added.sequence}`);
  await button('End this event').click();
  await aside.getByText('Ended by').waitFor();
  assert.equal(await page.locator('#banners').getByText(TEXT).count(), 0);
  assert.deepEqual(await active(), []);
}

// What is missing is named, and nothing is added.
await add({ kind: 'no-login', scope: 'group', description: 'Closed.' });
await page.getByText('target must name the group').waitFor();
assert.deepEqual(await active(), []);

// The filter is applied as soon as it is chosen.
await visitor.open('/status');
await page.locator('select[name=show]').selectOption('active');
await page.getByText('No event is active.').waitFor();

visitor.expected.push(/status of 4(09|22) .*\/events\/add/);
await visitor.leave();
await finish();
