// Entitlements that are carried as files, and files that are none.
import assert from 'node:assert/strict';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { Visitor, ask, finish, service } from './bench.mjs';

const visitor = await Visitor.signedIn();
const { page } = visitor;
const total = async () => (await service('licenses', 'show', 'crm')).total;
const happened = page.locator('main > [role=alert]');
const waiting = page.getByRole('heading', { name: /^Example: version/ });

async function choose(files) {
  await visitor.open('/update');
  await page.getByLabel('File with an entitlement').setInputFiles(files);
  await page.getByRole('button', { name: 'Load', exact: true }).click();
}

async function drop(name, text) {
  await visitor.open('/update');
  const dropped = await page.evaluateHandle(([name, text]) => {
    const transfer = new DataTransfer();
    transfer.items.add(new File([text], name));
    return transfer;
  }, [name, text]);
  await page.dispatchEvent('form[data-drop]', 'drop', { dataTransfer: dropped });
}

// Refused by name; nothing is kept.
async function refused(sentence) {
  await happened.getByText(sentence).waitFor();
  await visitor.open('/update');
  assert.equal(await waiting.count(), 0, sentence);
  assert.equal(await total(), 1000);
}
const file = (name, content) => ({ name, mimeType: 'application/octet-stream', buffer: Buffer.from(content) });
const NO_ENTITLEMENT = 'This is no entitlement, or it is not whole.';
const STRANGE = '<img src=x onerror=alert(1)> "&.jwt';

await choose(file(STRANGE, 'hello'));
assert.equal(await page.locator('main img').count(), 0);
await refused(NO_ENTITLEMENT);
for (const content of ['', '\n', '{}', [0xff, 0xfe, 0x00, 0x80]]) {
  await choose(file('nothing.jwt', content));
  await refused(NO_ENTITLEMENT);
}
await drop(STRANGE, '<script>alert(1)</script>');
await refused(NO_ENTITLEMENT);
await choose(file('strange.jwt', await ask('entitlement of a stranger')));
await refused('Whoever signed this entitlement is not trusted here.');

// Large ones get an answer, not a broken connection.
const large = `${process.env.OUT}/large-${process.pid}.jwt`;
await mkdir(process.env.OUT, { recursive: true });
try {
  for (const size of [3, 50]) {
    await writeFile(large, Buffer.alloc(size << 20, 'a'));
    await choose(large);
    await refused('Too much was sent.');
  }
} finally {
  await rm(large);
}

// Who tried what is known, in the words of the file.
const calls = await service('events', 'list', '--id', '125');
const imports = calls.filter((event) => event.arguments.call === 'ImportEntitlement');
assert(imports.every((event) => event.activated_by === 'uid:0'));
// Browsers write a quotation mark in it like this.
assert(imports.some((event) => event.arguments.about === STRANGE.replace('"', '%22')));

// A file that was chosen, and one that was dropped: shown, and in force when somebody says so.
await choose(file('example.jwt', await ask('entitlement', 1100)));
await waiting.waitFor();
assert.equal(await total(), 1000);
const next = await ask('entitlement', 1200);
await drop('example.jwt', next);
await page.locator('#previews').getByText('1,200').waitFor();
await page.getByRole('button', { name: 'Activate', exact: true }).click();
await page.waitForURL('**/licences?vendor=Example');
assert.equal(await total(), 1200);
await choose(file('example.jwt', next));
await happened.getByText('There is nothing newer.').waitFor();

await visitor.leave();
await finish();
