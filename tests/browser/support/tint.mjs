// Compiles WGSL with Tint: reads [[label, text], …] as JSON, prints how many there were, or what is wrong with them.

import { text } from 'node:stream/consumers';
import './dawn.mjs';

const shaders = JSON.parse(await text(process.stdin));
const adapter = await navigator.gpu.requestAdapter();
// Without f16 on this adapter, its shaders are checked by naga alone.
const requiredFeatures = ['subgroups', 'shader-f16'].filter((feature) => adapter.features.has(feature));
const device = await adapter.requestDevice({ requiredFeatures });
const problems = [];
for (const [label, code] of shaders) {
  if (/^enable f16;/m.test(code) && !requiredFeatures.includes('shader-f16')) continue;
  device.pushErrorScope('validation');
  device.createShaderModule({ label, code });
  const error = await device.popErrorScope();
  if (error) problems.push(`${label}: ${error.message}`);
}
console.log(problems.length > 0 ? problems.join('\n') : `${shaders.length} shaders`);
process.exitCode = problems.length > 0 ? 1 : 0;
