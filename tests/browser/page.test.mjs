// The chat page in Chromium, with a mock in place of the engine: what a user does with models, answers and
// conversations. What must not happen to them, and how it looks, is in page-guards.test.mjs.

import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { RICH, browser, calls, folder, pageTest, say, set, shot, texts } from './support/page.mjs';

const REFUSED = [/script-src/];
pageTest('starts without complaints, and obeys its policy', { start: false, expected: REFUSED }, async (page) => {
  await page.getByText('Mock Adapter').waitFor();
  assert.equal(await page.title(), 'Lantern');
  // The policy is in force: an inline script is refused.
  const ran = await page.evaluate(() => {
    const script = document.createElement('script');
    script.textContent = 'globalThis.inline = true';
    document.head.append(script);
    return globalThis.inline === true;
  });
  assert.ok(!ran);
  for (const label of ['Message', 'Address or Hugging Face name', 'System prompt']) {
    assert.equal(await page.getByLabel(label, { exact: true }).count(), 1, label);
  }
  const nameless = await page.evaluate(() =>
    [...document.querySelectorAll('button')]
      .filter(
        (button) => !button.innerText.trim() && !button.textContent.trim() && !button.ariaLabel && !button.ariaHidden,
      )
      .map((button) => button.id),
  );
  assert.deepEqual(nameless, ['ask-yes'], 'named when it asks');
});

pageTest(
  'loads a model with progress, cancels, and resumes from the cache',
  { mock: { loading: 1500 }, start: false },
  async (page) => {
    await page.getByRole('button', { name: 'Load SmolLM2-135M-Instruct' }).click();
    await page.getByText(/^\d+ MB of 98 MB · 12 MB\/s · \d+ s left|less than/).waitFor();
    assert.match(await page.locator('#progress-title').innerText(), /^Downloading SmolLM2/);
    assert.ok(await page.locator('#progress-bar').evaluate((bar) => bar.value > 0 && bar.value < bar.max));
    await shot(page, 'light-loading');
    await page.getByRole('button', { name: 'Cancel' }).click();
    await page.locator('#progress').waitFor({ state: 'hidden' });
    assert.equal(await page.getByText('What shall we talk about?').count(), 0);
    await page.locator('#model').click();
    await page.getByText(/^\d+ MB of 98 MB downloaded$/).waitFor();
    await set(page, { loading: 50 });
    await page.getByRole('button', { name: 'Resume: SmolLM2-135M-Instruct' }).click();
    await page.getByText('What shall we talk about?').waitFor();
    assert.equal((await calls(page, 'load'))[0][1].sha256.length, 64);
    // It is whole now, so the next visit starts by itself, without a download.
    await page.reload();
    await page.getByText('What shall we talk about?').waitFor();
    assert.deepEqual((await calls(page, 'load'))[0][1], { cached: 'key-SmolLM2-135M-Instruct.Q4_1.gguf' });
  },
);

