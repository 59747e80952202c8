/** Decoding pieces of a source with the real ffmpeg: right frames, bounded memory, no process left, and no trust in the bytes. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';

import { describe, expect, test } from 'vitest';

import { rgbFromPiece } from '../../../shared/media/colour.ts';
import { FramePool } from '../../../worker/engine/frame-pool.ts';
import { PieceDecoder, PieceMismatchError, type PieceRun } from '../../../worker/engine/piece-decoder.ts';
import { H264, picture } from '../../support/media-clips.ts';
import { pieceFormatOf, useMediaFolder } from '../../support/media-round-trip.ts';
import { processesOf } from '../../support/processes.ts';

const { clip } = useMediaFolder();
const FRAMES = 30;
const BUFFERS = 3;
/** Of a pipe on Linux. */
const PIPE_BYTES = 65_536;
/** In errors. */
const NAME = 'job-1/1/00000000.nut';

interface Piece extends Pick<PieceRun, 'bytes' | 'format'> {
  readonly path: string;
}

async function makePiece(name: string, size: string, encode = H264): Promise<Piece> {
  const source = await clip(`${name}.mp4`, [...picture({ size, seconds: FRAMES / 25 }), ...encode]);
  const path = await clip(`${name}.nut`, ['-i', source, '-c', 'copy']);
  return { path, bytes: await readFile(path), format: await pieceFormatOf(source) };
}

/** Decodes a piece to its end. `onFrame` is called with each frame. */
function decode(piece: Piece, changes: Partial<PieceRun> = {}, onFrame: () => unknown = () => undefined) {
  const { width, height } = piece.format;
  const pool = new FramePool({ buffers: BUFFERS, bytesPerBuffer: width * height * 3 });
  const { signal } = new AbortController();
  const whole = { name: NAME, skip: 0, count: FRAMES, isToEnd: true, stalledMs: 300_000, signal };
  const run = { ...piece, ...whole, ...changes };
  const hashes = async (): Promise<string[]> => {
    const found: string[] = [];
    await using decoder = await PieceDecoder.start(run, pool);
    for await (const frame of decoder.frames()) {
      found.push(createHash('md5').update(frame).digest('hex'));
      pool.giveBack(frame);
      await onFrame();
    }
    return found;
  };
  return { pool, run, hashes };
}

/** Sends a signal to the process that decodes pieces of this size. Its next frame does not fit into the pipe, so it still runs. */
async function signalDecoder({ format }: Piece, signal: NodeJS.Signals): Promise<void> {
  const processes = await processesOf(`zscale=w=${format.width}:h=${format.height}:`);
  expect(processes).toHaveLength(1);
  for (const { pid } of processes) process.kill(pid, signal);
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

  test.each([
    ['start', 0, 7],
    ['middle', 11, 7],
    ['end', 23, 7],
  ])('gives a run of frames from its %s', async (part, skip, count) => {
    const piece = await makePiece(part, '64x48');
    const all = await expectedHashes(piece);
    const isToEnd = skip + count === FRAMES;
    expect(await decode(piece, { skip, count, isToEnd }).hashes()).toEqual(all.slice(skip, skip + count));
  });

  test('that is larger than a pipe need not be read to its end', async () => {
    const piece = await makePiece('large', '320x180', ['-c:v', 'mpeg4', '-q:v', '1']);
    expect(piece.bytes.length).toBeGreaterThan(PIPE_BYTES);
    expect(await decode(piece, { count: 2, isToEnd: false }).hashes()).toHaveLength(2);
  });

  test.each([
    ['fewer', FRAMES + 1, String(FRAMES)],
    ['more', FRAMES - 1, 'more'],
  ])('with %s frames than planned is a mismatch', async (_name, count, decoded) => {
    const piece = await makePiece(`planned-${count}`, '64x48');
    const { hashes, pool } = decode(piece, { count });
    await expect(hashes()).rejects.toThrow(
      new PieceMismatchError(`${NAME}: expected ${count} frames, decoded ${decoded}`),
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
  ])('that is %s is a mismatch, because ffmpeg fails', async (_name, bytes) => {
    const piece = await makePiece('other', '64x48');
    const { hashes, pool } = decode({ ...piece, bytes });
    const error: unknown = await hashes().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(PieceMismatchError);
    expect(error).toMatchObject({ cause: { code: 'MEDIA_TOOL_FAILED' } });
    expect(await freeBuffers(pool)).toBe(BUFFERS);
  });

  test('in another codec than planned is not decoded', async () => {
    const source = await clip('other-codec.mp4', [...picture({}), ...H264]);
    const path = await clip('other-codec.nut', ['-i', source, '-c:v', 'mpeg4']);
    const piece = { path, bytes: await readFile(path), format: await pieceFormatOf(source) };
    await expect(decode(piece).hashes()).rejects.toThrow(PieceMismatchError);
  });

  test('whose decoder stalls is a mismatch, and no process is left', async () => {
    const piece = await makePiece('stalled', '322x182');
    const { hashes, pool } = decode(piece, { stalledMs: 1_000 }, () => signalDecoder(piece, 'SIGSTOP'));
    await expect(hashes()).rejects.toThrow(new PieceMismatchError(`${NAME}: no frame for 1 s`));
    expect(await processesOf('zscale=w=322:h=182:')).toEqual([]);
    expect(await freeBuffers(pool)).toBe(BUFFERS);
  });

  test('whose decoder is killed is a mismatch', async () => {
    const piece = await makePiece('killed', '324x184');
    const { hashes, pool } = decode(piece, {}, () => signalDecoder(piece, 'SIGKILL'));
    await expect(hashes()).rejects.toThrow(PieceMismatchError);
    expect(await freeBuffers(pool)).toBe(BUFFERS);
  });

  test('is left early: no buffer is lost, and ffmpeg ends', async () => {
    const piece = await makePiece('early', '326x186');
    const { run, pool } = decode(piece);
    {
      await using decoder = await PieceDecoder.start(run, pool);
      for await (const frame of decoder.frames()) {
        pool.giveBack(frame);
        break;
      }
    }
    expect(await processesOf('zscale=w=326:h=186:')).toEqual([]);
    expect(await freeBuffers(pool)).toBe(BUFFERS);
  });

  test('is aborted: the reason is thrown, and ffmpeg ends', async () => {
    const piece = await makePiece('aborted', '328x188');
    const stop = new AbortController();
    const abort = (): void => stop.abort(new Error('enough'));
    const { hashes, pool } = decode(piece, { signal: stop.signal }, abort);
    await expect(hashes()).rejects.toThrow('enough');
    expect(await processesOf('zscale=w=328:h=188:')).toEqual([]);
    expect(await freeBuffers(pool)).toBe(BUFFERS);
  });
});
