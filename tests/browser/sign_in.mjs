// Links and sessions, good ones and others, and forms that were not sent from a page of ours.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { Visitor, ask, finish, link, origin, service } from './bench.mjs';

const path = (page) => new URL(page.url()).pathname;
const serial = async () => (await service('status')).certificate.serial;
const before = await serial();

async function refused(address, status, sentence) {
  const visitor = await Visitor.arrive();
  visitor.expected.push(new RegExp(`status of ${status}`));
  const answer = await visitor.page.goto(address);
  assert.equal(answer.status(), status);
  await visitor.page.getByText(sentence).waitFor();
  assert.deepEqual(await visitor.context.cookies(), []);
  await visitor.open('/status');
  assert.equal(path(visitor.page), '/sign-in');
  await visitor.leave();
}

// A link is good once, and whoever only looks ahead does not use it up.
const once = await link();
const ahead = await Visitor.arrive();
assert.equal((await ahead.context.request.head(once)).status(), 204);
assert.equal((await ahead.context.request.get(once, { headers: { 'Sec-Purpose': 'prefetch' } })).status(), 204);
await ahead.page.goto(once);
await ahead.page.waitForURL('**/licences?vendor=Example');
const [session] = await ahead.context.cookies();
assert.deepEqual([session.httpOnly, session.secure, session.sameSite, session.path], [true, true, 'Strict', '/']);
await ahead.leave();
await refused(once, 403, 'This link was used before.');
assert.equal((await service('events', 'list')).at(-1).name, 'SignInRefusedEvent');
for (const forged of [`${origin}/sign-in/${'A'.repeat(43)}`, `${origin}/sign-in/%00`, `${once}A`]) {
  await refused(forged, 403, 'This link does not sign you in: this service did not make it.');
}
const old = await link();
await ask('advance', 301);
await refused(old, 403, 'This link has expired.');

// A cookie that somebody has copied is worth nothing after the end of its session.
const visitor = await Visitor.signedIn();
const { page } = visitor;
const copied = await visitor.context.cookies();
await page.getByRole('button', { name: 'Sign out' }).click();
await page.waitForURL('**/sign-in');
assert.deepEqual(await visitor.context.cookies(), []);
await visitor.context.addCookies(copied);
await visitor.open('/status');
assert.equal(path(page), '/sign-in');
await visitor.leave();

// Forms.
const clerk = await Visitor.signedIn();
clerk.expected.push(/status of 40[13]/);
const other = await Visitor.signedIn();
const token = (of) => of.page.locator('input[name=form_token]').first().inputValue();
const post = (address, fields) => clerk.page.evaluate(async ([address, fields]) => {
  const body = new URLSearchParams(fields);
  return (await fetch(address, { method: 'POST', body, redirect: 'manual' })).status;
}, [address, fields]);
await clerk.open('/status');
assert.notEqual(await token(clerk), await token(other));
const event = { kind: 'no-login', description: 'Forged.' };
for (const forged of [{}, { form_token: '' }, { form_token: await token(other) }]) {
  assert.equal(await post('/status/renew', forged), 403);
  assert.equal(await post('/events/add', { ...event, ...forged }), 403);
  assert.equal(await post('/sign-out', forged), 403);
}
await clerk.page.locator('form[action="/status/renew"] [name=form_token]').evaluate((field) => field.remove());
await clerk.page.getByRole('button', { name: 'Renew now' }).click();
await clerk.page.getByText('This form was not sent from a page of yours').waitFor();
assert.equal(await post('/update/check', { form_token: await token(other) }), 403);

// A page of a stranger, who even knows the token: another port of this host, and another host.
const known = await (await clerk.open('/status'), token(clerk));
const stranger = createServer((_, response) => response.setHeader('content-type', 'text/html').end(
  `<form method="post" action="${origin}/status/renew"><input name="form_token" value="${known}"><button>Win</button></form>`,
));
await new Promise((resolve) => stranger.listen(0, resolve));
for (const [host, status] of [['127.0.0.1', 403], ['localhost', 401]]) {
  await clerk.page.goto(`http://${host}:${stranger.address().port}/`);
  const [answer] = await Promise.all([clerk.page.waitForResponse('**/status/renew'), clerk.page.getByText('Win').click()]);
  assert.equal(answer.status(), status, host);
}
stranger.close();
assert.equal(await serial(), before);
assert.deepEqual(await service('events', 'list', '--active'), []);
await other.leave();

// The end of a session shows on pages that are open, also on one that answers a form.
const reader = await Visitor.signedIn();
await clerk.open('/update');
await clerk.page.getByRole('button', { name: 'Check now' }).click();
await clerk.page.getByText('There is nothing newer.').waitFor();
await ask('advance', 8 * 3600);
for (const visitor of [clerk, reader]) {
  visitor.expected.push(/EventSource/);
  await visitor.page.waitForURL('**/sign-in');
  await visitor.leave();
}
await finish();
