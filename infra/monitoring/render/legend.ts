/** PURE. Draws the legend below a panel, on as many lines as it needs. */
import { THEME } from './colours.ts';
import type { Curve } from './curve.ts';
import { type Box, rectangle, text, textWidth } from './svg.ts';

const TEXT_SIZE = 13;
const MARK_WIDTH = 18;
export const LEGEND_LINE = 20;

export function legendLines(curves: readonly Curve[], width: number): Curve[][] {
  const lines: Curve[][] = [[]];
  let used = 0;
  for (const curve of curves) {
    const needed = legendWidth(curve);
    if (used > 0 && used + needed > width - 16) {
      lines.push([]);
      used = 0;
    }
    lines.at(-1)?.push(curve);
    used += needed;
  }
  return lines;
}

export function drawLegend(lines: readonly (readonly Curve[])[], box: Box): string {
  return lines
    .flatMap((line, row) => {
      let x = box.x + 12;
      const y = box.y + row * LEGEND_LINE + 14;
      return line.map((curve) => {
        const mark = rectangle({ x, y: y - 6, width: 14, height: 4 }, curve.colour);
        const label = text(x + MARK_WIDTH, y, curve.name, { size: TEXT_SIZE, fill: THEME.text });
        x += legendWidth(curve);
        return mark + label;
      });
    })
    .join('');
}

function legendWidth({ name }: Curve): number {
  return MARK_WIDTH + textWidth(name, TEXT_SIZE) + 16;
}
