// Every page in one language, at three widths, light and dark.
import assert from 'node:assert/strict';
import { Visitor, ask, check, finish, picture } from './bench.mjs';

const language = process.env.LANGUAGE_TAG;
const { event, month } = await ask('what there is');
const PAGES = {
  example: '/licences?vendor=Example',
  'example-details': '/licences?vendor=Example&module=crm',
  partner: '/licences?vendor=Partner',
  'partner-details': '/licences?vendor=Partner&module=seo',
  status: '/status',
  event: `/status?event=${event}`,
  usage: '/usage',
  statement: `/statements?vendor=Example&month=${month}`,
  update: '/update',
  missing: '/nowhere',
};

async function look(page, name, colorScheme) {
  for (const width of [360, 1280, 2560]) {
    await page.setViewportSize({ width, height: 900 });
    await check(page, language);
    await picture(page, `${name}-${language}-${width}-${colorScheme}`);
  }
}

for (const colorScheme of ['light', 'dark']) {
  const stranger = await Visitor.arrive({ locale: language, colorScheme });
  await stranger.open('/');
  assert.equal(new URL(stranger.page.url()).pathname, '/sign-in');
  await look(stranger.page, 'sign-in', colorScheme);
  await stranger.leave();

  const visitor = await Visitor.signedIn({ locale: language, colorScheme });
  visitor.expected.push(/status of 404 .*\/nowhere/);
  for (const [name, path] of Object.entries(PAGES)) {
    const answer = await visitor.open(path);
    assert.equal(answer.status(), name === 'missing' ? 404 : 200, path);
    await look(visitor.page, name, colorScheme);
  }
  await visitor.leave();
}
await finish();