pageTest('takes addresses, hub names and files; options reach load(); removes from the cache', {}, async (page) => {
  const type = async (text) => {
    await page.locator('#model').click();
    await page.getByLabel('Address or Hugging Face name').fill(text);
    await page.keyboard.press('Enter');
  };
  await type('nonsense');
  await page.getByText('neither an address nor a name').waitFor();
  await page.keyboard.press('Escape');
  await page.locator('#model').click();
  await page.getByText('How it is loaded').click();
  await page.getByLabel('Context').fill('1024');
  await page.getByLabel('Compute exactly').check();
  await page.keyboard.press('Escape');
  const expected = [
    ['owner/repo', 'hf:owner/repo'],
    ['hf:owner/repo/some.gguf', 'hf:owner/repo/some.gguf'],
    ['https://huggingface.co/owner/repo', 'hf:owner/repo'],
    ['https://example.org/a%20b.gguf?x=1', { url: 'https://example.org/a%20b.gguf?x=1', name: 'a b' }],
    [
      'https://huggingface.co/o/r/blob/main/m.gguf',
      { url: 'https://huggingface.co/o/r/resolve/main/m.gguf', name: 'm' },
    ],
  ];
  for (const [text] of expected) {
    await type(text);
    await page.locator('#progress').waitFor({ state: 'hidden' });
  }
  await page.locator('#model-file').setInputFiles({ name: 'mine.gguf', mimeType: '', buffer: Buffer.from('GGUF') });
  await page.locator('#model-name', { hasText: /^mine$/ }).waitFor();
  const loads = (await calls(page, 'load')).slice(1);
  assert.deepEqual(
    loads.map(([, source]) => source),
    [...expected.map(([, source]) => source), 'file mine.gguf'],
  );
  assert.deepEqual(loads[0][2], { context: 1024, precision: 'exact' });
  assert.equal((await calls(page, 'unload')).length, 6, 'one model at a time');
  await page.locator('#model').click();
  await page.getByRole('button', { name: 'Remove SmolLM2-135M-Instruct' }).click();
  await page.getByRole('button', { name: 'Remove', exact: true }).click();
  await page.getByRole('button', { name: 'Download, 98 MB: SmolLM2-135M-Instruct' }).waitFor();
  await page.getByRole('button', { name: 'Try how fast SmolLM2-135M-Instruct would be' }).click();
  await page.getByText('About 7.4 tokens a second on this GPU, and 199 MB of its memory.').waitFor();
  assert.equal(await page.getByRole('button', { name: 'Remove SmolLM2-135M-Instruct' }).count(), 0);
});

pageTest('drops load a model and import an export', {}, async (page) => {
  const drop = (name, text) =>
    page.evaluate(
      ([file, content]) => {
        const data = new DataTransfer();
        data.items.add(new File([content], file));
        document.body.dispatchEvent(new DragEvent('drop', { dataTransfer: data, bubbles: true, cancelable: true }));
      },
      [name, text],
    );
  await drop('dropped-00001-of-00001.gguf', 'GGUF');
  await page.locator('#model-name', { hasText: /^dropped$/ }).waitFor();
  await drop('notes.txt', 'x');
  await page.getByText('its name should end in .gguf').waitFor();
  await drop('broken.json', '{"format":"other"}');
  await page.getByText('This is not an export of Lantern.').waitFor();
});

pageTest(
  'errors of a load say what to do, and offer it',
  { mock: { load: 'does-not-fit' }, start: false },
  async (page) => {
    await page.getByRole('button', { name: 'Load SmolLM2-135M-Instruct' }).click();
    await page.getByText('The model does not fit on this GPU.').waitFor();
    await page.getByText('Choose a smaller model').waitFor();
    await set(page, { load: null });
    await page.getByRole('button', { name: 'Try again' }).click();
    await page.getByText('What shall we talk about?').waitFor();
  },
);

pageTest('a load that fails leaves the model that works, or brings it back', {}, async (page) => {
  const type = async (text) => {
    await page.locator('#model').click();
    await page.getByLabel('Address or Hugging Face name').fill(text);
    await page.keyboard.press('Enter');
  };
  const back = page.getByRole('button', { name: 'Back to SmolLM2-135M-Instruct' });
  await set(page, { inspect: 'not-found' });
  await type('owner/typo');
  await page.getByText('There is no such model.').waitFor();
  assert.equal((await calls(page, 'unload')).length, 0, 'the header comes first');
  await say(page, 'Still there?');
  assert.deepEqual(await texts(page), ['Still there?', 'It is blue.']);
  // With a conversation below it, too.
  await type('owner/typo');
  await back.click();
  await page.getByText('There is no such model.').waitFor({ state: 'hidden' });
  assert.equal((await calls(page, 'load')).length, 1);
  // One that fails later: the old model is loaded again.
  await set(page, { inspect: null, load: 'does-not-fit' });
  await type('owner/large');
  await page.getByText('The model does not fit on this GPU.').waitFor();
  await set(page, { load: null });
  await back.click();
  await page.locator('#model-name', { hasText: /^SmolLM2-135M-Instruct$/ }).waitFor();
  await say(page, 'Back?');
  assert.equal((await texts(page)).length, 4);
});

