/** Decoding pieces of a source with the real ffmpeg: right frames, bounded memory, no process left, and no trust in the bytes. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';

import { describe, expect, test } from 'vitest';

import { rgbFromPiece } from '../../../shared/media/colour.ts';
import { FramePool } from '../../../worker/engine/frame-pool.ts';
import { type PieceRun, PieceMismatchError, decodePiece } from '../../../worker/engine/piece-decoder.ts';
import { H264, picture } from '../../support/media-clips.ts';
import { pieceFormatOf, useMediaFolder } from '../../support/media-round-trip.ts';

const { clip } = useMediaFolder();
const FRAMES = 30;
const BUFFERS = 3;

interface Piece extends Pick<PieceRun, 'bytes' | 'format'> {
  readonly path: string;
}

async function makePiece(name: string, size: string): Promise<Piece> {
  const source = await clip(`${name}.mp4`, [...picture({ size, seconds: FRAMES / 25 }), ...H264, '-bf', '2']);
  const path = await clip(`${name}.nut`, ['-i', source, '-c', 'copy']);
  return { path, bytes: await readFile(path), format: await pieceFormatOf(source) };
}

function decode(piece: Piece, changes: Partial<PieceRun> = {}) {
  const { width, height } = piece.format;
  const pool = new FramePool({ buffers: BUFFERS, bytesPerBuffer: width * height * 3 });
  const run = { ...piece, skip: 0, count: FRAMES, signal: new AbortController().signal, ...changes };
  const hashes = async (): Promise<string[]> => {
    const found: string[] = [];
    for await (const frame of decodePiece(run, pool)) {
      found.push(createHash('md5').update(frame).digest('hex'));
      pool.giveBack(frame);
    }
    return found;
  };
  return { pool, run, hashes };
}

/** What ffmpeg itself makes of the piece. */
async function expectedHashes({ path, format }: Piece): Promise<string[]> {
  const args = [
    '-v',
    'error',
    '-i',
    path,
    '-vf',
    rgbFromPiece(format),
    '-pix_fmt',
    'rgb24',
    '-f',
    'framemd5',
    '-',
  ];
  const { stdout } = await promisify(execFile)('ffmpeg', args);
  const lines = stdout.split('\n').filter((line) => line.startsWith('0,'));
  return lines.map((line) => line.split(',').at(-1)?.trim() ?? '');
}

/** Waits until every buffer of the pool is free. Returns how many there are. */
async function freeBuffers(pool: FramePool): Promise<number> {
  const buffers = await Promise.all(Array.from({ length: BUFFERS }, () => pool.take()));
  return new Set(buffers).size;
}

describe('a piece', () => {
  test.each([
    ['of frames larger than a pipe', '320x180'],
    ['of frames of which several fit into a pipe', '64x48'],
  ])('%s gives each of its frames once, in order', async (_name, size) => {
    const piece = await makePiece(`whole-${size}`, size);
    const { hashes, pool } = decode(piece);
    const found = await hashes();
    expect(found).toEqual(await expectedHashes(piece));
    expect(new Set(found).size).toBe(FRAMES);
    expect(await freeBuffers(pool)).toBe(BUFFERS);
  });

  test('gives a run of frames from its middle', async () => {
    const piece = await makePiece('middle', '64x48');
    const all = await expectedHashes(piece);
    expect(await decode(piece, { skip: 11, count: 7 }).hashes()).toEqual(all.slice(11, 18));
  });

  test('with fewer frames than planned is a mismatch', async () => {
    const piece = await makePiece('short', '64x48');
    const { hashes, pool } = decode(piece, { count: FRAMES + 1 });
    await expect(hashes()).rejects.toThrow(
      new PieceMismatchError(`expected ${FRAMES + 1} frames, decoded ${FRAMES}`),
    );
    expect(await freeBuffers(pool)).toBe(BUFFERS);
  });

  test('with damaged frames is a mismatch', async () => {
    const piece = await makePiece('damaged', '64x48');
    const bytes = Buffer.from(piece.bytes);
    bytes.fill(0x5a, Math.floor(bytes.length / 2), Math.floor(bytes.length / 2) + 400);
    await expect(decode({ ...piece, bytes }).hashes()).rejects.toThrow(PieceMismatchError);
  });

  test.each([
    ['text', Buffer.from('This is not a video.\n'.repeat(50))],
    ['a playlist of other files', Buffer.from('#EXTM3U\n#EXTINF:1,\nfile:///etc/hostname\n')],
    ['nothing', Buffer.alloc(0)],
  ])('that is %s is rejected, without a frame', async (_name, bytes) => {
    const piece = await makePiece('other', '64x48');
    await expect(decode({ ...piece, bytes }).hashes()).rejects.toMatchObject({ code: 'MEDIA_TOOL_FAILED' });
  });

  test('in another codec than planned is not decoded', async () => {
    const source = await clip('other-codec.mp4', [...picture({}), ...H264]);
    const path = await clip('other-codec.nut', ['-i', source, '-c:v', 'mpeg4']);
    const piece = { path, bytes: await readFile(path), format: await pieceFormatOf(source) };
    await expect(decode(piece).hashes()).rejects.toMatchObject({ code: 'MEDIA_TOOL_FAILED' });
  });

  test('is left early: no buffer is lost, and ffmpeg ends', async () => {
    const piece = await makePiece('early', '320x180');
    const { run, pool } = decode(piece);
    for await (const frame of decodePiece(run, pool)) {
      pool.giveBack(frame);
      break;
    }
    expect(await freeBuffers(pool)).toBe(BUFFERS);
  });

  test('is aborted: the reason is thrown, and ffmpeg ends', async () => {
    const piece = await makePiece('aborted', '320x180');
    const stop = new AbortController();
    const { run, pool } = decode(piece, { signal: stop.signal });
    const consume = async (): Promise<void> => {
      for await (const frame of decodePiece(run, pool)) {
        pool.giveBack(frame);
        stop.abort(new Error('enough'));
      }
    };
    await expect(consume()).rejects.toThrow('enough');
    expect(await freeBuffers(pool)).toBe(BUFFERS);
  });
});
