// The npm packages `openai` and `ai` (with `@ai-sdk/openai-compatible`) against `lantern serve`:
// `node with_node.mjs http://127.0.0.1:8080`.

import assert from 'node:assert/strict';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { embed, generateText, Output, stepCountIs, streamText, tool } from 'ai';
import OpenAI from 'openai';
import { z } from 'zod';

const baseURL = `${process.argv[2]}/v1`;
const question = 'What is the capital of France?';
const city = z.object({ city: z.enum(['Paris', 'Rome']) });

async function openai() {
  const client = new OpenAI({ baseURL, apiKey: 'none', maxRetries: 0 });
  const ask = { model: 'any', messages: [{ role: 'user', content: question }], temperature: 0, max_tokens: 12 };
  const whole = await client.chat.completions.create(ask);
  assert.match(whole.choices[0].message.content, /Paris/);
  let text = '';
  for await (const piece of await client.chat.completions.create({ ...ask, stream: true })) {
    text += piece.choices[0]?.delta.content ?? '';
  }
  assert.equal(text, whole.choices[0].message.content);
  const response = await client.responses.create({ model: 'any', input: question, temperature: 0 });
  assert.match(response.output_text, /Paris/);
  const vectors = await client.embeddings.create({ model: 'any', input: ['The sky is blue.'] });
  assert.ok(vectors.data[0].embedding.length > 100);
}

async function vercel() {
  const provider = createOpenAICompatible({ name: 'lantern', baseURL, supportsStructuredOutputs: true });
  const model = provider('any');
  const whole = await generateText({ model, prompt: question, temperature: 0, maxOutputTokens: 12 });
  assert.match(whole.text, /Paris/);
  const stream = streamText({ model, prompt: question, temperature: 0, maxOutputTokens: 12 });
  let text = '';
  for await (const piece of stream.textStream) text += piece;
  assert.equal(text, whole.text);
  const form = { model, prompt: question, temperature: 0, output: Output.object({ schema: city }) };
  assert.ok(city.safeParse((await generateText(form)).output).success);
  const weather = tool({ description: 'The weather in a city.', inputSchema: city, execute: async () => 'sunny' });
  const asked = { model, prompt: 'How is the weather in Paris?', temperature: 0, maxOutputTokens: 80 };
  const providerOptions = { lantern: { parallel_tool_calls: false } };
  // One step must call the tool, the next must not.
  const prepareStep = ({ stepNumber }) => ({ toolChoice: stepNumber === 0 ? 'required' : 'none' });
  const loop = await generateText({
    ...asked,
    tools: { weather },
    stopWhen: stepCountIs(2),
    prepareStep,
    providerOptions,
  });
  assert.equal(loop.steps[0].toolResults[0].output, 'sunny');
  assert.equal(loop.steps.length, 2);
  const vector = await embed({ model: provider.embeddingModel('any'), value: 'The sky is blue.' });
  assert.ok(vector.embedding.length > 100);
}

for (const check of [openai, vercel]) {
  await check();
  console.log(JSON.stringify({ node: process.version, passed: check.name }));
}