pageTest('a system prompt that the template refuses is told of, once', {}, async (page) => {
  await set(page, { full: { system_moved: true } });
  await say(page, 'First');
  await page.getByText('This model takes no system prompt: its text stands before your first message.').waitFor();
  await page.getByRole('button', { name: 'Dismiss' }).click();
  await say(page, 'Second');
  assert.equal(await page.locator('#notice button').count(), 0, 'said once');
});

pageTest('a full context drops the oldest turns, and offers a larger one', {}, async (page) => {
  await say(page, 'First');
  await set(page, { full: { left_out: 2 } });
  await say(page, 'Second');
  assert.equal((await calls(page, 'chat')).at(-1)[3], 'drop-oldest');
  await page.getByText('The context is full: the model goes on without the oldest 2 messages.').waitFor();
  assert.match(await page.locator('.stats').last().innerText(), /without the oldest 2 messages/);
  await page.getByRole('button', { name: 'Dismiss' }).click();
  await say(page, 'Third');
  assert.equal(await page.locator('#notice button').count(), 0, 'said once');
  await set(page, { full: { left_out: 4 } });
  await say(page, 'Fourth');
  await set(page, { full: null });
  await page.getByRole('button', { name: 'Reload with 4,096' }).click();
  await page.locator('#context-text', { hasText: 'of 4,096 tokens' }).waitFor();
  assert.equal((await calls(page, 'load')).at(-1)[2].context, 4096);
  // A single message that is too long: no "Try again" that cannot help.
  await set(page, { chat: 'context-full' });
  await page.locator('#prompt').fill('word '.repeat(4500));
  await page.keyboard.press('Enter');
  await page.getByText('This message is longer than the context.').waitFor();
  assert.equal(await page.getByRole('button', { name: 'Try again' }).count(), 0);
  await set(page, { chat: null });
  await page.getByRole('button', { name: 'Reload with 8,192' }).click();
  await page.locator('.stats').nth(4).waitFor();
  assert.equal((await calls(page, 'load')).at(-1)[2].context, 8192);
  // The setting is what it was loaded with, and at the model's end no button promises more.
  await set(page, { full: { finish: 'context-full' } });
  await say(page, 'Fifth');
  await page.getByText('The context is full, and the answer cut off.').waitFor();
  assert.equal(await page.getByRole('button', { name: /^Reload with/ }).count(), 0);
  await page.locator('#model').click();
  await page.getByText('How it is loaded').click();
  assert.equal(await page.getByLabel('Context').inputValue(), '8192');
});

pageTest('no notice ends in a value of the program', {}, async (page) => {
  for (const [text, options] of [
    ['Without a button.', {}],
    ['With one.', { action: { label: 'Undo' } }],
  ]) {
    await page.evaluate(async ([words, given]) => (await import('./dom.js')).notice(words, given), [text, options]);
    const shown = [text, options.action?.label, ''].filter((part) => part !== undefined);
    assert.equal((await page.locator('#notice').innerText()).replace(/\s+/g, ' ').trim(), shown.join(' ').trim());
  }
});

