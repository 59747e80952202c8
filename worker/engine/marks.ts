/** Draws what a model says of a frame: labels in a corner, and boxes with their labels. As SVG. PURE. */
import type { Findings } from '../../shared/contract/scores.ts';
import type { FrameSize } from '../../shared/contract/segment.ts';

const LABELS_MAX = 5;
const COLOURS = ['#ffd166', '#06d6a0', '#ef476f', '#4cc9f0', '#f78c6b', '#b892ff'];
/** Of the height of the frame. */
const TEXT_SHARE = 1 / 28;
const TEXT_PIXELS_MIN = 9;
const FONT = 'DejaVu Sans, sans-serif';

export function marksSvg({ top = [], boxes = [] }: Findings, { width, height }: FrameSize): string {
  const size = Math.max(TEXT_PIXELS_MIN, height * TEXT_SHARE);
  const rows = top.slice(0, LABELS_MAX).map(({ label, class: number, score }, row) =>
    tag(`${label ?? `class ${number}`}  ${percent(score)}`, {
      x: size / 2,
      y: size / 2 + row * size * 1.5,
      size,
      colour: '#ffffff',
    }),
  );
  const found = boxes.map((box) => {
    const colour = COLOURS[(box.class ?? 0) % COLOURS.length] ?? '#ffffff';
    const text = `${box.label ?? (box.class === undefined ? '' : `class ${box.class}`)} ${percent(box.score ?? null)}`;
    const frame = `<rect x="${box.x}" y="${box.y}" width="${box.width}" height="${box.height}" fill="none" stroke="${colour}" stroke-width="${Math.max(1.5, size / 6)}"/>`;
    return frame + tag(text.trim(), { x: box.x, y: Math.max(0, box.y - size * 1.4), size, colour });
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">${found.join('')}${rows.join('')}</svg>`;
}

/** Text on a dark ground. */
function tag(
  text: string,
  {
    x,
    y,
    size,
    colour,
  }: { readonly x: number; readonly y: number; readonly size: number; readonly colour: string },
): string {
  // About the mean width of a letter: the ground need not fit exactly.
  const width = text.length * size * 0.62 + size * 0.6;
  return `<rect x="${x}" y="${y}" width="${width}" height="${size * 1.4}" fill="#000000" fill-opacity="0.6"/><text x="${x + size * 0.3}" y="${y + size * 1.05}" font-family="${FONT}" font-size="${size}" fill="${colour}" xml:space="preserve">${escaped(text)}</text>`;
}

function percent(score: number | null): string {
  return score === null ? '' : `${Math.round(score * 100)} %`;
}

function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (character) => `&#${character.codePointAt(0)};`);
}
