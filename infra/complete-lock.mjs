/**
 * Completes package-lock.json for other platforms. `npm run lock` runs it after npm.
 *
 * npm omits an optional package from the lock file if the registry does not have it (a mirror may hold only the Linux builds), and
 * `npm ci` then rejects the lock file on every platform. This script adds each missing package with the version that its parent
 * requires and the platform in its name. Only that platform ever downloads it. It has no checksum, because computing one requires
 * the package.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const LOCK = fileURLToPath(new URL('../package-lock.json', import.meta.url));
const SYSTEMS = new Set([
  'linux',
  'darwin',
  'win32',
  'android',
  'freebsd',
  'openharmony',
  'openbsd',
  'netbsd',
  'sunos',
  'aix',
]);
const PROCESSORS = new Set([
  'x64',
  'arm64',
  'arm',
  'ia32',
  'ppc64',
  'riscv64',
  's390x',
  'loong64',
  'mips64el',
  'wasm32',
]);

const lock = JSON.parse(readFileSync(LOCK, 'utf8'));
let added = 0;
for (const [place, { optionalDependencies = {} }] of Object.entries(lock.packages)) {
  if (place === '') continue;
  for (const [name, version] of Object.entries(optionalDependencies)) {
    const own = `node_modules/${name}`;
    const platform = platformOf(name);
    if (
      platform === undefined ||
      lock.packages[own] !== undefined ||
      lock.packages[`${place}/${own}`] !== undefined
    )
      continue;
    lock.packages[own] = { version, ...platform, optional: true, ...developmentOf(place) };
    added += 1;
  }
}
const [root, ...rest] = Object.entries(lock.packages);
lock.packages = Object.fromEntries([root, ...rest.toSorted(([a], [b]) => a.localeCompare(b, 'en'))]);
writeFileSync(LOCK, `${JSON.stringify(lock, undefined, 2)}\n`);
process.stdout.write(`Added ${added} packages of other platforms to package-lock.json.\n`);

/** The platform in a name such as `@oxlint/binding-linux-x64-musl` or `…-linux-arm-gnueabihf`. */
function platformOf(name) {
  const words = name.split(/[/-]/);
  const os = words.find((word) => SYSTEMS.has(word));
  const cpu = words.find((word) => PROCESSORS.has(word));
  if (os === undefined || cpu === undefined) return undefined;
  const isMusl = words.some((word) => word.startsWith('musl'));
  const isGlibc = words.some((word) => word.startsWith('gnu'));
  const libc = isMusl ? { libc: ['musl'] } : isGlibc && os === 'linux' ? { libc: ['glibc'] } : {};
  return { cpu: [cpu], ...libc, os: [os] };
}

function developmentOf(place) {
  return lock.packages[place].dev === true ? { dev: true } : {};
}