pageTest('sends, streams, stops, edits, answers again, and takes that back', {}, async (page) => {
  await say(page, 'What colour is the sky?\nIn one word.');
  assert.deepEqual(await texts(page), ['What colour is the sky?\nIn one word.', 'It is blue.']);
  assert.equal(await page.locator('.markdown strong').innerText(), 'blue');
  assert.match(await page.locator('.stats').innerText(), /23\.4 tokens\/s · first after 0\.81 s · 4 tokens/);
  assert.equal(await page.locator('#context-text').innerText(), '34 of 2,048 tokens');
  assert.equal(await page.locator('#spoken').innerText(), 'It is **blue**.');
  assert.equal(await page.title(), 'What colour is the sky? – Lantern');

  await set(page, { answer: 'word '.repeat(500), delay: 10 });
  await page.locator('#prompt').fill('Write at length.');
  await page.getByRole('button', { name: 'Send' }).click();
  await page.locator('.growing .markdown', { hasText: 'word word word' }).waitFor();
  await page.getByRole('button', { name: 'Stop' }).click();
  await page.locator('.stats', { hasText: 'stopped' }).waitFor();
  const [, , , stopped] = await texts(page);
  assert.ok(stopped.length > 10 && stopped.length < 2000, `${stopped.length} characters`);

  await set(page, { answer: 'Again.', delay: 1 });
  await page.getByRole('button', { name: 'Answer again' }).click();
  await page.locator('.message .body', { hasText: 'Again.' }).waitFor();
  await page.getByRole('button', { name: 'Undo' }).click();
  await page.locator('.stats', { hasText: 'stopped' }).waitFor();
  assert.equal((await texts(page))[3], stopped);

  await page.getByRole('button', { name: 'Edit' }).first().click();
  await page.getByLabel('Edit the message').fill('And the sea?');
  await page.keyboard.press('Enter');
  await page.locator('.stats').waitFor();
  assert.deepEqual(await texts(page), ['And the sea?', 'Again.']);
  assert.deepEqual((await calls(page, 'chat')).at(-1)[1], [{ role: 'user', content: 'And the sea?' }]);
});

pageTest('an answer that fails says why, and the device can be had back', {}, async (page) => {
  await set(page, { chat: 'device-lost' });
  await page.locator('#prompt').fill('Hello');
  await page.keyboard.press('Enter');
  await page.getByText('The GPU went away.').waitFor();
  await set(page, { chat: null });
  await page.getByRole('button', { name: 'Load the model again' }).click();
  await page.locator('.stats').waitFor();
  assert.deepEqual(await texts(page), ['Hello', 'It is blue.']);
  assert.equal((await calls(page, 'create')).length, 2);
  await page.evaluate(() => mock.notice('The device was changed.'));
  assert.equal(await page.locator('#notice[role=status] span').innerText(), 'The device was changed.');
});

pageTest(
  'renders markdown the same while it streams and at once, and copies code',
  { mock: { answer: RICH, piece: 3 } },
  async (page) => {
    await browser.context.grantPermissions(['clipboard-read', 'clipboard-write']);
    await say(page, 'Show me.');
    const streamed = await page.locator('.markdown').innerHTML();
    await page.reload();
    await page.locator('.stats').waitFor();
    assert.equal(await page.locator('.markdown').innerHTML(), streamed);
    assert.match(streamed, /<td align="right">2<\/td>/);
    assert.match(streamed, /<a [^>]*href="https:\/\/example.org\/"[^>]*>ref<\/a>/);
    assert.equal(await page.locator('figcaption span').innerText(), 'python');
    await page.locator('figcaption button').click();
    await page.getByText('Copied').first().waitFor();
    assert.equal((await page.evaluate(() => navigator.clipboard.readText())).trim(), 'print("hi")');
  },
);

pageTest(
  'shows thoughts apart from the answer, and keeps them',
  { mock: { thoughts: '2 < 3, **so**.', answer: 'Yes, **it is**.' } },
  async (page) => {
    await say(page, 'Well?');
    assert.equal(await page.locator('.thoughts summary').innerText(), 'Thoughts');
    assert.equal(await page.locator('.thoughts p').textContent(), '2 < 3, **so**.');
    assert.equal(await page.locator('.markdown').innerText(), 'Yes, it is.');
    assert.equal(await page.locator('#spoken').innerText(), 'Yes, **it is**.');
    await say(page, 'Sure?');
    const [, [, messages]] = await calls(page, 'chat');
    assert.deepEqual(messages[1], {
      role: 'assistant',
      content: 'Yes, **it is**.',
      reasoning_content: '2 < 3, **so**.',
    });
    await page.reload();
    await page.locator('.stats').nth(1).waitFor();
    assert.equal(await page.locator('.thoughts').count(), 2);
  },
);

