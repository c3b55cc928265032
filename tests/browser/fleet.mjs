// The fleet page in three languages, at three widths, light and dark; what runs out next is seen at once; what changes is seen
// without a click.
import assert from 'node:assert/strict';
import { Visitor, ask, check, finish, picture } from './bench.mjs';

const PAGES = { fleet: '/', 'fleet-node': '/?node=days', 'fleet-search': '/?search=week', 'fleet-week': '/?show=1w' };

for (const language of ['en', 'nl', 'sv']) {
  for (const colorScheme of ['light', 'dark']) {
    const visitor = await Visitor.signedIn({ locale: language, colorScheme });
    for (const [name, path] of Object.entries(PAGES)) {
      assert.equal((await visitor.open(path)).status(), 200, path);
      await visitor.page.locator('#node-days, #node-weeks').first().waitFor();
      for (const width of [360, 1280, 2560]) {
        await visitor.page.setViewportSize({ width, height: 900 });
        await check(visitor.page, language);
        await picture(visitor.page, `${name}-${language}-${width}-${colorScheme}`);
      }
    }
    await visitor.leave();
  }
}

const visitor = await Visitor.signedIn();
const { page } = visitor;
await visitor.open('/');
await page.locator('#node-days').waitFor();
for (const part of ['#summary', '#histogram', '#node-days']) {
  const { y, height } = await page.locator(part).boundingBox();
  assert(y + height <= 900, `${part} is below what is seen without scrolling`);
}
await page.evaluate(() => { globalThis.same = true; });
await ask('another node');
await page.locator('#node-newcomer').waitFor();
assert(await page.evaluate(() => globalThis.same), 'the page was not loaded anew');
await visitor.leave();
await finish();
