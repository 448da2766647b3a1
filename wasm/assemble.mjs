// Puts the chat page together into one folder that any static server can serve: `node wasm/assemble.mjs [OUT]`, and
// with `--package` what npm wants beside the built package. Copies only: the package must have been built before, which `cargo web` does.

import { createHash } from 'node:crypto';
import { cp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const root = dirname(here);
const modules = join(here, 'node_modules');

/** The page's libraries, as modules that browsers load, with their licences. */
const VENDOR = [
  ['marked/lib/marked.esm.js', 'marked.js', 'marked/LICENSE'],
  ['dompurify/dist/purify.es.mjs', 'purify.js', 'dompurify/LICENSE'],
];
/** Not precached: the list names the others, the worker is the browser's to keep, and deployments change the models. */
const NOT_LISTED = ['files.json', 'sw.js', 'models.json'];

function need(path, command) {
  if (existsSync(path)) return path;
  throw new Error(`${relative(process.cwd(), path) || path} is missing; run: ${command}`);
}

/** All files below a folder, as sorted paths with slashes. */
async function walk(folder) {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  return files
    .map((entry) =>
      relative(folder, join(entry.parentPath ?? entry.path, entry.name))
        .split(sep)
        .join('/'),
    )
    .sort();
}

async function copyVendor(out) {
  const licences = [];
  for (const [from, to, licence] of VENDOR) {
    const text = await readFile(need(join(modules, from), 'npm ci --prefix wasm'), 'utf8');
    // The maps are not shipped, and browsers complain of maps that they do not find.
    await writeFile(join(out, 'vendor', to), text.replace(/^\/\/# sourceMappingURL=.*$/m, ''));
    licences.push(`${from.split('/')[0]}\n\n${await readFile(join(modules, licence), 'utf8')}`);
  }
  await writeFile(join(out, 'vendor', 'LICENSES.txt'), licences.join(`\n${'-'.repeat(80)}\n\n`));
}

/** Assembles the page in `out`, with the engine's package from `pkg`. Returns what files.json says. */
export async function assemble({ out = join(root, 'target/web/page'), pkg = join(root, 'target/web/package') } = {}) {
  need(join(pkg, 'index.js'), 'cargo web');
  for (const [from] of VENDOR) need(join(modules, from), 'npm ci --prefix wasm');
  // A folder that is not ours is not emptied.
  if (existsSync(out) && (await readdir(out)).length && !existsSync(join(out, 'files.json'))) {
    throw new Error(`${out} has files in it, and was not made by this program; name another folder`);
  }
  await rm(out, { recursive: true, force: true });
  await mkdir(join(out, 'vendor'), { recursive: true });
  // First of all, so that a folder left half done is known as ours.
  await writeFile(join(out, 'files.json'), '{}\n');
  await cp(join(here, 'web'), out, { recursive: true });
  await copyVendor(out);
  await cp(pkg, join(out, 'lantern'), {
    recursive: true,
    filter: (path) => !/\.d\.ts$|node_modules|package\.json$/.test(path),
  });
  return list(out);
}

/** Puts beside the built package what npm publishes with it: its description, its README, the licences. */
export async function assemblePackage({ pkg = join(root, 'target/web/package') } = {}) {
  need(join(pkg, 'index.js'), 'cargo web');
  const description = JSON.parse(await readFile(join(here, 'package.json'), 'utf8'));
  for (const name of ['devDependencies', 'scripts', '//']) delete description[name];
  await writeFile(join(pkg, 'package.json'), `${JSON.stringify(description, null, 2)}\n`);
  await cp(join(here, 'README.md'), join(pkg, 'README.md'));
  for (const licence of ['LICENSE-MIT', 'LICENSE-APACHE']) await cp(join(root, licence), join(pkg, licence));
}

/** Writes files.json, and its version into the service worker. */
async function list(out) {
  const files = (await walk(out)).filter((file) => !NOT_LISTED.includes(file));
  const hash = createHash('sha256');
  for (const file of [...files, 'sw.js']) hash.update(`${file}\0`).update(await readFile(join(out, file)));
  const version = hash.digest('hex').slice(0, 16);
  const worker = await readFile(join(out, 'sw.js'), 'utf8');
  if (!worker.includes("'unassembled'")) throw new Error('sw.js has no place for its version');
  await writeFile(join(out, 'sw.js'), worker.replace("'unassembled'", `'${version}'`));
  await writeFile(join(out, 'files.json'), `${JSON.stringify({ version, files }, null, 2)}\n`);
  return { version, files };
}

if (process.argv[1] && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  try {
    if (process.argv[2] === '--package') {
      await assemblePackage();
      process.exit();
    }
    const out = process.argv[2] ? resolve(process.argv[2]) : undefined;
    const { version, files } = await assemble({ out });
    console.log(`${out ?? join(root, 'target/web/page')}: ${files.length} files, version ${version}`);
  } catch (error) {
    console.error(`assemble: ${error.message}`);
    process.exitCode = 1;
  }
}
