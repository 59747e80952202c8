/** PURE. Words of SVG, and how wide a text is, about: enough to see what would not fit. */
export const FONT = 'Inter, DejaVu Sans, sans-serif';
/** Of the font size, for a letter in the middle of the range. */
const LETTER_WIDTH = 0.58;

export interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export interface TextStyle {
  readonly size: number;
  readonly fill: string;
  readonly anchor?: 'start' | 'middle';
  readonly weight?: number;
}

export function text(x: number, y: number, content: string, style: TextStyle): string {
  const { size, fill, anchor = 'start', weight = 400 } = style;
  return `<text x="${x}" y="${y}" font-family="${FONT}" font-size="${size}" font-weight="${weight}" fill="${fill}" text-anchor="${anchor}">${escaped(content)}</text>`;
}

export function rectangle({ x, y, width, height }: Box, fill: string, stroke = 'none'): string {
  return `<rect x="${x}" y="${y}" width="${width}" height="${height}" rx="2" fill="${fill}" stroke="${stroke}"/>`;
}

export function textWidth(content: string, size: number): number {
  return content.length * size * LETTER_WIDTH;
}

/** The greatest size at which a text stays within a box. */
export function sizeWithin(content: string, { width, height }: Pick<Box, 'width' | 'height'>): number {
  return Math.floor(Math.min(height / 1.2, width / (Math.max(1, content.length) * LETTER_WIDTH)));
}

function escaped(content: string): string {
  return content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
