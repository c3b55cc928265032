// Whoever is an administrator no more is signed out, and has no use for a link.
import assert from 'node:assert/strict';
import { Visitor, ask, finish } from './bench.mjs';

const visitor = await Visitor.arrive();
await visitor.page.goto(await ask('link'));
await visitor.open('/status');
await visitor.page.locator('#database').getByText('uid:4242').waitFor();
const unused = await ask('link');
visitor.expected.push(/ERR_|EventSource|status of 403/);
await ask('remove');
const answer = await visitor.open('/status');
assert.equal(new URL(answer.url()).pathname, '/sign-in');
await visitor.page.goto(unused);
await visitor.page.getByText('Whoever made this link is not a local administrator any more.').waitFor();
await visitor.leave();
await finish();