pageTest('settings reach chat(), are bounded, outlive a reload, and are reset', {}, async (page) => {
  await page.getByRole('button', { name: 'Settings' }).click();
  const fields = {
    Temperature: '9',
    'Top p': '0.5',
    'Top k': '7',
    'Min p': '0.1',
    'Repeat penalty': '1.1',
    'Longest answer': '99',
    Seed: '42',
  };
  for (const [label, value] of Object.entries(fields)) await page.getByLabel(label, { exact: true }).fill(value);
  await page.getByLabel('System prompt').fill('Be brief.');
  await page.keyboard.press('Tab');
  assert.equal(await page.getByLabel('Temperature').inputValue(), '2');
  await shot(page, 'light-settings');
  await page.keyboard.press('Escape');
  await page.reload();
  await page.getByText('What shall we talk about?').waitFor();
  await say(page, 'Hello');
  const chosen = { temperature: 2, top_p: 0.5, top_k: 7, min_p: 0.1, repeat_penalty: 1.1, max_tokens: 99, seed: 42 };
  const [[, messages, options]] = await calls(page, 'chat');
  assert.deepEqual(options, chosen);
  assert.deepEqual(messages, [
    { role: 'system', content: 'Be brief.' },
    { role: 'user', content: 'Hello' },
  ]);
  await page.getByRole('button', { name: 'Settings' }).click();
  await page.getByRole('button', { name: 'Reset' }).click();
  await page.keyboard.press('Escape');
  await say(page, 'Again');
  const [, [, again, defaults]] = await calls(page, 'chat');
  assert.deepEqual(defaults, {}); // as the model's file advises
  assert.equal(again[0].role, 'user');
});

pageTest('keeps conversations: reload, rename, delete and undo', {}, async (page) => {
  await say(page, 'First conversation');
  await page.getByRole('button', { name: 'New conversation' }).click();
  await say(page, 'Second conversation');
  const titles = () => page.locator('#conversations .open').allInnerTexts();
  assert.deepEqual(await titles(), ['Second conversation', 'First conversation']);
  await page.reload();
  await page.locator('.stats').waitFor();
  assert.deepEqual(await texts(page), ['Second conversation', 'It is blue.']);
  await page.locator('#conversations li', { hasText: 'First' }).hover();
  await page.getByRole('button', { name: 'Rename “First conversation”' }).click();
  await page.getByLabel('Title').fill('Renamed');
  await page.keyboard.press('Enter');
  await page.getByRole('button', { name: 'Delete “Second conversation”' }).focus();
  await page.keyboard.press('Enter');
  await page.getByText('“Second conversation” was deleted.').waitFor();
  assert.deepEqual(await titles(), ['Renamed']);
  await page.getByRole('button', { name: 'Undo' }).click();
  // It is in the list once it is stored.
  await page.locator('#conversations li').nth(1).waitFor();
  await page.locator('.message').first().waitFor();
  await page.reload();
  await page.locator('#conversations li').nth(1).waitFor();
  assert.deepEqual(await titles(), ['Second conversation', 'Renamed']);
});

pageTest('exports and imports the same conversations, once', {}, async (page) => {
  await say(page, 'Keep me');
  const save = async () => {
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('button', { name: 'Export all' }).click(),
    ]);
    return JSON.parse(await readFile(await download.path(), 'utf8'));
  };
  const first = await save();
  assert.deepEqual(
    first.conversations[0].messages.map(({ content }) => content),
    ['Keep me', 'It is **blue**.'],
  );
  const file = join(folder, 'export.json');
  await writeFile(file, JSON.stringify(first));
  await page.locator('#import-file').setInputFiles(file);
  await page.getByText('here already').waitFor();
  await page.getByRole('button', { name: 'Delete “Keep me”' }).focus();
  await page.keyboard.press('Enter');
  await page.getByText('was deleted').waitFor();
  await page.locator('#import-file').setInputFiles(file);
  await page.getByText('1 conversation was imported.').waitFor();
  assert.deepEqual(await save(), first);
});

pageTest('two tabs show the same conversations', {}, async (page, server) => {
  const other = await browser.context.newPage();
  await other.goto(`${server.url}/`);
  await other.getByText('Mock Adapter').waitFor();
  await say(page, 'Seen elsewhere');
  await other.locator('#conversations', { hasText: 'Seen elsewhere' }).waitFor();
  await other.close();
});
