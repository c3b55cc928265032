// The update: what a newer version changes, what stands in its way, and how it comes into force.
import assert from 'node:assert/strict';
import { Visitor, ask, finish, picture, service } from './bench.mjs';

const visitor = await Visitor.signedIn();
const { page } = visitor;
const button = (name) => page.getByRole('button', { name, exact: true });
const crm = () => service('licenses', 'show', 'crm');
const assign = (user) => service('assignments', 'add', '--module', 'crm', '--user', user);
const rows = async () => (await page.locator('#previews tbody tr').allInnerTexts()).map((row) => row.split('\t'));
const named = async (user) => (await page.locator('#previews tr.too-many', { hasText: user }).count()) === 1;

async function look(quantity) {
  await ask('entitle', quantity);
  await visitor.open('/update');
  await button('Check now').click();
  await page.getByRole('heading', { name: /^Example: version/ }).waitFor();
}

// Only what changes is shown, and nothing comes into force before somebody says so.
await visitor.open('/update');
await page.getByText('What is in force is the newest that is known here.').waitFor();
await look(1200);
assert.deepEqual(await rows(), [['Licence crm: Number', '1,000', '1,200'], ['Version', '2', '3']]);
assert.equal(await page.locator('.too-many').count(), 0);
assert.equal((await crm()).total, 1000);
await button('Activate').click();
await page.waitForURL('**/licences?vendor=Example');
await page.locator('#licences').getByText('1,200').first().waitFor();
assert.equal((await crm()).total, 1200);
assert.equal((await service('events', 'list', '--id', '127')).at(-1).activated_by, 'uid:0');
await visitor.open('/update');
await button('Check now').click();
await page.getByText('There is nothing newer.').waitFor();
// What answers a form is kept up to date like its page, and so is its language chosen.
await service('events', 'add', '--kind', 'message-of-the-day', '--description', 'Hello.');
await page.locator('#banners').getByText('Hello.').waitFor();
for (const [menu, choice] of [['English', 'Nederlands'], ['Nederlands', 'English']]) {
  await page.locator('summary', { hasText: menu }).click();
  await button(choice).click();
  await page.waitForURL('**/update');
}

// More is in use than there would be: red, by name, and activated by nobody.
for (const user of ['anna', 'ben', 'carl']) await assign(user);
await look(1);
await page.getByText('3 are in use, and there would be 1: 2 must go.').waitFor();
assert.match(await page.locator('tr.too-many').first().innerText(), /^Licence crm: Number\t1,200\t1$/);
assert.deepEqual([await named('anna'), await named('ben'), await named('carl')], [false, true, true]);
assert.equal(await button('Activate').count(), 0);
await picture(page, 'update-blocked');
await button('Remove them and activate').click();
assert(await page.locator('input[name=remove]:invalid').isVisible(), 'the browser asks for the mark');
// Nor by one whose browser does not ask.
await page.locator('form[action="/update/activate"]').evaluate((form) => { form.noValidate = true; });
await button('Remove them and activate').click();
const refused = page.getByText('The new entitlement of Example cannot come into force');
await refused.waitFor();
const { total, in_use } = await crm();
assert.deepEqual([total, in_use], [1200, 3]);

// One assignment after the other is taken away, until nothing is in the way.
const take = (user) => page.locator('tr', { hasText: user }).getByRole('button', { name: 'Take away' }).click();
await take('carl');
await page.getByText('2 are in use, and there would be 1: 1 must go.').waitFor();
assert.equal((await crm()).in_use, 2);
await take('ben');
await button('Activate').click();
await page.waitForURL('**/licences?vendor=Example');
assert.equal((await crm()).total, 1);
const removed = await service('events', 'list', '--id', '133');
assert.deepEqual(removed.map((event) => [event.arguments.user, event.activated_by]), [['carl', 'uid:0'], ['ben', 'uid:0']]);

// Or all that is too much goes with the activation, leases before assignments.
await look(5);
await button('Activate').click();
await page.waitForURL('**/licences?vendor=Example');
await assign('ben');
await ask('acquire', 'dora');
await look(1);
assert.deepEqual([await named('anna'), await named('ben'), await named('dora')], [false, true, true]);
await page.getByLabel('Take the seats').check();
await button('Remove them and activate').click();
await page.waitForURL('**/licences?vendor=Example');
const left = await crm();
assert.deepEqual(left.holders.map((holder) => holder.user), ['anna']);
assert.equal(left.total, 1);

await visitor.leave();
await finish();
