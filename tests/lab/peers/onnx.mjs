// ONNX Runtime with a file that `onnx_model.py` made, as transformers.js runs one: the cache stays on the GPU as what
// the pass before wrote, logits come back. Runs in Node, Deno and browsers.

const LAYERS = 30;
const HEADS = 3;
const HEAD_DIM = 64;
const PARTS = Array.from({ length: LAYERS }, (_, layer) => [`${layer}.key`, `${layer}.value`]).flat();

/** An engine for `measure`. `ort` is the package, `provider` webgpu, or cpu or wasm for what has no GPU. */
export async function onnx(ort, model, provider) {
  const onGpu = provider === 'webgpu';
  const session = await ort.InferenceSession.create(model, {
    executionProviders: [provider],
    intraOpNumThreads: 2,
    // An operator that the GPU has no kernel for is an error, and not computed on the CPU.
    extra: { session: { disable_cpu_ep_fallback: onGpu ? '1' : '0' } },
    preferredOutputLocation: onGpu
      ? Object.fromEntries(PARTS.map((part) => [`present.${part}`, 'gpu-buffer']))
      : undefined,
  });
  const nothing = () => new ort.Tensor('float32', new Float32Array(0), [1, HEADS, 0, HEAD_DIM]);
  let state = { length: 0, cache: Object.fromEntries(PARTS.map((part) => [part, nothing()])) };
  let kept = state;
  const release = (old) => {
    if (old !== state && old !== kept) for (const tensor of Object.values(old.cache)) tensor.dispose();
  };

  async function feed(tokens) {
    const length = state.length + tokens.length;
    const results = await session.run({
      input_ids: new ort.Tensor('int64', BigInt64Array.from(tokens, BigInt), [1, tokens.length]),
      seqlens_k: new ort.Tensor('int32', Int32Array.of(length - 1), [1]),
      total_sequence_length: new ort.Tensor('int32', Int32Array.of(length), []),
      ...Object.fromEntries(PARTS.map((part) => [`past_key_values.${part}`, state.cache[part]])),
    });
    const before = state;
    state = { length, cache: Object.fromEntries(PARTS.map((part) => [part, results[`present.${part}`]])) };
    release(before);
    return likeliest(results.logits.data);
  }

  return {
    feed,
    position: () => {
      const before = kept;
      kept = state;
      release(before);
      return state;
    },
    rewind: (position) => {
      const before = state;
      state = position;
      release(before);
    },
  };
}

function likeliest(logits) {
  let best = 0;
  for (let index = 1; index < logits.length; index += 1) if (logits[index] > logits[best]) best = index;
  return best;
}
