// Runs one round of one engine, here or in the folder with Debian sid, with processes of its own that all end with it.

import { execFileSync, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { commandOf } from './cells.mjs';
import { rowsOf } from './workload.mjs';

export const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
export const LANTERN = `${ROOT}target/release/lantern`;
export const SWIFTSHADER = '/usr/lib/chromium/vk_swiftshader_icd.json';
const SID = process.env.LANTERN_SID ?? `${ROOT}target/lab/sid`;

/** The model, as everything but ONNX Runtime reads it, and for that. */
export const FILES = {
  gguf: execFileSync(LANTERN, ['fetch', '--quiet'], { encoding: 'utf8' }).trim(),
  onnx: `${ROOT}target/peers/model.onnx`,
};

/** As `cargo verify --lab` starts programs in the folder. */
const INSIDE = readFileSync(`${ROOT}tests/lab/inside.sh`, 'utf8');
const OUTSIDE = 'mount -t proc proc /proc; exec "$@"';
const ISOLATED = ['--mount', '--pid', '--fork', '--kill-child', '--propagation', 'private', '--', 'sh', '-c'];

/** The version of a package that npm installed. */
export function versionOf(folder, name) {
  return JSON.parse(readFileSync(`${ROOT}${folder}/node_modules/${name}/package.json`, 'utf8')).version;
}

/** The version of a Debian package in the folder. */
export function versionInSid(name) {
  if (!existsSync(SID)) throw new Error(`${SID} is missing: cargo verify --lab firefox`);
  const args = [SID, 'dpkg-query', '-W', '-f', '${Version}', name];
  return execFileSync('chroot', args, { encoding: 'utf8' });
}

/** What a round measured, or `refused`: why it did not. */
export async function runOnce(cell, depth, limit) {
  const { inside, env, words } = commandOf(cell, depth, FILES.gguf);
  const shell = inside ? [INSIDE, 'sh', SID, ROOT.replace(/\/$/, ''), dirname(FILES.gguf), '--'] : [OUTSIDE, 'sh'];
  const { code, signal, stdout, stderr, late } = await ended([...ISOLATED, ...shell, ...words], env, limit);
  if (late) return { refused: `ended after ${limit} s, its limit` };
  const last = stdout.trim().split('\n').at(-1);
  try {
    const result = JSON.parse(last);
    return 'schema' in result ? ofBench(result) : result;
  } catch {
    const said = stderr.trim().split('\n').slice(-3).join(' / ').slice(0, 400);
    return { refused: `${signal ?? `exit code ${code}`}${said && `: ${said}`}` };
  }
}

function ofBench(report) {
  return {
    rows: rowsOf(report),
    adapter: report.adapter.name,
    computed: 'GPU',
    evidence: `${Math.round(report.counters.dispatches_per_token)} dispatches a token`,
  };
}

function ended(args, env, limit) {
  const child = spawn('unshare', args, {
    cwd: `${ROOT}tests/lab/peers`,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
      HOME: '/root',
      LANG: 'C.UTF-8',
      NO_COLOR: '1',
      XDG_RUNTIME_DIR: '/tmp',
      LANTERN_TUNING: 'off',
      GGML_VK_VISIBLE_DEVICES: '0', // llama.cpp passes over GPUs that a CPU plays, unless they are named
      ORT_DISABLE_TELEMETRY: '1',
      PEERS_GGUF: FILES.gguf,
      PEERS_ONNX: FILES.onnx,
      ...env,
    },
  });
  const interrupted = () => {
    child.kill('SIGKILL');
    process.exit(130);
  };
  for (const name of ['SIGINT', 'SIGTERM']) process.once(name, interrupted);
  const output = { stdout: '', stderr: '', late: false };
  for (const name of ['stdout', 'stderr']) child[name].setEncoding('utf8').on('data', (text) => (output[name] += text));
  const timer = setTimeout(() => {
    output.late = true;
    child.kill('SIGKILL');
  }, limit * 1000);
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      for (const name of ['SIGINT', 'SIGTERM']) process.off(name, interrupted);
      resolve({ code, signal, ...output });
    });
  });
}
