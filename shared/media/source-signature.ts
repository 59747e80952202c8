/**
 * PURE. Recognizes by their first bytes the common kinds of files that are not videos, so that the error can name the kind.
 * ffprobe decides whether any other file is a video.
 */
export type Signature = 'playlist' | 'picture' | 'sound' | 'text' | 'mp4' | 'unknown';

/** The number of bytes that `signatureOf` examines. */
export const SIGNATURE_BYTES = 4096;

const PICTURE_BRANDS = new Set(['heic', 'heix', 'heim', 'heis', 'hevc', 'mif1', 'msf1', 'avif', 'avis']);

/** The boxes that an .mp4 or .mov file may begin with. */
const MP4_BOXES = new Set(['ftyp', 'moov', 'mdat', 'free', 'skip', 'wide', 'pnot']);

export function signatureOf(head: Uint8Array): Signature {
  const bytes = Buffer.from(head.buffer, head.byteOffset, Math.min(head.byteLength, SIGNATURE_BYTES));
  const at = (offset: number, text: string) =>
    bytes.toString('latin1', offset, offset + text.length) === text;

  if (at(0, '\xff\xd8\xff') || at(0, '\x89PNG') || at(0, 'GIF8') || at(0, 'BM')) return 'picture';
  if (at(0, 'II*\0') || at(0, 'MM\0*') || (at(0, 'RIFF') && at(8, 'WEBP'))) return 'picture';
  if (at(4, 'ftyp') && PICTURE_BRANDS.has(bytes.toString('latin1', 8, 12))) return 'picture';
  if (at(0, 'ID3') || at(0, 'fLaC') || at(0, '\xff\xfb') || at(0, '\xff\xf1') || at(0, '\xff\xf9'))
    return 'sound';
  if (at(0, 'RIFF') && at(8, 'WAVE')) return 'sound';

  if (MP4_BOXES.has(bytes.toString('latin1', 4, 8))) return 'mp4';

  const text = textOf(bytes);
  if (text === undefined) return 'unknown';
  return /^\s*(?:#EXTM3U|ffconcat|<MPD|<\?xml[^>]*>\s*<MPD|v=0\r?\n)/.test(text) ? 'playlist' : 'text';
}

/** Undefined if the bytes are not UTF-8 or contain control characters. An incomplete character at the end is ignored. */
function textOf(bytes: Buffer): string | undefined {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes, { stream: true });
    // oxlint-disable-next-line no-control-regex -- matches control characters on purpose
    return /[\u0000-\u0008\u000e-\u001a]/.test(text) ? undefined : text;
  } catch {
    return undefined;
  }
}
