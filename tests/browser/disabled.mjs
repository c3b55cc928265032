// A service that is disabled says so at once on pages that are open, in red, with what to do.
import assert from 'node:assert/strict';
import { Visitor, ask, check, finish, picture } from './bench.mjs';

const { TEXT, NEXT, NAME } = process.env;
const visitors = [];
for (const path of ['/status', '/licences?vendor=Example', '/usage']) {
  const visitor = await Visitor.signedIn();
  await visitor.open(path);
  assert.equal(await visitor.page.locator('.banner').count(), 0);
  visitors.push(visitor);
}
const [{ page }] = visitors;
await page.locator('#certificate').getByText('issues licences').waitFor();
await ask('disable');
for (const { page } of visitors) {
  const banner = page.locator('#banners .banner.error');
  await banner.getByText(TEXT).waitFor();
  await banner.getByText(NEXT).waitFor();
}
await page.locator('#certificate').getByText('issues nothing').waitFor();
await check(page);
await picture(page, `disabled-${NAME}`);

// Whoever can be helped by a renewal is: the page says that it works again.
if (NAME === 'expired') {
  await page.getByRole('button', { name: 'Renew now' }).click();
  await page.locator('#certificate').getByText('issues licences').waitFor();
  for (const { page } of visitors) await page.locator('#banners .banner').waitFor({ state: 'detached' });
}
for (const visitor of visitors) await visitor.leave();
await finish();
