/** PURE. SVG elements, and an estimate of the width of a text. */
export const FONT = 'Inter, DejaVu Sans, sans-serif';
/** The average width of a letter, as a fraction of the font size. */
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
  return `<text x="${x}" y="${y}" font-family="${FONT}" font-size="${size}" font-weight="${weight}" fill="${fill}" text-anchor="${anchor}">${escapeXml(content)}</text>`;
}

export function rectangle({ x, y, width, height }: Box, fill: string, stroke = 'none'): string {
  return `<rect x="${x}" y="${y}" width="${width}" height="${height}" rx="2" fill="${fill}" stroke="${stroke}"/>`;
}

export function textWidth(content: string, size: number): number {
  return content.length * size * LETTER_WIDTH;
}

/** The largest font size at which the text fits into the box. */
export function sizeWithin(content: string, { width, height }: Pick<Box, 'width' | 'height'>): number {
  return Math.floor(Math.min(height / 1.2, width / (Math.max(1, content.length) * LETTER_WIDTH)));
}

function escapeXml(content: string): string {
  return content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
