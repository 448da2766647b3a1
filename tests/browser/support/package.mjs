// Builds the TypeScript of the package into target/web/package, for tests. The wasm beside it is built elsewhere: files
// that need it may fail to compile where it is missing, and only those are forgiven.

import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
export const PACKAGE = join(ROOT, 'target/web/package');

/** Compiles; throws what tsc says about files whose name matches `needed`. */
export function compile(needed) {
  const tsc = join(ROOT, 'wasm/node_modules/typescript/bin/tsc');
  if (!existsSync(tsc)) throw new Error('typescript is missing; run: npm --prefix wasm ci');
  mkdirSync(PACKAGE, { recursive: true });
  const fresh = mkdtempSync(join(ROOT, 'target/web/compiled-'));
  try {
    const args = [tsc, '-p', join(ROOT, 'wasm'), '--outDir', fresh, '--noEmitOnError', 'false', '--pretty', 'false'];
    const run = spawnSync(process.execPath, args, { encoding: 'utf8', cwd: join(ROOT, 'wasm') });
    if (run.error) throw run.error;
    const problems = run.stdout.split('\n').filter((line) => needed.test(line));
    if (problems.length > 0) throw new Error(problems.join('\n'));
    replaceChanged(fresh, PACKAGE);
  } finally {
    rmSync(fresh, { recursive: true });
  }
}

/** Puts the files of `from` into `to`, each at once and only where it differs: other tests may be using them. */
function replaceChanged(from, to) {
  for (const entry of readdirSync(from, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const source = join(entry.parentPath ?? entry.path, entry.name);
    const target = join(to, source.slice(from.length));
    if (existsSync(target) && readFileSync(target).equals(readFileSync(source))) continue;
    mkdirSync(dirname(target), { recursive: true });
    const beside = `${target}.${process.pid}`;
    cpSync(source, beside);
    renameSync(beside, target);
  }
}
