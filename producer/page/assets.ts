/**
 * The files of the page, in memory: `browser/` below `/page/`, and the libraries below `/lib/`. There is no build step: the types are
 * stripped from the TypeScript once, when the producer starts, and the browser loads the files as modules. Every other path gets
 * `index.html`, so that the address of a view can be opened.
 */
import { createHash } from 'node:crypto';
import { readFile, readdir } from 'node:fs/promises';
import { stripTypeScriptTypes } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync, constants } from 'node:zlib';

import type { Http } from '../../shared/runtime/http.ts';

const BROWSER = fileURLToPath(new URL('browser/', import.meta.url));
const PACKAGES = fileURLToPath(new URL('../../node_modules/', import.meta.url));

/** Below `/lib/`: the addresses that the import map of `index.html` names. */
const LIBRARIES: Readonly<Record<string, string>> = {
  'preact/preact.mjs': 'preact/dist/preact.mjs',
  'preact/hooks.mjs': 'preact/hooks/dist/hooks.mjs',
  'signals-core/signals-core.mjs': '@preact/signals-core/dist/signals-core.mjs',
  'signals/signals.mjs': '@preact/signals/dist/signals.mjs',
  'htm/htm.mjs': 'htm/dist/htm.mjs',
  'uplot/uPlot.esm.js': 'uplot/dist/uPlot.esm.js',
  'uplot/uPlot.min.css': 'uplot/dist/uPlot.min.css',
};

/** Of 11. The best takes ten times as long, for a tenth less. */
const BROTLI_QUALITY = 6;

const CONTENT_TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.ts': 'text/javascript; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
};

interface Asset {
  readonly body: Buffer;
  readonly brotli: Buffer;
  readonly contentType: string;
  readonly hash: string;
}

export interface Assets {
  /** By path. */
  readonly files: ReadonlyMap<string, Asset>;
  readonly index: Asset;
  /** Of the inline scripts of `index.html`, as sources of a content security policy. */
  readonly scriptHashes: readonly string[];
}

/** Throws if a file is missing or is not TypeScript whose types can be stripped. */
export async function readAssets(): Promise<Assets> {
  const files = new Map<string, Asset>();
  for (const entry of await readdir(BROWSER, { recursive: true, withFileTypes: true })) {
    const file = path.join(entry.parentPath, entry.name);
    if (!entry.isFile() || CONTENT_TYPES[path.extname(file)] === undefined || file.endsWith('.d.ts'))
      continue;
    const name = path.relative(BROWSER, file).split(path.sep).join('/');
    files.set(`/page/${name}`, await readAsset(file));
  }
  for (const [name, file] of Object.entries(LIBRARIES))
    files.set(`/lib/${name}`, await readAsset(path.join(PACKAGES, file)));
  const index = files.get('/page/index.html');
  if (index === undefined) throw new Error('producer/page/browser/index.html is missing');
  return { files, index, scriptHashes: inlineScriptHashes(index.body.toString('utf8')) };
}

async function readAsset(file: string): Promise<Asset> {
  const extension = path.extname(file);
  const content = await readFile(file);
  const body = extension === '.ts' ? Buffer.from(stripTypeScriptTypes(String(content))) : content;
  return {
    body,
    brotli: brotliCompressSync(body, { params: { [constants.BROTLI_PARAM_QUALITY]: BROTLI_QUALITY } }),
    contentType: CONTENT_TYPES[extension] ?? 'application/octet-stream',
    hash: createHash('sha256').update(body).digest('base64url'),
  };
}

function inlineScriptHashes(html: string): string[] {
  return [...html.matchAll(/<script(?![^>]*\bsrc=)[^>]*>([^]*?)<\/script>/g)].map(
    ([, script = '']) => `'sha256-${createHash('sha256').update(script).digest('base64')}'`,
  );
}

/** Browsers ask each time whether a file has changed: the page and its server then never come from different releases. */
export function assetRoutes(http: Http, { files, index }: Assets): void {
  http.get('/*', { config: { access: 'anyone' } }, (request, reply) => {
    const name = request.url.replace(/[?#].*$/s, '');
    const isFile = name.startsWith('/page/') || name.startsWith('/lib/') || name.startsWith('/api/');
    const asset = isFile ? files.get(name) : index;
    if (asset === undefined) return reply.callNotFound();
    const isSmall = /\bbr\b/.test(request.headers['accept-encoding'] ?? '');
    const etag = `"${asset.hash}${isSmall ? '-br' : ''}"`;
    void reply.header('etag', etag).header('cache-control', 'no-cache').header('vary', 'accept-encoding');
    if (request.headers['if-none-match'] === etag) return reply.code(304).send();
    void reply.type(asset.contentType);
    return isSmall ? reply.header('content-encoding', 'br').send(asset.brotli) : reply.send(asset.body);
  });
}
